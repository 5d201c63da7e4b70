"""A pole to be balanced on a cart by a continuous force."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from cartwheel.envs.classic import MAX_BALANCE_POSITION, MAX_BALANCE_RADIANS
from cartwheel.envs.equations import pole

START_RANGE = 0.05


class CartPoleBalance(gymnasium.Env[NDArray[np.float64], NDArray[np.float32]]):
    """Pays 1 for every step, also for the last: the one that leaves |x| <= 2.4 or |angle| <= 12 degrees."""

    metadata = {"render_modes": []}  # noqa: RUF012  # an instance variable to Gymnasium

    def __init__(self) -> None:
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float64)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self._state = np.zeros(4)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._state = self.np_random.uniform(-START_RANGE, START_RANGE, 4)
        return self._state.copy(), {}

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        self._state = pole(self._state, np.asarray(action, np.float64), np)
        x, _, angle, _ = np.abs(self._state)
        return self._state.copy(), 1.0, bool(x > MAX_BALANCE_POSITION or angle > MAX_BALANCE_RADIANS), False, {}
