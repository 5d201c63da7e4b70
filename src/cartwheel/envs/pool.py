"""Gymnasium environments on the host, one a lane, with their physics watched.

MuJoCo resets itself silently when its state breaks and the step looks normal, so after every step the simulator's
warning counters and the finiteness of observation and reward are read. Nothing is written into the user's folder.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs import own
from cartwheel.envs.tasks import Task


class EnvironmentFailed(Exception):
    """An environment raised, or returned what nothing can learn from. The message says what and when."""


def _swallow(message: str) -> None:
    """The counters say it all; MuJoCo's default handler would write MUJOCO_LOG.TXT where the user stands."""


def _say(message: str) -> str:
    return " ".join(message.split())[:300]


@dataclass(slots=True)
class WatchedEnv:
    """One environment of a task, reset by seed and stepped with float32 observations.

    ``warnings`` counts since the last reset: MuJoCo's counters by name, ``not_finite``, ``reward_out_of_bounds`` and
    ``state_out_of_bounds`` (an exploding step is paid before any counter moves), and ``simulator_reset`` when time
    does not go on.
    """

    task: Task
    env: gymnasium.Env[Any, Any]
    warnings: Counter[str] = field(default_factory=Counter)
    step_index: int = 0
    _time_s: float = -math.inf

    def reset(self, seed: int) -> NDArray[np.float32]:
        """The first observation [O] of an episode."""
        self.warnings, self.step_index, self._time_s = Counter(), 0, -math.inf
        try:
            obs, _ = self.env.reset(seed=seed)
        except Exception as error:
            raise EnvironmentFailed(f"{self.task.env_id}: reset raised {_say(repr(error))}") from error
        vector = self._checked(obs)
        self._watch(vector, 0.0)
        return vector

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool]:
        """Observation [O], reward, and whether the episode terminated (reaching a time limit is not termination)."""
        self.step_index += 1
        space = self.env.action_space
        try:
            obs, reward, terminated, _, _ = self.env.step(np.asarray(action, space.dtype))
            reward = float(reward)
        except Exception as error:
            raise EnvironmentFailed(self._at(f"raised {_say(repr(error))}")) from error
        vector = self._checked(obs)
        self._watch(vector, reward)
        return vector, reward, bool(terminated)

    def close(self) -> None:
        self.env.close()

    def _checked(self, obs: Any) -> NDArray[np.float32]:
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is seen as that
                vector = np.asarray(obs, np.float32)
        except (TypeError, ValueError) as error:
            raise EnvironmentFailed(self._at(f"returned an observation that is no vector: {error!r}")) from error
        if vector.shape != (self.task.obs_size,):
            raise EnvironmentFailed(self._at(f"returned an observation of shape {vector.shape}"))
        return vector

    def _watch(self, obs: NDArray[np.float32], reward: float) -> None:
        data = getattr(self.env.unwrapped, "data", None)
        state: NDArray[Any] = obs
        if isinstance(data, mujoco.MjData):
            self._read_counters(data)
            state = np.concatenate([data.qpos, data.qvel])  # observations may clip velocities, or leave places out
        if not np.isfinite(reward) or not np.all(np.isfinite(obs)):
            self.warnings["not_finite"] += 1
            raise EnvironmentFailed(self._at(f"returned a value that is not finite (reward {reward})"))
        if abs(reward) > self.task.reward_bound:
            self.warnings["reward_out_of_bounds"] += 1
        if not np.max(np.abs(state)) <= self.task.state_bound:
            self.warnings["state_out_of_bounds"] += 1

    def _read_counters(self, data: Any) -> None:
        for kind in mujoco.mjtWarning.__members__.values():
            if kind != mujoco.mjtWarning.mjNWARNING and data.warning[kind].number:
                self.warnings[kind.name.removeprefix("mjWARN_")] = int(data.warning[kind].number)
        if not data.time > self._time_s:
            self.warnings["simulator_reset"] += 1
        self._time_s = data.time

    def _at(self, what: str) -> str:
        return f"{self.task.env_id}: step {self.step_index} {what}"


def make_env(task: Task, **kwargs: Any) -> WatchedEnv:
    """The task's environment. Raises ValueError if Gymnasium does not know it or it does not fit the task."""
    own.register()
    mujoco.set_mju_user_warning(_swallow)
    try:
        env = gymnasium.make(
            task.env_id, max_episode_steps=task.episode_length, disable_env_checker=True, **task.env_kwargs, **kwargs
        )
    except gymnasium.error.Error as error:
        raise ValueError(f"env_id {task.env_id!r}: {_say(str(error))}") from error
    found = {"observations": env.observation_space, "actions": env.action_space}
    wanted: dict[str, gymnasium.spaces.Box] = {
        "observations": gymnasium.spaces.Box(-np.inf, np.inf, (task.obs_size,)),
        "actions": gymnasium.spaces.Box(np.asarray(task.action_low), np.asarray(task.action_high), dtype=np.float64),
    }
    for what, space in found.items():
        if not _fits(space, wanted[what], is_bounded=what == "actions"):
            env.close()
            raise ValueError(f"task {task.id!r}: {task.env_id} has {what} {space}, the task says {wanted[what]}")
    return WatchedEnv(task, env)


def _fits(space: Any, wanted: gymnasium.spaces.Box, is_bounded: bool) -> bool:
    """Vectors of the same length and, where they are to be bounded, of the same bounds."""
    if not isinstance(space, gymnasium.spaces.Box) or space.shape != wanted.shape:
        return False
    return not is_bounded or (np.allclose(space.low, wanted.low) and np.allclose(space.high, wanted.high))
