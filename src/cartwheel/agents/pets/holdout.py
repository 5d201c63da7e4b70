"""Which rows of the buffer are held out: never trained on, they say when a fit has gone far enough.

A row is held out or not by its number in the buffer, and rows only ever come behind the others: so whether a row is
held out stays the same through an agent's life, in every copy of the agent, and at every size of the buffer. The
numbers are spread by the golden ratio (Knuth 1973, multiplicative hashing), so any stretch of rows, however short,
gives its share.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.hypers import PetsShape

_GOLDEN_RATIO = 2654435769
"""2^32 divided by the golden ratio."""


def is_held_out(capacity: int, holdout_ratio: float) -> NDArray[np.bool_]:
    """For every row of a buffer [capacity] whether it is held out."""
    spread = (np.arange(1, capacity + 1, dtype=np.uint64) * _GOLDEN_RATIO) % 2**32
    return spread < holdout_ratio * 2**32


def training_rows(shape: PetsShape) -> NDArray[np.int32]:
    """The numbers of the rows that may be trained on, in order."""
    return np.flatnonzero(~is_held_out(shape.capacity, shape.holdout_ratio)).astype(np.int32)


def judging_rows(shape: PetsShape) -> NDArray[np.int32]:
    """The numbers of the rows that networks are judged by, in order: those held out, or all if none ever is."""
    held_out = np.flatnonzero(is_held_out(shape.capacity, shape.holdout_ratio)).astype(np.int32)
    return held_out if shape.holdout_ratio > 0.0 else training_rows(shape)


def count_below(rows: NDArray[np.int32], num_rows: Any, xp: Any = jnp) -> Any:
    """How many of these row numbers (in order) lie below ``num_rows``: so many rows are there.

    ``xp`` is the array library: ``jax.numpy`` inside a program, ``numpy`` on the host.
    """
    return xp.searchsorted(xp.asarray(rows), num_rows)
