"""Environments that Cartwheel brings along, registered with Gymnasium under ``cartwheel/``.

The MuJoCo ones are in ``robots`` and ``refreshed``, the balanced pole in ``balance``; here is the line, a point mass to
be brought to rest at the origin.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from cartwheel.envs import balance, refreshed, robots, tasks
from cartwheel.envs.equations import line
from cartwheel.envs.tasks import Task


class Line(gymnasium.Env[NDArray[np.float64], NDArray[np.float32]]):
    """A point on a line starts at 1; the action is added to its velocity, the velocity to its position.

    reward = -0.001 x^2, so doing nothing for 30 steps scores -0.030 (the learning gate of mbrl-lib's tests).
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # an instance variable to Gymnasium

    def __init__(self) -> None:
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self._state = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._state = np.array([1.0, 0.0])
        return self._state.copy(), {}

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        self._state = line(self._state, np.asarray(action, np.float64), np)
        return self._state.copy(), -0.001 * float(self._state[0] ** 2), False, False, {}


_ENTRIES: tuple[tuple[Task, type[gymnasium.Env[Any, Any]], dict[str, Any]], ...] = (
    (tasks.ANT, refreshed.Ant, {}),
    (tasks.CARTPOLE_BALANCE, balance.CartPoleBalance, {}),
    (tasks.CARTPOLE_SWINGUP, robots.CartPoleSwingUp, {}),
    (tasks.HEXAPOD, robots.Walker, {"num_legs": 6}),
    (tasks.INVERTED_DOUBLE_PENDULUM, refreshed.InvertedDoublePendulum, {}),
    (tasks.LINE, Line, {}),
    (tasks.PETS_HALFCHEETAH, robots.PetsHalfCheetah, {}),
    (tasks.PETS_HOPPER, robots.PetsHopper, {}),
    (tasks.PETS_PUSHER, robots.PetsPusher, {}),
    (tasks.PETS_REACHER3D, robots.PetsReacher3D, {}),
    (tasks.QUADRUPED, robots.Walker, {"num_legs": 4}),
    (tasks.REACHER, refreshed.Reacher, {}),
)


def register() -> None:
    """Make our environments known to Gymnasium; harmless when repeated."""
    for task, entry, kwargs in _ENTRIES:
        if task.env_id not in gymnasium.registry:
            place = f"{entry.__module__}:{entry.__qualname__}"
            gymnasium.register(task.env_id, entry_point=place, max_episode_steps=task.episode_length, kwargs=kwargs)
