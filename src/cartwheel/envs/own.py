"""Environments that Cartwheel brings along, registered with Gymnasium under ``cartwheel/``.

CartPole swing-up (Chua et al. 2018, physics from the numbers in the paper's release) and the line, a point mass that
a learner must bring to rest at the origin.
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray

from cartwheel.envs.tasks import CARTPOLE_SWINGUP, LINE

_ASSETS = Path(__file__).parent / "assets"


class CartPoleSwingUp(MujocoEnv):
    """A pole hangs from a cart on a rail: swing it up and keep it there.

    obs = [x, theta, x', theta'] with theta = 0 hanging; action = motor command in [-3, 3]; never terminates.
    """

    metadata = {  # noqa: RUF012  # an instance variable to Gymnasium
        "render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"],
        "render_fps": 25,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            str(_ASSETS / "cartpole_swingup.xml"),
            frame_skip=2,
            observation_space=Box(-np.inf, np.inf, (4,), np.float64),
            **kwargs,
        )

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float64], np.float64, bool, bool, dict[str, np.float64]]:
        self.do_simulation(action, self.frame_skip)
        obs = self._observe()
        tip = np.array([obs[0] - 0.6 * np.sin(obs[1]), -0.6 * np.cos(obs[1])])
        reward = np.exp(-np.sum((tip - [0.0, 0.6]) ** 2) / 0.36) - 0.01 * np.sum(np.square(action))
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]  # Gymnasium's own
        return obs, np.float64(reward), False, False, {}

    def reset_model(self) -> NDArray[np.float64]:
        self.set_state(  # type: ignore[no-untyped-call]  # Gymnasium's own
            self.init_qpos + self.np_random.normal(0.0, 0.1, self.model.nq),
            self.init_qvel + self.np_random.normal(0.0, 0.1, self.model.nv),
        )
        return self._observe()

    def _observe(self) -> NDArray[np.float64]:
        return np.concatenate([self.data.qpos, self.data.qvel])


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
        velocity = self._state[1] + float(action[0])
        self._state = np.array([self._state[0] + velocity, velocity])
        return self._state.copy(), -0.001 * float(self._state[0] ** 2), False, False, {}


def register() -> None:
    """Make our environments known to Gymnasium; harmless when repeated."""
    entries = ((CARTPOLE_SWINGUP, CartPoleSwingUp), (LINE, Line))
    for task, entry in entries:
        if task.env_id not in gymnasium.registry:
            place = f"{entry.__module__}:{entry.__qualname__}"
            gymnasium.register(task.env_id, entry_point=place, max_episode_steps=task.episode_length)
