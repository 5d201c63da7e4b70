"""The replay buffer: every transition of an agent's life, in order, in arrays of fixed capacity.

C capacity   T episode length   O observation   A action
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int


class Transitions(eqx.Module):
    """Rows of (obs, action, next_obs)."""

    obs: Float[Array, "T O"]
    action: Float[Array, "T A"]
    next_obs: Float[Array, "T O"]


class Buffer(eqx.Module):
    """The first ``num_rows`` rows of ``rows`` are real; what is behind them is unspecified."""

    rows: Transitions
    num_rows: Int[Array, ""]


def host_transitions(obs: Any, action: Any, next_obs: Any) -> Transitions:
    """Rows as NumPy arrays, on their way to or from a device."""
    return Transitions(obs, action, next_obs)


def init_buffer(capacity: int, obs_size: int, action_size: int) -> Buffer:
    """An empty buffer."""
    obs = jnp.zeros((capacity, obs_size), jnp.float32)
    action = jnp.zeros((capacity, action_size), jnp.float32)
    return Buffer(Transitions(obs, action, obs), jnp.zeros((), jnp.int32))


def append(buffer: Buffer, episode: Transitions, length: Int[Array, ""]) -> Buffer:
    """Add the first ``length`` rows of an episode [T].

    The caller makes sure that ``num_rows + T`` fits the capacity: whole episodes are written, and the next one
    overwrites what lies behind ``length``.
    """
    rows = Transitions(
        *(
            lax.dynamic_update_slice_in_dim(old, new, buffer.num_rows, axis=0)
            for old, new in (
                (buffer.rows.obs, episode.obs),
                (buffer.rows.action, episode.action),
                (buffer.rows.next_obs, episode.next_obs),
            )
        )
    )
    return Buffer(rows, buffer.num_rows + length)
