"""What one episode of every lane brought: the real transitions, collected on the host.

L lanes   T episode length   O observation   A action   R plans that are kept   H horizon (maximum)
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.diagnostics import plan_steps
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.envs.task import Task
from cartwheel.records import FailureKind


class Abandoned(Exception):
    """The running episode was given up because the caller asked to stop."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What broke an episode: its kind, and what there is to say about it on one line."""

    kind: FailureKind
    reason: str

    @property
    def is_models(self) -> bool:
        """Whether it was the model."""
        return self.kind in ("non_finite_training", "diverged_model")


def wild_action(step: int) -> Failure:
    """The failure of an agent that wants to do, in this step from 1, what cannot be done."""
    return Failure("diverged_model", f"step {step}: the planned action is not finite")


@dataclass(slots=True)
class Rollout:
    """Behind a lane's length, rows are zero. ``failures``: of the lanes that have any."""

    obs: NDArray[np.float32]  # [L, T, O]
    action: NDArray[np.float32]  # [L, T, A]
    next_obs: NDArray[np.float32]  # [L, T, O]
    reward: NDArray[np.float32]  # [L, T]
    terminated: NDArray[np.float32]  # [L, T]
    plans: NDArray[np.float32]  # [L, R, H, A], those of plan_steps
    returns: NDArray[np.float64]  # [L]
    lengths: NDArray[np.int32]  # [L]
    failures: dict[int, Failure] = field(default_factory=dict)
    plan_s: float = 0.0
    env_s: float = 0.0

    def cut(self, lane: int, length: int) -> None:
        """Leave a lane only so many of its steps."""
        self.lengths[lane] = length
        for rows in (self.obs, self.action, self.next_obs, self.reward, self.terminated):
            rows[lane, length:] = 0.0
        self.returns[lane] = self.reward[lane].sum(dtype=np.float64)


def plans_shape(task: Task, shape: PetsShape, num_lanes: int) -> tuple[int, ...]:
    """Of the plans that are kept of an episode [L, R, H, A]."""
    return num_lanes, len(plan_steps(task.episode_length)), shape.max_horizon, task.action_size


def empty_rollout(task: Task, shape: PetsShape, num_lanes: int) -> Rollout:
    """Before the first step."""
    lanes, length, obs_size = num_lanes, task.episode_length, task.obs_size
    return Rollout(
        obs=np.zeros((lanes, length, obs_size), np.float32),
        action=np.zeros((lanes, length, task.action_size), np.float32),
        next_obs=np.zeros((lanes, length, obs_size), np.float32),
        reward=np.zeros((lanes, length), np.float32),
        terminated=np.zeros((lanes, length), np.float32),
        plans=np.full(plans_shape(task, shape, lanes), np.nan, np.float32),
        returns=np.zeros(lanes),
        lengths=np.zeros(lanes, np.int32),
    )
