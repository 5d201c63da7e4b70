"""An episode of every lane as one program, where the task's environment is a formula: nothing waits for the host.

The program goes on from where it was left, up to a step that the host names, so that a long episode can be stopped, and
its bits do not depend on how often that was asked.

    L lanes   T episode length   O observation   A action   R plans that are kept   H horizon (maximum)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from cartwheel.agents.pets.diagnostics import plan_steps
from cartwheel.engines.rollouts import Rollout, wild_action
from cartwheel.envs.task import Task

POLL_S = 0.5
"""So often, roughly, the host is asked whether to stop."""
COLUMNS = ("obs", "action", "next_obs", "reward", "terminated")


class Progress(NamedTuple):
    """Where the lanes are: their observations [L, O], planners' memories, which are still playing [L], and since."""

    t: Array
    obs: Array
    is_running: Array
    memory: Any
    lengths: Array  # [L]
    columns: dict[str, Array]  # [L, T, ...] each; behind the end of an episode zero
    plans: Array  # [L, R + 1, H, A]; the last place takes those that are not kept


def begin(task: Task, memory: Any, plans: Array) -> Progress:
    """Before the first step of lanes with these memories; ``plans`` [L, R, H, A] is empty. Nothing runs yet."""
    lanes, length = len(plans), task.episode_length

    def zeros(*size: int) -> Array:
        return jnp.zeros((lanes, length, *size), jnp.float32)

    columns = {"obs": zeros(task.obs_size), "action": zeros(task.action_size), "next_obs": zeros(task.obs_size)}
    return Progress(
        t=jnp.zeros((), jnp.int32),
        obs=jnp.zeros((lanes, task.obs_size), jnp.float32),
        is_running=jnp.zeros(lanes, bool),
        memory=memory,
        lengths=jnp.zeros(lanes, jnp.int32),
        columns={**columns, "reward": zeros(), "terminated": zeros()},
        plans=jnp.concatenate([plans, plans[:, :1]], axis=1),
    )


def played(task: Task, act: Callable[[Any, Array, Array], Any], now: Progress, stop: Array) -> Progress:
    """Every lane at step ``stop``, or at the end of its episode.

    ``act(memory, obs, t)`` is what all lanes do: actions, memories, plans.
    """
    kept = plan_steps(task.episode_length)
    place_of = jnp.asarray([kept.index(t) if t in kept else len(kept) for t in range(task.episode_length)])
    move = jax.vmap(partial(_outcome, task))

    def step(now: Progress) -> Progress:
        action, memory, plan = act(now.memory, now.obs, now.t)
        next_obs, reward, terminated = move(now.obs, action)
        row = {"obs": now.obs, "action": action, "next_obs": next_obs, "reward": reward, "terminated": terminated}
        columns = {name: _written(now.columns[name], row[name], now.is_running, now.t) for name in COLUMNS}
        is_usable = jnp.isfinite(action).all(1) & jnp.isfinite(next_obs).all(1) & jnp.isfinite(reward)
        plans = lax.dynamic_update_index_in_dim(now.plans, plan, place_of[now.t], 1)
        return Progress(
            t=now.t + 1,
            obs=jnp.where(now.is_running[:, None], next_obs, now.obs),
            is_running=now.is_running & is_usable & (terminated == 0.0),
            memory=memory,
            lengths=now.lengths + now.is_running.astype(jnp.int32),
            columns=columns,
            plans=plans,
        )

    at_stop: Progress = lax.while_loop(lambda now: (now.t < stop) & now.is_running.any(), step, now)
    return at_stop


def _outcome(task: Task, obs: Array, action: Array) -> tuple[Array, Array, Array]:
    """What follows for one lane, all of it float32."""
    assert task.equations is not None
    assert task.reward is not None
    assert task.terminated is not None
    next_obs = task.equations(obs, action, jnp)
    reward, terminated = task.reward(obs, action, next_obs), task.terminated(next_obs)
    return next_obs, jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, jnp.float32)


def _written(column: Array, row: Array, is_running: Array, t: Array) -> Array:
    lanes = is_running.reshape(-1, *(1,) * (row.ndim - 1))
    written: Array = lax.dynamic_update_index_in_dim(column, jnp.where(lanes, row, jnp.zeros_like(row)), t, 1)
    return written


def collect(now: Progress, rollout: Rollout) -> None:
    """Put what was played on the host; a lane whose last step had no usable outcome ends before it, and has failed."""
    columns, plans, lengths = jax.device_get((now.columns, now.plans, now.lengths))
    for name in COLUMNS:
        getattr(rollout, name)[:] = columns[name]
    rollout.plans[:] = plans[:, :-1]
    for lane in np.flatnonzero(lengths).tolist():
        length = int(lengths[lane])
        if not np.isfinite(rollout.action[lane, length - 1]).all():
            rollout.failures[lane] = wild_action(length)
            length -= 1
        rollout.cut(lane, length)
