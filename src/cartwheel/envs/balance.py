"""A pole to be balanced on a cart by a continuous force: the environment, and its equations of motion.

Barto, Sutton & Anderson 1983, with the constants and the explicit Euler steps of Gymnasium's CartPole-v1, whose two
actions push with -10 N and 10 N; here any force between them can be chosen, as in mbrl-lib's cartpole.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from cartwheel.envs.classic import MAX_BALANCE_POSITION, MAX_BALANCE_RADIANS

GRAVITY = 9.8
CART_KG, POLE_KG = 1.0, 0.1
HALF_POLE_M = 0.5
FORCE_N = 10.0
STEP_S = 0.02
START_RANGE = 0.05


def advance(states: NDArray[Any], actions: NDArray[Any]) -> NDArray[Any]:
    """States [..., 4] one step after actions [..., 1] in [-1, 1]: x, its velocity, angle from upright, its velocity."""
    _, x_velocity, angle, angle_velocity = np.moveaxis(states, -1, 0)
    sine, cosine, total = np.sin(angle), np.cos(angle), CART_KG + POLE_KG
    force = FORCE_N * np.clip(actions[..., 0], -1.0, 1.0)
    push = (force + POLE_KG * HALF_POLE_M * angle_velocity**2 * sine) / total
    angle_acceleration = (GRAVITY * sine - cosine * push) / (HALF_POLE_M * (4 / 3 - POLE_KG * cosine**2 / total))
    x_acceleration = push - POLE_KG * HALF_POLE_M * angle_acceleration * cosine / total
    rates = np.stack([x_velocity, x_acceleration, angle_velocity, angle_acceleration], axis=-1)
    return np.asarray(states + STEP_S * rates)


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
        self._state = advance(self._state, np.asarray(action, np.float64))
        x, _, angle, _ = np.abs(self._state)
        return self._state.copy(), 1.0, bool(x > MAX_BALANCE_POSITION or angle > MAX_BALANCE_RADIANS), False, {}
