"""What the planner earns when its model is the true dynamics: the ceiling beside every learning curve."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import planner as planners
from cartwheel.agents.pets.hypers import PetsHypers, hypers_from_configs
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engine import random_key
from cartwheel.envs.pool import make_env
from cartwheel.envs.simulator import Rollout, true_dynamics
from cartwheel.records import Config, Episode
from cartwheel.seeds import seed_integer


def play_true_dynamics(
    setup: AgentSetup, config: Config, seed: tuple[int | str, ...], num_episodes: int
) -> Sequence[Episode]:
    """Episodes of the planner under ``config`` with the true dynamics in the place of the model.

    Raises ValueError for a task whose dynamics are not known.
    """
    env = make_env(setup.task)
    hypers = jax.tree.map(
        lambda leaf: leaf[0], hypers_from_configs([setup.config(config)], setup.shape.planner)
    )
    act = jax.jit(_planner(setup, hypers, true_dynamics(env)))
    episodes = []
    for index in range(num_episodes):
        obs = env.reset(seed_integer(*seed, index, "reset"))
        memory = pets.begin_episode(setup.task, setup.shape)
        key = jax.random.wrap_key_data(random_key(*seed, index, "act"))
        total, length, terminated = 0.0, 0, False
        while length < setup.task.episode_length and not terminated:
            action, memory = act(memory, obs, jax.random.fold_in(key, length))
            obs, reward, terminated = env.step(np.asarray(action))
            total, length = total + reward, length + 1
        episodes.append(Episode(index, total, length, warnings=dict(env.warnings)))
    env.close()
    return episodes


def _planner(setup: AgentSetup, hypers: PetsHypers, rollout: Rollout) -> Callable[..., tuple[Array, planners.PlanState]]:
    task, shape, horizon = setup.task, setup.shape, int(hypers.planner.plan_horizon)
    one = jax.tree.map(lambda leaf: leaf[None], hypers.planner)
    bounds = jax.tree.map(jnp.asarray, planners.plan_bounds(one, shape))
    reward_of = jax.vmap(jax.vmap(task.imagined_reward))
    terminated = jax.vmap(jax.vmap(task.terminated))

    def on_host(obs: Array, actions: Array) -> np.ndarray:
        return rollout(np.asarray(obs), np.asarray(actions))

    def act(memory: planners.PlanState, obs: Array, key: Array) -> tuple[Array, planners.PlanState]:
        def scores(plans: Array) -> Array:
            actions = pets.to_env_units(task, plans)[:, :horizon]  # [C, H, A]
            shape_out = jax.ShapeDtypeStruct((*actions.shape[:2], task.obs_size), jnp.float32)
            following = jax.pure_callback(on_host, shape_out, obs, actions, vmap_method="sequential")
            before = jnp.concatenate([jnp.broadcast_to(obs, following[:, :1].shape), following[:, :-1]], axis=1)
            ended = jnp.cumsum(terminated(following), axis=1)
            alive = jnp.pad(ended, ((0, 0), (1, 0)))[:, :-1] == 0
            total = jnp.sum(jnp.where(alive, reward_of(before, actions, following), 0.0), axis=1)
            return jnp.where(jnp.isfinite(total), total, -jnp.inf)

        action, memory, _ = planners.plan(lambda _: scores, memory, hypers.planner, bounds, shape, key)
        return pets.to_env_units(task, action), memory

    return act
