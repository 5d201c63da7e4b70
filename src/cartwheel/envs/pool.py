"""Gymnasium environments on the host, one a lane, with their physics watched.

MuJoCo resets itself silently when its state breaks and the step looks normal, so after every step the simulator's
warning counters and the finiteness of observation and reward are read. Nothing is written into the user's folder.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs.audit import PhysicsAudit, simulator_of
from cartwheel.envs.calls import calling
from cartwheel.envs.making import CannotMake, Env, close, describe, is_users_interrupt, make_vector_env
from cartwheel.envs.tasks import Task
from cartwheel.records import FailureKind


class EnvironmentFailed(Exception):
    """An environment raised, or returned what nothing can learn from. The message says what and when."""

    def __init__(self, message: str, kind: FailureKind = "environment_error") -> None:
        super().__init__(message)
        self.kind: FailureKind = kind


def _swallow(message: str) -> None:
    """The counters say it all; MuJoCo's default handler would write MUJOCO_LOG.TXT where the user stands."""


class Watched(Protocol):
    """What an engine steps: an environment whose physics is watched, wherever it runs.

    Every call raises EnvironmentFailed if the episode cannot go on; the next reset begins another one.
    """

    @property
    def task(self) -> Task: ...
    @property
    def warnings(self) -> Mapping[str, int]: ...
    @property
    def metrics(self) -> dict[str, float]: ...
    @property
    def is_over(self) -> bool: ...
    def reset(self, seed: int) -> NDArray[np.float32]: ...
    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class WatchedEnv:
    """One environment of a task, reset by seed and stepped with float32 observations.

    ``warnings`` counts since the last reset what ``PhysicsAudit`` found, ``metrics`` is what it measured.
    """

    task: Task
    env: Env
    step_index: int = 0
    is_over: bool = False
    _audit: PhysicsAudit = field(init=False)

    def __post_init__(self) -> None:
        self._audit = PhysicsAudit(self.task, simulator_of(self.env))

    @property
    def warnings(self) -> Counter[str]:
        """How often what was noted in this episode."""
        return self._audit.warnings

    @property
    def metrics(self) -> dict[str, float]:
        """What physics did in this episode so far."""
        return self._audit.metrics

    @property
    def speed_m_s(self) -> float | None:
        """Of the last step, where there is a simulator to tell."""
        return self._audit.speed_m_s

    @property
    def num_turns(self) -> int | None:
        """Full turns of the trunk so far, where there is one."""
        return self._audit.num_turns

    def reset(self, seed: int) -> NDArray[np.float32]:
        """The first observation [O] of an episode."""
        self._audit, self.step_index, self.is_over = PhysicsAudit(self.task, simulator_of(self.env)), 0, False
        with self._calling("reset"):
            obs, _ = self.env.reset(seed=seed)
            vector = self._checked(obs)
            watch(self._audit, 0, vector, 0.0)
        return vector

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool]:
        """Observation [O], reward, and whether the episode terminated (reaching a time limit is not termination).

        ``is_over`` then says whether it has ended either way.
        """
        self.step_index += 1
        with self._calling(f"step {self.step_index}"):
            # a copy of its own: whatever an environment does to its action, what was planned is what is remembered
            outcome = self.env.step(np.array(action, self.env.action_space.dtype))
            if len(outcome) != 5:
                raise EnvironmentFailed(self._at(f"returned {len(outcome)} values, and Gymnasium's step returns 5"))
            obs, paid, terminated, truncated, _ = outcome
            reward = float(np.asarray(paid, np.float64).reshape(()))
            self.is_over = bool(terminated) or bool(truncated)
            vector = self._checked(obs)
            watch(self._audit, self.step_index, vector, reward)
        return vector, reward, bool(terminated)

    def close(self) -> None:
        close(self.env)

    @contextlib.contextmanager
    def _calling(self, what: str) -> Iterator[None]:
        """Whatever is raised inside fails the episode: an environment ends neither the thread nor the study."""
        try:
            with calling(f"{self.task.env_id}: {what}"):
                yield
        except EnvironmentFailed:
            raise
        except BaseException as error:
            if is_users_interrupt(error):
                raise
            kind: FailureKind = "out_of_memory" if isinstance(error, MemoryError) else "environment_error"
            raise EnvironmentFailed(f"{self.task.env_id}: {what} raised {describe(error)}", kind) from error

    def _checked(self, obs: Any) -> NDArray[np.float32]:
        """A copy of an observation: some environments return the same array at every step."""
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is seen as that
                vector = np.array(obs, np.float32)
        except (TypeError, ValueError) as error:
            what = f"returned an observation that is no vector: {describe(error)}"
            raise EnvironmentFailed(self._at(what)) from error
        if vector.shape != (self.task.obs_size,):
            raise EnvironmentFailed(self._at(f"returned an observation of shape {vector.shape}"))
        return vector

    def _at(self, what: str) -> str:
        return _at(self.task, self.step_index, what)


def watch(audit: PhysicsAudit, step: int, obs: NDArray[np.float32], reward: float) -> None:
    """Show the outcome of a step to the audit. Raises EnvironmentFailed if the episode cannot go on."""
    audit.see(step, obs, reward)
    if audit.warnings["not_finite"]:
        what = f"returned a value that is not finite (reward {reward})"
        raise EnvironmentFailed(_at(audit.task, step, what), "unstable_physics")
    if broken := BROKEN_STATE & audit.warnings.keys():
        raise EnvironmentFailed(_at(audit.task, step, f"broke the simulator: {min(broken)}"), "unstable_physics")


def _at(task: Task, step: int, what: str) -> str:
    return f"{task.env_id}: step {step} {what}"


BROKEN_STATE = frozenset({"BADQPOS", "BADQVEL", "BADQACC"})
"""MuJoCo's warnings after which it has reset itself: what follows is another episode, paid for as this one."""


def make_env(task: Task, **kwargs: Any) -> WatchedEnv:
    """The task's environment. Raises CannotMake, a ValueError, if it cannot be made or does not fit the task."""
    mujoco.set_mju_user_warning(_swallow)
    env = make_vector_env(task.env_id, max_episode_steps=task.episode_length, **task.env_kwargs, **kwargs)
    found = {"observations": env.observation_space, "actions": env.action_space}
    wanted: dict[str, gymnasium.spaces.Box] = {
        "observations": gymnasium.spaces.Box(-np.inf, np.inf, (task.obs_size,)),
        "actions": gymnasium.spaces.Box(np.asarray(task.action_low), np.asarray(task.action_high), dtype=np.float64),
    }
    for what, space in found.items():
        if not _fits(space, wanted[what], is_bounded=what == "actions"):
            close(env)
            raise CannotMake(f"task {task.id!r}: {task.env_id} has {what} {space}, the task says {wanted[what]}")
    return WatchedEnv(task, env)


def _fits(space: Any, wanted: gymnasium.spaces.Box, is_bounded: bool) -> bool:
    """Vectors of the same length and, where they are to be bounded, of the same bounds."""
    if not isinstance(space, gymnasium.spaces.Box) or space.shape != wanted.shape:
        return False
    return not is_bounded or (np.allclose(space.low, wanted.low) and np.allclose(space.high, wanted.high))
