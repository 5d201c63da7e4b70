"""What the planner earns when its model is the true dynamics: the ceiling beside every learning curve."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from cartwheel.agent import Act, play
from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import planner as planners
from cartwheel.agents.pets.hypers import PetsHypers, hypers_from_configs
from cartwheel.agents.pets.plan_search import PlanState
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engine import random_key
from cartwheel.envs.pool import make_env
from cartwheel.envs.simulator import Rollout, true_dynamics
from cartwheel.records import Config, Episode


def play_true_dynamics(
    setup: AgentSetup, config: Config, seed: tuple[int | str, ...], num_episodes: int
) -> Sequence[Episode]:
    """Episodes of the planner under ``config`` with the true dynamics in the place of the model.

    Raises ValueError for a task whose dynamics are not known.
    """
    if setup.task.learns_reward or setup.task.learns_termination:
        raise ValueError(
            f"env_id {setup.task.id!r}: plans are scored by formulas, and its reward or termination has none"
        )
    env = make_env(setup.task)
    setup = setup.under(config)
    cohort = hypers_from_configs([setup.base], setup.shape.planner)
    hypers = jax.tree.map(lambda leaf: leaf[0], cohort)
    plan = jax.jit(_planner(setup, hypers, true_dynamics(env)))

    def begin(index: int) -> Act:
        memory = pets.begin_episode(setup.task, setup.shape)
        keys = jax.random.split(
            jax.random.wrap_key_data(jnp.asarray(random_key(*seed, index, "act"))), setup.task.episode_length
        )
        steps = iter(keys)

        def act(obs: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal memory
            action, memory = plan(memory, obs, next(steps))
            return np.asarray(action)

        return act

    return play(env, begin, seed, num_episodes)


def _planner(setup: AgentSetup, hypers: PetsHypers, rollout: Rollout) -> Callable[..., tuple[Array, PlanState]]:
    task, shape, horizon = setup.task, setup.shape, int(hypers.planner.plan_horizon)
    one = jax.tree.map(lambda leaf: leaf[None], hypers.planner)
    bounds = jax.tree.map(jnp.asarray, planners.plan_bounds(one, shape))
    planner_hypers = jax.tree.map(jnp.asarray, hypers.planner)
    assert task.imagined_reward is not None
    assert task.terminated is not None
    reward_of = jax.vmap(jax.vmap(task.imagined_reward))
    terminated = jax.vmap(jax.vmap(task.terminated))

    def on_host(obs: Array, actions: Array) -> NDArray[np.float32]:
        return rollout(np.asarray(obs), np.asarray(actions))

    def act(memory: PlanState, obs: Array, key: Array) -> tuple[Array, PlanState]:
        def scores(plans: Array) -> Array:
            actions = pets.to_env_units(task, plans)[:, :horizon]  # [C, H, A]
            outcome = jax.ShapeDtypeStruct((*actions.shape[:2], task.obs_size), jnp.float32)
            following = jax.pure_callback(on_host, outcome, obs, actions, vmap_method="sequential")
            first = jnp.broadcast_to(obs[None, None], following[:, :1].shape)
            before = jnp.concatenate([first, following[:, :-1]], axis=1)
            num_ended = jnp.cumsum(terminated(following), axis=1)
            is_alive = jnp.pad(num_ended, ((0, 0), (1, 0)))[:, :-1] == 0
            total = jnp.sum(jnp.where(is_alive, reward_of(before, actions, following), 0.0), axis=1)
            return jnp.where(jnp.isfinite(total), total, -jnp.inf)

        plan, memory, _ = planners.plan(lambda _: scores, memory, planner_hypers, bounds, shape, key)
        return pets.to_env_units(task, plan[0]), memory

    return act
