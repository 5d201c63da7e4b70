"""Reading a buffer at a cost that follows the rows in it, not its capacity.

Arrays have the buffer's capacity; a program that reads them whole costs as much for an almost empty buffer as for a
full one. Sums go over chunks of rows, as many as a bound says. What cannot be cut into chunks, such as a sort, is
computed for the smallest of a few sizes that holds all rows. Bounds are those of a cohort: a larger one than needed
costs time and changes no bit.

    N buffer capacity   C rows of a chunk   I values of a row
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

ROW_CHUNK = 256
"""So many rows are read at a time, and the smallest size is as large."""


def fold_rows(
    rows: Any,
    present: Bool[Array, " N"],
    num_rows: Int[Array, ""] | int,
    visit: Callable[[Any, Any, Bool[Array, " C"]], Any],
    start: Any,
) -> Any:
    """``visit(folded, chunk, present)`` for every chunk of the first ``num_rows`` rows, a pytree of arrays [N, ...]."""
    size = min(ROW_CHUNK, present.shape[0])
    last_begin = present.shape[0] - size

    def go_on(c: Array, folded: Any) -> Any:
        begin = jnp.minimum(c * size, last_begin)
        chunk, flags = jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, begin, size), (rows, present))
        is_new = begin + jnp.arange(size) >= c * size  # the last chunk may reach back into the one before
        return visit(folded, chunk, flags & is_new)

    return lax.fori_loop(0, -(-num_rows // size), go_on, start)


def moments(
    rows: Any,
    present: Bool[Array, " N"],
    num_rows: Int[Array, ""] | int | None = None,
    values_of: Callable[[Any], Float[Array, "C I"]] = lambda rows: rows,
) -> tuple[Float[Array, " I"], Float[Array, " I"]]:
    """Mean and standard deviation of what ``values_of`` says of the rows that are present.

    Sums are over distances from the first row: in float32 large offsets would cost their digits, and a constant
    dimension would get a spread of rounding errors.
    """
    num_rows = present.shape[0] if num_rows is None else num_rows
    first = values_of(jax.tree.map(lambda leaf: leaf[:1], rows))
    count = jnp.maximum(jnp.sum(present), 1).astype(jnp.float32)

    def mean_of(term: Callable[[Array], Array]) -> Array:
        def add(total: Array, chunk: Any, flags: Array) -> Array:
            # where first, so that nothing behind the rows reaches the arithmetic
            distance = jnp.where(flags[:, None], values_of(chunk) - first, 0.0)
            return total + jnp.sum(jnp.where(flags[:, None], term(distance), 0.0), axis=0)

        total: Array = fold_rows(rows, present, num_rows, add, jnp.zeros(first.shape[1], jnp.float32))
        return total / count

    shift = mean_of(lambda distance: distance)
    variance = mean_of(lambda distance: jnp.square(distance - shift[None]))
    return first[0] + shift, jnp.sqrt(variance)


def over_prefix(compute: Callable[[int], Array], capacity: int, num_rows: Int[Array, ""] | int) -> Array:
    """``compute(n)`` [..., n] for the smallest n of a few that is not below ``num_rows``; zeros behind, [..., N].

    The sizes are powers of two times ``ROW_CHUNK`` and the capacity. ``compute`` must say the same of the first
    ``num_rows`` entries whatever n is.
    """
    doublings = itertools.takewhile(lambda size: size < capacity, (ROW_CHUNK * 2**k for k in itertools.count()))
    sizes = [*doublings, capacity]

    def padded(size: int) -> Array:
        found = compute(size)
        return jnp.pad(found, [(0, 0)] * (found.ndim - 1) + [(0, capacity - size)])

    which = jnp.sum(jnp.asarray(sizes[:-1], jnp.int32) < num_rows)
    found: Array = lax.switch(which, [lambda size=size: padded(size) for size in sizes])
    return found
