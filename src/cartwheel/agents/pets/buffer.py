"""The replay buffer: every transition of an agent's life, in order, in arrays of fixed capacity.

C capacity   T episode length   O observation   A action
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from cartwheel.envs.tasks import Task


class Transitions(eqx.Module):
    """Rows of (obs, action, next_obs); where they are learned, what was paid and whether it terminated (1 or 0)."""

    obs: Float[Array, "T O"]
    action: Float[Array, "T A"]
    next_obs: Float[Array, "T O"]
    reward: Float[Array, " T"] | None = None
    terminated: Float[Array, " T"] | None = None


class Buffer(eqx.Module):
    """The first ``num_rows`` rows of ``rows`` are real; what is behind them is unspecified."""

    rows: Transitions
    num_rows: Int[Array, ""]


def host_transitions(obs: Any, action: Any, next_obs: Any, reward: Any = None, terminated: Any = None) -> Transitions:
    """Rows as NumPy arrays, on their way to or from a device."""
    return Transitions(obs, action, next_obs, reward, terminated)


def row_shapes(task: Task) -> dict[str, tuple[int, ...]]:
    """The shape of one row of each column that is kept for a task."""
    shapes: dict[str, tuple[int, ...]] = {
        "obs": (task.obs_size,),
        "action": (task.action_size,),
        "next_obs": (task.obs_size,),
    }
    if task.learns_reward:
        shapes["reward"] = ()
    if task.learns_termination:
        shapes["terminated"] = ()
    return shapes


def init_buffer(capacity: int, task: Task) -> Buffer:
    """An empty buffer."""
    columns = {name: jnp.zeros((capacity, *shape), jnp.float32) for name, shape in row_shapes(task).items()}
    return Buffer(Transitions(**columns), jnp.zeros((), jnp.int32))


def append(buffer: Buffer, episode: Transitions, length: Int[Array, ""]) -> Buffer:
    """Add the first ``length`` rows of an episode [T].

    The caller makes sure that ``num_rows + T`` fits the capacity: whole episodes are written, and the next one
    overwrites what lies behind ``length``. Where it does not fit, no row changes.
    """

    def put(old: Array, new: Array) -> Array:
        fits = buffer.num_rows + new.shape[0] <= old.shape[0]
        there = lax.dynamic_slice_in_dim(old, buffer.num_rows, new.shape[0], axis=0)
        return lax.dynamic_update_slice_in_dim(old, jnp.where(fits, new, there), buffer.num_rows, axis=0)

    return Buffer(jax.tree.map(put, buffer.rows, episode), buffer.num_rows + length)
