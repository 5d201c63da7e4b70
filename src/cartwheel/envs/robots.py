"""Our MuJoCo environments: the paper's tasks, and walkers of our own.

Each is a start, an observation and a reward, computed in float64 from MuJoCo's own state and positions; the tasks'
formulas (``cartwheel.envs.locomotion`` and its neighbours) are written independently and held against them by tests.
Body positions are brought up to date after every step: MuJoCo leaves them where its integrator last needed them.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray

Vector = NDArray[np.float64]
_ASSETS = Path(__file__).parent / "assets"


class Robot(MujocoEnv):
    """A simulation that never terminates. ``model`` is a file of ours, or the name of one of Gymnasium's.

    ``_speed`` is the mean velocity of the first coordinate over the last step.
    """

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}  # noqa: RUF012  # as Gymnasium's

    def __init__(self, model: str | Path, frame_skip: int, obs_size: int, **kwargs: Any) -> None:
        space = Box(-np.inf, np.inf, (obs_size,), np.float64)
        super().__init__(str(model), frame_skip, observation_space=space, **kwargs)
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.dt)}
        self._speed = 0.0

    def step(self, action: NDArray[Any]) -> tuple[Vector, np.float64, bool, bool, dict[str, np.float64]]:
        x = self.data.qpos[0]
        self.do_simulation(action, self.frame_skip)
        self._speed = float(self.data.qpos[0] - x) / self.dt
        mujoco.mj_kinematics(self.model, self.data)
        reward = self._reward(np.asarray(action, np.float64))
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]  # Gymnasium's own
        return self._observe(), np.float64(reward), False, False, {}

    def reset_model(self) -> Vector:
        self.set_state(*self._start())  # type: ignore[no-untyped-call]  # Gymnasium's own
        self._speed = 0.0
        return self._observe()

    @abstractmethod
    def _start(self) -> tuple[Vector, Vector]:
        """Random ``qpos`` and ``qvel`` of a new episode."""

    @abstractmethod
    def _observe(self) -> Vector:
        """The observation now."""

    @abstractmethod
    def _reward(self, action: Vector) -> float:
        """What the step that has just been made pays."""


class CartPoleSwingUp(Robot):
    """A pole hangs from a cart on a rail: swing it up and keep it there (Chua et al. 2018).

    obs = [x, theta, x', theta'] with theta = 0 hanging; action = motor command in [-3, 3].
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_ASSETS / "cartpole_swingup.xml", 2, 4, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        return self.np_random.normal(self.init_qpos, 0.1), self.np_random.normal(self.init_qvel, 0.1)

    def _observe(self) -> Vector:
        return np.concatenate([self.data.qpos, self.data.qvel])

    def _reward(self, action: Vector) -> float:
        x, theta = self.data.qpos
        miss = np.array([x - 0.6 * np.sin(theta), -0.6 * np.cos(theta)]) - [0.0, 0.6]
        return float(np.exp(-np.sum(miss**2) / 0.36) - 0.01 * np.sum(action**2))


class PetsHalfCheetah(Robot):
    """Gymnasium's cheetah as PETS used it: obs = [v, qpos[1:], qvel], v the mean velocity over the step."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("half_cheetah.xml", 5, 18, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        """Noise 0.1 as in Zhang et al. 2021; Chua et al. 2018 had 0.001."""
        qpos = self.init_qpos + self.np_random.uniform(-0.1, 0.1, self.model.nq)
        return qpos, self.init_qvel + 0.1 * self.np_random.standard_normal(self.model.nv)

    def _observe(self) -> Vector:
        return np.concatenate([[self._speed], self.data.qpos[1:], self.data.qvel])

    def _reward(self, action: Vector) -> float:
        return self._speed - 0.1 * float(np.sum(action**2))


class PetsHopper(Robot):
    """Gymnasium's hopper as Zhang et al. 2021 used it: obs = [v, qpos[1:], clipped qvel], and it may lie down."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("hopper.xml", 4, 12, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        noise = self.np_random.uniform(-5e-3, 5e-3, (2, self.model.nq))
        return self.init_qpos + noise[0], self.init_qvel + noise[1]

    def _observe(self) -> Vector:
        velocities = np.clip(self.data.qvel, -10.0, 10.0)
        return np.concatenate([[self._speed], self.data.qpos[1:], velocities])

    def _reward(self, action: Vector) -> float:
        state = self.state_vector()
        is_upright = np.isfinite(state).all() and (np.abs(state[2:]) < 100.0).all()
        is_upright = is_upright and state[1] > 0.7 and abs(state[2]) < 0.2
        return self._speed - 0.001 * float(np.sum(action**2)) + float(is_upright)


class PetsReacher3D(Robot):
    """A seven-jointed arm reaches for a point in space (Chua et al. 2018): obs = [qpos, qvel of the arm]."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_ASSETS / "reacher3d.xml", 2, 17, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        """The arm at rest, the goal somewhere around (0, 0.25, 0)."""
        qpos, qvel = self.init_qpos.copy(), self.init_qvel.copy()
        qpos[7:] = self.np_random.normal([0.0, 0.25, 0.0], 0.1)
        return qpos, qvel

    def _observe(self) -> Vector:
        return np.concatenate([self.data.qpos, self.data.qvel[:7]])

    def _reward(self, action: Vector) -> float:
        miss = self.data.site("end_effector").xpos - self.data.body("goal").xpos
        return -float(np.sum(miss**2)) - 0.01 * float(np.sum(action**2))


class PetsPusher(Robot):
    """Gymnasium's arm pushes an object to a goal, as in Chua et al. 2018 but paid for the state after the step.

    The model is ``pusher_v5.xml``, whose object is heavier (density 0.01) than that of the original (0.00001).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("pusher_v5.xml", 4, 20, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        qpos, qvel = self.init_qpos.copy(), self.init_qvel.copy()
        qpos[-4:-2] = self.np_random.normal([-0.25, 0.15], 0.025)
        qvel[:7] += self.np_random.uniform(-0.005, 0.005, 7)
        return qpos, qvel

    def _observe(self) -> Vector:
        places = [self.data.body(name).xpos for name in ("tips_arm", "object")]
        return np.concatenate([self.data.qpos[:7], self.data.qvel[:7], *places])

    def _reward(self, action: Vector) -> float:
        tip, thing, goal = (self.data.body(name).xpos for name in ("tips_arm", "object", "goal"))
        near, far = np.sum(np.abs(tip - thing)), np.sum(np.abs(thing - goal))
        return -float(0.5 * near + 1.25 * far) - 0.1 * float(np.sum(action**2))


class Walker(Robot):
    """A robot of ours on legs of two servos each; obs = [qpos, qvel]. Walk towards positive x."""

    def __init__(self, num_legs: int, **kwargs: Any) -> None:
        name = {4: "quadruped", 6: "hexapod"}[num_legs]
        super().__init__(_ASSETS / f"{name}.xml", 10, 13 + 4 * num_legs, **kwargs)

    def _start(self) -> tuple[Vector, Vector]:
        """Standing, joints and their velocities a little off."""
        qpos, qvel = self.init_qpos.copy(), self.init_qvel.copy()
        qpos[7:] += self.np_random.uniform(-0.02, 0.02, self.model.nu)
        qvel[6:] += self.np_random.uniform(-0.02, 0.02, self.model.nu)
        return qpos, qvel

    def _observe(self) -> Vector:
        return np.concatenate([self.data.qpos, self.data.qvel])

    def _reward(self, action: Vector) -> float:
        return self._speed - 0.02 * float(np.sum(action**2))
