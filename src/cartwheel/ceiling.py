"""Planners whose model is the true dynamics: the ceiling beside every learning curve, and agents that can be tuned.

Such an agent learns nothing: an episode is a function of its config and of the names of its randomness alone.

    C plans of a chunk   H plan horizon (maximum)   O observation   A action   T steps
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from cartwheel.agent import Act, play_episode
from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import planner as planners
from cartwheel.agents.pets.hypers import PetsShape, PlannerHypers, hypers_from_configs
from cartwheel.agents.pets.plan_search import PlanState
from cartwheel.agents.pets.planner import PlanBounds
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import random_key
from cartwheel.engines.rollouts import Abandoned
from cartwheel.envs.pool import make_env
from cartwheel.envs.simulator import Rollout, true_dynamics
from cartwheel.envs.tasks import Task
from cartwheel.records import Config, Episode
from cartwheel.seeds import numpy_rng

Plan = Callable[..., Any]
"""(memory, obs, key, planner's hypers, bounds) -> (action in the environment's units, memory)."""


class TruePlanner:
    """Plays episodes of one task under any config that ``setup`` covers: a program for each shape of planner."""

    def __init__(self, setup: AgentSetup) -> None:
        """Raises ValueError for a task whose dynamics, reward or termination are not known."""
        if setup.task.learns_reward or setup.task.learns_termination:
            raise ValueError(
                f"env_id {setup.task.id!r}: plans are scored by formulas, and its reward or termination has none"
            )
        self.setup = setup
        self._env = make_env(setup.task)
        self._rollout = true_dynamics(self._env, self._note_broken)
        self._num_broken_plans = 0
        self._programs: dict[PetsShape, Plan] = {}

    def play(
        self,
        config: Config,
        seed: tuple[int | str, ...],
        index: int,
        is_random: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> tuple[Episode, NDArray[np.float32]]:
        """An episode and its actions [T, A]; its metric ``broken_plans`` counts plans in which the simulator broke.

        Raises ValueError on a config that is illegal or not covered, EnvironmentFailed, and Abandoned when
        ``should_stop`` says so between two steps.
        """
        act = self._at_random(seed, index) if is_random else self._planning(config, seed, index)
        taken: list[NDArray[np.float32]] = []
        self._num_broken_plans = 0

        def noted(obs: NDArray[np.float32]) -> NDArray[np.float32]:
            if should_stop():
                raise Abandoned
            taken.append(act(obs))
            return taken[-1]

        episode = play_episode(self._env, noted, seed, index)
        metrics = {**episode.metrics, "broken_plans": float(self._num_broken_plans)}
        return dataclasses.replace(episode, is_random=is_random, metrics=metrics), np.stack(taken)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _at_random(self, seed: tuple[int | str, ...], index: int) -> Act:
        rng = numpy_rng(*seed, index, "act")
        low, high = np.asarray(self.setup.task.action_low), np.asarray(self.setup.task.action_high)
        return lambda obs: rng.uniform(low, high).astype(np.float32)

    def _planning(self, config: Config, seed: tuple[int | str, ...], index: int) -> Act:
        setup = self.setup.under(config)
        task, shape = setup.task, setup.shape
        if shape not in self._programs:
            self._programs[shape] = jax.jit(_program(task, shape, self._rollout))
        plan = self._programs[shape]
        cohort = hypers_from_configs([setup.base], shape.planner).planner
        bounds = jax.tree.map(jnp.asarray, planners.plan_bounds(cohort, shape))
        hypers = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), cohort)
        memory = pets.begin_episode(task, shape)
        key = jax.random.wrap_key_data(jnp.asarray(random_key(*seed, index, "act")))
        steps = iter(jax.random.split(key, task.episode_length))

        def act(obs: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal memory
            action, memory = plan(memory, obs, next(steps), hypers, bounds)
            return np.asarray(action)

        return act

    def _note_broken(self, num_plans: int) -> None:
        self._num_broken_plans += num_plans


def play_true_dynamics(
    setup: AgentSetup, config: Config, seed: tuple[int | str, ...], num_episodes: int
) -> Sequence[Episode]:
    """Episodes of the planner under ``config`` with the true dynamics in the place of the model.

    Raises ValueError for a task whose dynamics are not known.
    """
    planner = TruePlanner(setup)
    try:
        return [planner.play(config, seed, index)[0] for index in range(num_episodes)]
    finally:
        planner.close()


def _program(task: Task, shape: PetsShape, rollout: Rollout) -> Plan:
    """Plans one step. Hypers are traced, so that a config changes without a new program."""
    assert task.imagined_reward is not None
    assert task.terminated is not None
    reward_of = jax.vmap(jax.vmap(task.imagined_reward))
    terminated = jax.vmap(jax.vmap(task.terminated))

    def on_host(obs: Array, actions: Array, horizon: Array) -> NDArray[np.float32]:
        following = np.zeros((*actions.shape[:2], task.obs_size), np.float32)
        following[:, : int(horizon)] = rollout(np.asarray(obs), np.asarray(actions)[:, : int(horizon)])
        return following

    def act(memory: PlanState, obs: Array, key: Array, hypers: PlannerHypers, bounds: PlanBounds) -> Any:
        is_planned = jnp.arange(shape.max_horizon) < hypers.plan_horizon

        def scores(plans: Array) -> Array:
            actions = pets.to_env_units(task, plans)  # [C, H, A]
            outcome = jax.ShapeDtypeStruct((*actions.shape[:2], task.obs_size), jnp.float32)
            following = jax.pure_callback(on_host, outcome, obs, actions, hypers.plan_horizon, vmap_method="sequential")
            first = jnp.broadcast_to(obs[None, None], following[:, :1].shape)
            before = jnp.concatenate([first, following[:, :-1]], axis=1)
            num_ended = jnp.cumsum(terminated(following), axis=1)
            is_alive = jnp.pad(num_ended, ((0, 0), (1, 0)))[:, :-1] == 0
            rewards = reward_of(before, actions, following)
            total = jnp.sum(jnp.where(is_alive & is_planned[None], rewards, 0.0), axis=1)
            return jnp.where(jnp.isfinite(total), total, -jnp.inf)

        plan, memory, _ = planners.plan(lambda _: scores, memory, hypers, bounds, shape, key)
        return pets.to_env_units(task, plan[0]), memory

    return act
