"""Reading a buffer up to its last row: sums, moments and sizes, against NumPy, whatever lies behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets.row_folds import ROW_CHUNK, fold_rows, moments, over_prefix


def make(capacity: int, num_rows: int) -> tuple[np.ndarray, jax.Array, jax.Array]:
    """Rows with NaN behind the last, and which are present."""
    rows = np.random.default_rng(0).normal(3.0, 2.0, (capacity, 2)).astype(np.float32)
    rows[num_rows:] = np.nan
    return rows, jnp.asarray(rows), jnp.arange(capacity) < num_rows


@pytest.mark.parametrize(("capacity", "num_rows"), [(1, 1), (40, 25), (256, 256), (700, 513), (1000, 1), (1000, 1000)])
def test_every_row_is_visited_once(capacity: int, num_rows: int) -> None:
    """Also by the last chunk, which reaches back where the capacity is no multiple of a chunk."""
    _, rows, present = make(capacity, num_rows)
    numbers = jnp.arange(capacity)

    def mark(seen: jax.Array, chunk: tuple[jax.Array, jax.Array], flags: jax.Array) -> jax.Array:
        return seen.at[chunk[1]].add(flags.astype(jnp.int32))

    seen = fold_rows((rows, numbers), present, jnp.int32(num_rows), mark, jnp.zeros(capacity, jnp.int32))
    assert seen.tolist() == [1] * num_rows + [0] * (capacity - num_rows)


@pytest.mark.parametrize("num_rows", [1, 255, 257, 900])
def test_moments_are_numpys(num_rows: int) -> None:
    """Mean and deviation of what a function says of the rows, and the same bits under every bound."""
    real, rows, present = make(1000, num_rows)
    found = [moments(rows, present, bound, lambda chunk: chunk[:, ::-1]) for bound in (num_rows, 950, None)]
    expected = real[:num_rows, ::-1].astype(np.float64)
    np.testing.assert_allclose(found[0][0], expected.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found[0][1], expected.std(axis=0), rtol=1e-5, atol=1e-7)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_chunks_behind_the_bound_are_not_read() -> None:
    """Which is what makes a large buffer as cheap as a small one."""
    _, rows, _ = make(4 * ROW_CHUNK, 4 * ROW_CHUNK)
    count = fold_rows(rows, jnp.ones(len(rows), bool), 300, lambda n, chunk, flags: n + 1, jnp.int32(0))
    assert int(count) == 2


@pytest.mark.parametrize(
    ("capacity", "num_rows", "size"),
    [(20, 7, 20), (1000, 0, 256), (1000, 256, 256), (1000, 257, 512), (1000, 513, 1000), (1000, 1000, 1000)],
)
def test_the_smallest_size_that_holds_all_rows_is_computed(capacity: int, num_rows: int, size: int) -> None:
    """With zeros behind it, up to the capacity."""
    found = over_prefix(lambda n: jnp.full((2, n), n), capacity, jnp.int32(num_rows))
    assert found.tolist() == [[size] * size + [0] * (capacity - size)] * 2
