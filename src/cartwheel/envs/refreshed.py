"""Gymnasium's environments whose body positions lag, with positions brought up to date after every step.

MuJoCo leaves positions of bodies and sites where its integrator last needed them, before the state is advanced for
the last time. Gymnasium's Ant takes its velocity from them, Reacher and InvertedDoublePendulum observe or pay them: by
up to 0.05 in Ant's reward, 5 mm in Reacher's observation and 0.2 in the pendulum's reward (measured), they are no
function of what is observed before and after a step, and no formula can give them. Here they are; the physics is
untouched.
"""

from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.inverted_double_pendulum_v5 import InvertedDoublePendulumEnv
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from gymnasium.spaces import Box
from numpy.typing import NDArray


class _Refreshed(MujocoEnv):
    def do_simulation(self, ctrl: Any, n_frames: int) -> None:
        super().do_simulation(ctrl, n_frames)
        mujoco.mj_kinematics(self.model, self.data)


class Ant(_Refreshed, AntEnv):
    """Gymnasium's Ant-v5."""


class Reacher(_Refreshed, ReacherEnv):
    """Gymnasium's Reacher-v5."""


class InvertedDoublePendulum(_Refreshed, InvertedDoublePendulumEnv):
    """Gymnasium's InvertedDoublePendulum-v5, observing [x, 2 sines, 2 cosines, 3 velocities].

    Gymnasium clips the velocities at 10, though it pays for them unclipped, and adds the force of the rail's stops,
    which is no function of the state.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observation_space = Box(-np.inf, np.inf, (8,), np.float64)

    def _get_obs(self) -> NDArray[np.float64]:
        x, angles = self.data.qpos[:1], self.data.qpos[1:]
        return np.concatenate([x, np.sin(angles), np.cos(angles), self.data.qvel])
