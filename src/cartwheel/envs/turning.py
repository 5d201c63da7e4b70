"""Full turns of a trunk: of one on a hinge, whose angle grows without end, and of one that is free in space.

A free trunk has a quaternion, which comes back to the same values. What counts there is where the world's vertical
points as the trunk sees it: turning about the vertical leaves it where it is, turning over about any horizontal axis
takes it round a great circle. A turn is complete when the trunk, having been upside down, is upright again on the other
side; who rocks back on the side on which it fell has made none. Upright is how the episode began. Between two looks a
free trunk must turn by less than half a turn.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

COS_TILTED = 0.5
"""Within 60 degrees of how it began a trunk is upright, within 60 degrees of the opposite it is upside down."""
_QUATERNION = 3
"""Of a free joint's entries of ``qpos`` the first of its quaternion (w, x, y, z): the place comes first."""


class Turns(Protocol):
    """Counts the full turns of a trunk in one episode."""

    num_turns: int

    def see(self, qpos: Vector) -> None:
        """The state after a step."""


def turns_of(model: Any, qpos: Vector, angle: int | None) -> Turns | None:
    """What counts from this state on: ``angle`` is the entry of ``qpos`` that a task says is its trunk's.

    Without one, the root of a robot whose first joint is free; None where there is no trunk.
    """
    if angle is not None:
        return HingeTurns(angle, float(qpos[angle]))
    if model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
        return FreeTurns(_vertical(qpos))
    return None


@dataclass(slots=True)
class HingeTurns:
    """``turned_at``: the angle at which the last full turn was complete, in either direction."""

    entry: int
    turned_at: float
    num_turns: int = 0

    def see(self, qpos: Vector) -> None:
        angle = float(qpos[self.entry])
        full_turns = math.trunc((angle - self.turned_at) / math.tau) if math.isfinite(angle) else 0
        self.num_turns += abs(full_turns)
        self.turned_at += math.tau * full_turns


@dataclass(slots=True)
class FreeTurns:
    """``upright``: the world's vertical as the trunk saw it at first, of length 1.

    ``_fell_to``, ``_lies_to``: the side to which it tilted when it left upright, and the one to which it tilts now.
    """

    upright: Vector
    num_turns: int = 0
    _fell_to: Vector | None = None
    _lies_to: Vector | None = None
    _was_upside_down: bool = False

    def see(self, qpos: Vector) -> None:
        vertical = _vertical(qpos)
        cos = float(vertical @ self.upright)
        if cos > COS_TILTED:
            if self._fell_to is not None and self._lies_to is not None and self._was_upside_down:
                self.num_turns += int(self._fell_to @ self._lies_to < 0)
            self._fell_to, self._lies_to, self._was_upside_down = None, None, False
            return
        self._lies_to = vertical - cos * self.upright
        self._fell_to = self._lies_to if self._fell_to is None else self._fell_to
        self._was_upside_down |= cos < -COS_TILTED


def _vertical(qpos: Vector) -> Vector:
    """[3]: the third row of a free joint's rotation matrix, which is the world's vertical in its body's frame."""
    w, x, y, z = qpos[_QUATERNION : _QUATERNION + 4].tolist()
    return np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])
