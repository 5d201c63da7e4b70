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
    if env.task.equations is None:
        raise ValueError(f"env_id {env.task.id!r}: its true dynamics are not known; use a MuJoCo task")
    return _equation_rollout(env.task.equations)


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


def _equation_rollout(equations: Callable[[Any, Any, Any], Any]) -> Rollout:
    def roll_out(obs: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float32]:
        states = np.tile(obs.astype(np.float64), (len(actions), 1))
        steps = []
        for t in range(actions.shape[1]):
            states = equations(states, actions[:, t].astype(np.float64), np)
            steps.append(states)
        return np.stack(steps, axis=1).astype(np.float32)

    return roll_out
