"""True dynamics as a planner's model: what would happen if these actions were executed from here?

With the true dynamics the planner's return is a ceiling: what is missing below it is the model's. MuJoCo tasks are
rolled out by ``mujoco.rollout`` from the environment's own state, the others by their equations of motion.

    C plans   H steps   O observation   A action
"""

import os
from collections.abc import Callable
from typing import Any

import mujoco
import mujoco.rollout
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from numpy.typing import NDArray

from cartwheel.envs import balance
from cartwheel.envs.pool import WatchedEnv
from cartwheel.envs.task import Task

Rollout = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""(obs [O], actions [C, H, A]) -> next observations [C, H, O]."""


def true_dynamics(env: WatchedEnv, on_broken: Callable[[int], None] = lambda num_plans: None) -> Rollout:
    """Rollouts from the state that ``env`` is in when called. Raises ValueError for a task without known dynamics.

    ``on_broken`` is told in how many plans of a call MuJoCo gave up: their observations stay as they were then.
    """
    inner = env.env.unwrapped
    if isinstance(inner, MujocoEnv):
        return _mujoco_rollout(env.task, inner, on_broken)
    equations = _EQUATIONS.get(env.task.id)
    if equations is None:
        raise ValueError(f"env_id {env.task.id!r}: its true dynamics are not known; use a MuJoCo task")
    return _equation_rollout(equations)


def _mujoco_rollout(task: Task, env: Any, on_broken: Callable[[int], None]) -> Rollout:
    model, size = env.model, mujoco.mjtState.mjSTATE_FULLPHYSICS
    pool = mujoco.rollout.Rollout(nthread=os.cpu_count() or 1)
    data = [mujoco.MjData(model) for _ in range(os.cpu_count() or 1)]
    state = np.empty(mujoco.mj_stateSize(model, size))
    if task.observe(env.data.qpos, env.data.qpos, env.data.qvel).shape[-1] != task.obs_size:
        raise ValueError(f"env_id {task.id!r}: its observation is not known as a function of MuJoCo's state")
    first = 1  # the full physics state begins with the time

    def roll_out(obs: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float32]:
        num_plans = len(actions)
        mujoco.mj_getState(model, env.data, state, size)
        control = np.repeat(actions.astype(np.float64), env.frame_skip, axis=1)
        states, _ = pool.rollout(
            model,
            data,
            np.tile(state, (num_plans, 1)),
            control,
            # the solver of contacts starts where the environment's would: else the two drift apart
            initial_warmstart=np.tile(env.data.qacc_warmstart, (num_plans, 1)),
        )
        # a rollout that raises a warning is filled up with its last state: its clock stands still
        end_s = env.data.time + (control.shape[1] - 0.5) * model.opt.timestep
        if num_broken := int(np.sum(~(states[:, -1, 0] > end_s))):
            on_broken(num_broken)
        after = states[:, env.frame_skip - 1 :: env.frame_skip, first : first + model.nq + model.nv]
        qpos, qvel = after[..., : model.nq], after[..., model.nq :]
        start = np.broadcast_to(env.data.qpos, (num_plans, 1, model.nq))
        return task.observe(np.concatenate([start, qpos[:, :-1]], axis=1), qpos, qvel).astype(np.float32)

    return roll_out


def _equation_rollout(equations: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]) -> Rollout:
    def roll_out(obs: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float32]:
        states = np.tile(obs.astype(np.float64), (len(actions), 1))
        steps = []
        for t in range(actions.shape[1]):
            states = equations(states, actions[:, t].astype(np.float64))
            steps.append(states)
        return np.stack(steps, axis=1).astype(np.float32)

    return roll_out


def _pendulum(obs: NDArray[Any], action: NDArray[Any]) -> NDArray[Any]:
    """Gymnasium's Pendulum-v1: g = 10, m = l = 1, dt = 0.05, semi-implicit Euler, |t'| <= 8."""
    angle, velocity = np.arctan2(obs[:, 1], obs[:, 0]), obs[:, 2]
    torque = np.clip(action[:, 0], -2.0, 2.0)
    velocity = np.clip(velocity + (15.0 * np.sin(angle) + 3.0 * torque) * 0.05, -8.0, 8.0)
    angle = angle + velocity * 0.05
    return np.stack([np.cos(angle), np.sin(angle), velocity], axis=1)


def _mountain_car(obs: NDArray[Any], action: NDArray[Any]) -> NDArray[Any]:
    """Gymnasium's MountainCarContinuous-v0: a wall on the left, |v| <= 0.07."""
    push = 0.0015 * np.clip(action[:, 0], -1.0, 1.0)
    velocity = np.clip(obs[:, 1] + push - 0.0025 * np.cos(3.0 * obs[:, 0]), -0.07, 0.07)
    position = np.clip(obs[:, 0] + velocity, -1.2, 0.6)
    return np.stack([position, np.where((position == -1.2) & (velocity < 0.0), 0.0, velocity)], axis=1)


def _line(obs: NDArray[Any], action: NDArray[Any]) -> NDArray[Any]:
    velocity = obs[:, 1] + action[:, 0]
    return np.stack([obs[:, 0] + velocity, velocity], axis=1)


_EQUATIONS = {
    "cartpole-balance": balance.advance,
    "MountainCarContinuous-v0": _mountain_car,
    "Pendulum-v1": _pendulum,
    "line": _line,
}
