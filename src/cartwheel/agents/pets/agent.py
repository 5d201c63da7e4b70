"""PETS: plan with an ensemble of learned models, execute, fit again (Chua et al. 2018). Written for one agent.

Life of an agent: ``init``, then for every episode ``begin_episode``, ``act`` at every step, ``learn`` at the end.
An engine vectorises these functions over a cohort. Everything here is a pure function of its arguments.
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array, random
from jaxtyping import Float, Int, PRNGKeyArray

from cartwheel.agents.pets import buffer as buffers
from cartwheel.agents.pets import fit as fitting
from cartwheel.agents.pets import heads
from cartwheel.agents.pets import planner as planners
from cartwheel.agents.pets.buffer import Buffer
from cartwheel.agents.pets.diagnostics import Experience, judge_fit, judge_unseen, planning_world, spread_of
from cartwheel.agents.pets.hypers import PetsHypers, PetsShape
from cartwheel.agents.pets.model import Ensemble, Normaliser, init_ensemble, init_normaliser
from cartwheel.agents.pets.optimizers import init_optimizer
from cartwheel.agents.pets.plan_search import PlanState, init_plan
from cartwheel.agents.pets.planner import PlanBounds
from cartwheel.agents.pets.propagation import World, draw_luck, plan_returns
from cartwheel.envs.tasks import Task

_DIAGNOSTICS = 0xD1A6
"""The luck of diagnostics is drawn under this number, away from what a fit draws."""


class PetsState(eqx.Module):
    """Everything an agent is. The four parts are what a checkpoint holds and what a copy may take one by one."""

    weights: Ensemble
    optimizer: optax.OptState
    normaliser: Normaliser
    replay: Buffer


def init(task: Task, shape: PetsShape, key: PRNGKeyArray) -> PetsState:
    """An agent that has seen nothing."""
    num_encoded = jax.eval_shape(task.encode, jnp.zeros(task.obs_size, jnp.float32)).shape[0]
    num_inputs = num_encoded + task.action_size
    ensemble = init_ensemble(key, num_inputs, heads.num_targets(task), shape, has_logit=task.learns_termination)
    return PetsState(
        ensemble,
        init_optimizer(shape.optimizer, ensemble),
        init_normaliser(num_inputs, task.learns_reward),
        buffers.init_buffer(shape.capacity, task),
    )


def shrink_perturb(state: PetsState, fresh: PetsState, shrink: float, perturb: float) -> PetsState:
    """Weights and biases become shrink w + perturb w', with w' of a new agent (Ash & Adams 2020); replay stays.

    So what is known is not lost, but can be left again. The bounds of the log-variance, which no shrinking suits, and
    the optimizer begin anew.
    """
    weights, biases = jax.tree.map(
        lambda old, new: shrink * old + perturb * new,
        (state.weights.weights, state.weights.biases),
        (fresh.weights.weights, fresh.weights.biases),
    )
    ensemble = dataclasses.replace(fresh.weights, weights=weights, biases=biases)
    return PetsState(ensemble, fresh.optimizer, state.normaliser, state.replay)


def begin_episode(task: Task, shape: PetsShape) -> PlanState:
    """A planner that remembers nothing."""
    return init_plan(shape, task.action_size)


def act(
    task: Task,
    shape: PetsShape,
    model: World,
    memory: PlanState,
    hypers: PetsHypers,
    bounds: PlanBounds,
    obs: Float[Array, " O"],
    is_random: Array,
    key: PRNGKeyArray,
) -> tuple[Float[Array, " A"], PlanState, Float[Array, "H A"]]:
    """The action for ``obs``, the memory for the next step, and the plan whose first action it is.

    Actions are in the environment's units. Where ``is_random``, the action is uniformly random and the plan NaN.
    """
    plan_key, random_key = random.split(key)
    world = planning_world(shape, model.ensemble, model.normaliser)

    def objective(key: PRNGKeyArray) -> Callable[[Array], Array]:
        luck = draw_luck(shape, world.ensemble.num_targets, key)
        return lambda plans: plan_returns(
            task, shape, world, obs, to_env_units(task, plans), hypers.planner.plan_horizon, bounds.horizon, luck
        )

    plan, memory, _ = planners.plan(objective, memory, hypers.planner, bounds, shape, plan_key)
    uniform = random.uniform(random_key, (task.action_size,), jnp.float32, -1.0, 1.0)
    action = to_env_units(task, jnp.where(is_random, uniform, plan[0]))
    return action, memory, jnp.where(is_random, jnp.nan, to_env_units(task, plan))


def learn(
    task: Task,
    shape: PetsShape,
    state: PetsState,
    experience: Experience,
    hypers: PetsHypers,
    most_rows: Int[Array, ""],
    key: PRNGKeyArray,
) -> tuple[PetsState, dict[str, Array]]:
    """Remember the real rows of an episode and fit the model to everything remembered: at most ``most_rows`` then.

    Returns the new state and metrics: ``is_finite``, whether the weights are, and diagnostics by name, those that say
    nothing not finite (see ``diagnostics``).
    """
    rows, length = experience.rows, experience.length
    replay = buffers.append(state.replay, rows, length)
    before = planning_world(shape, state.weights, state.normaliser)
    horizon, luck_key = hypers.planner.plan_horizon, random.fold_in(key, _DIAGNOSTICS)
    spread = spread_of(task, before, replay, most_rows)
    unseen = judge_unseen(task, shape, before, experience, spread, horizon, luck_key)
    fitted = fitting.fit(task, shape, state.weights, state.optimizer, replay, hypers.model, most_rows, key)
    leaves = jax.tree.leaves((fitted.ensemble, fitted.normaliser))
    is_finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
    state = PetsState(fitted.ensemble, fitted.optimizer, fitted.normaliser, replay)
    known = judge_fit(task, shape, fitted, replay, rows.obs.shape[0])
    return state, {"is_finite": is_finite, **unseen, **known}


def to_env_units(task: Task, plans: Float[Array, "*S A"]) -> Float[Array, "*S A"]:
    """From [-1, 1] to the task's action bounds."""
    low, high = jnp.asarray(task.action_low, jnp.float32), jnp.asarray(task.action_high, jnp.float32)
    lead = (1,) * (plans.ndim - 1)
    middle, half = (high + low) / 2.0, (high - low) / 2.0
    return middle.reshape(*lead, -1) + half.reshape(*lead, -1) * plans
