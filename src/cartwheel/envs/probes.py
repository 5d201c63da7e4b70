"""Probe environments with known answers: each is learned in seconds and fails for one reason only.

    probe-bandit       one step, reward -(a - 0.7)^2: is the action that was scored the one that is executed?
    probe-delay        a reward for what was done two steps ago: does a plan look ahead through the model?
    probe-integrator   a point to be moved to the origin as fast as the bounds allow: are the dynamics learned?
    probe-cliff        an episode that ends behind the place that pays most: does imagination end there too?

``register`` makes them known. Their formulas are plain arithmetic, so that the environment (NumPy) and the task (JAX)
share them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from cartwheel.envs.tasks import Task, never, register_task


@dataclass(frozen=True)
class Probe:
    """A task with its environment: where episodes start, and the best possible return."""

    task: Task
    start: tuple[float, ...]
    best_return: float


def _task(name: str, obs_size: int, episode_length: int, reward: Callable[[Any, Any, Any], Any], **more: Any) -> Task:
    rest = {"action_low": (-1.0,), "action_high": (1.0,), "terminated": never, **more}
    return Task(
        id=f"probe-{name}",
        env_id=f"cartwheel/Probe{name.capitalize()}-v0",
        obs_size=obs_size,
        episode_length=episode_length,
        step_s=1.0,
        reward=reward,
        reward_bound=10.0,
        **rest,
    )


BANDIT = Probe(
    # the bounds are not symmetric: a planner's [-1, 1] is not the environment's
    _task(
        "bandit",
        1,
        1,
        lambda obs, action, after: -((action[0] - 0.7) ** 2),
        equations=lambda obs, action, xp: obs,
        action_low=(-1.0,),
        action_high=(3.0,),
    ),
    start=(0.0,),
    best_return=0.0,
)
DELAY = Probe(
    _task(
        "delay",
        3,
        8,
        lambda obs, action, after: -((after[2] - 0.5) ** 2),
        equations=lambda obs, action, xp: xp.concatenate([action[..., :1], obs[..., :2]], axis=-1),
    ),
    start=(0.0, 0.0, 0.0),
    best_return=-0.5,  # for the first two steps nothing can be done
)
INTEGRATOR = Probe(
    _task(
        "integrator",
        1,
        8,
        lambda obs, action, after: -(after[0] ** 2),
        equations=lambda obs, action, xp: obs + 0.25 * action,
    ),
    start=(1.0,),
    best_return=-(0.75**2 + 0.5**2 + 0.25**2),
)
CLIFF = Probe(
    _task(
        "cliff",
        1,
        8,
        lambda obs, action, after: after[0],
        equations=lambda obs, action, xp: obs + 0.5 * action,
        terminated=lambda after: after[0] > 1.0,
    ),
    start=(0.0,),
    best_return=7.5,  # 0.5, then 1.0 seven times; who goes on at full speed gets 0.5 + 1.0 + 1.5
)
PROBES = (BANDIT, DELAY, INTEGRATOR, CLIFF)


class ProbeEnv(gymnasium.Env):
    """The environment of a probe."""

    def __init__(self, probe: Probe) -> None:
        self._probe, task = probe, probe.task
        self.observation_space = Box(-np.inf, np.inf, (task.obs_size,), np.float64)
        self.action_space = Box(np.asarray(task.action_low, np.float32), np.asarray(task.action_high, np.float32))
        self._obs = np.asarray(probe.start)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._obs = np.asarray(self._probe.start)
        return self._obs.copy(), {}

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        task, before = self._probe.task, self._obs
        assert task.equations is not None
        self._obs = np.asarray(task.equations(before, np.asarray(action, np.float64), np))
        reward: Any = task.reward(before, action, self._obs)  # type: ignore[arg-type,misc]  # plain arithmetic
        ended = task.has_termination and bool(task.terminated(self._obs))  # type: ignore[arg-type,misc]  # likewise
        return self._obs.copy(), float(reward), ended, False, {}


def register() -> None:
    """Make the probes known to Gymnasium and to ``get_task``; harmless when repeated."""
    for probe in PROBES:
        register_task(probe.task)
        if probe.task.env_id not in gymnasium.registry:
            gymnasium.register(probe.task.env_id, entry_point=f"{__name__}:ProbeEnv", kwargs={"probe": probe})
