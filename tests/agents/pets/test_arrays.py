"""An agent's state as named arrays: a round trip, and nothing that does not fit gets in."""

from typing import Any

import jax
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import arrays
from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Transitions
from hand_made import POSITION, TINY


@pytest.fixture(scope="module")
def state() -> PetsState:
    """A fresh agent, every number of it different."""
    fresh = pets.init(POSITION, TINY, jax.random.key(0))
    rng = np.random.default_rng(0)

    def noisy(leaf: Any) -> Any:
        return np.asarray(leaf) if leaf.dtype != np.float32 else rng.normal(size=leaf.shape).astype(np.float32)

    return jax.tree.map(noisy, fresh)


def test_every_part_comes_back_as_it_was(state: PetsState) -> None:
    """to_arrays and part_from_arrays are inverse, bit for bit, type for type."""
    named = arrays.to_arrays(state)
    template = jax.tree.map(np.zeros_like, state)
    for part in arrays.PARTS:
        back = arrays.part_from_arrays(template, part, named)
        assert jax.tree.structure(back) == jax.tree.structure(getattr(state, part))
        for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(getattr(state, part)), strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    assert not any(name.startswith("replay") for name in named)
    assert all(isinstance(array, np.ndarray) for array in named.values())


def test_what_does_not_fit_is_refused(state: PetsState) -> None:
    """A missing array, another shape or another type is an error that names the array."""
    named = arrays.to_arrays(state)
    name = "weights/.weights[0]"
    spoiled = {
        "is missing": {key: value for key, value in named.items() if key != name},
        r"is float32\[2, 2, 7\]": {**named, name: named[name][:, :, :7]},
        r"is float64\[2, 2, 8\]": {**named, name: named[name].astype(np.float64)},
    }
    for message, bad in spoiled.items():
        with pytest.raises(ValueError, match=rf"weights/\.weights\[0\] {message}, not float32\[2, 2, 8\]"):
            arrays.part_from_arrays(state, "weights", bad)


def shard(length: int, value: float) -> dict[str, np.ndarray]:
    rows = (np.full((length, 1), value, np.float32) for _ in range(3))
    return arrays.shard_to_arrays(Transitions(*rows))


def test_shards_fill_the_buffer_in_order(state: PetsState) -> None:
    """A buffer from shards holds their rows one episode after the other."""
    buffer = arrays.buffer_from_shards(state, [shard(3, 1.0), shard(2, 2.0)])
    assert int(buffer.num_rows) == 5
    assert buffer.num_rows.dtype == np.int32
    for rows in jax.tree.leaves(buffer.rows):
        assert rows.shape == (TINY.capacity, 1)
        assert rows[:5, 0].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs": np.zeros((3, 2), np.float32)}, r"obs is float32\[3, 2\]"),
        ({"action": np.zeros((2, 1), np.float32)}, r"action is float32\[2, 1\]"),
        ({"next_obs": np.zeros((3, 1), np.float64)}, r"next_obs is float64\[3, 1\]"),
        ({"junk": np.zeros(10**6, np.float32)}, "junk is not one of its columns"),
    ],
)
def test_shards_that_do_not_fit_are_refused(state: PetsState, change: dict[str, Any], message: str) -> None:
    """Rows of another size or type than the agent's are an error that says which."""
    with pytest.raises(ValueError, match=f"a replay shard does not fit the agent: {message}"):
        arrays.buffer_from_shards(state, [{**shard(3, 1.0), **change}])


def test_too_many_rows_are_refused(state: PetsState) -> None:
    """A replay longer than the buffer is an error, not cut."""
    together = [shard(TINY.capacity, 1.0), shard(1, 1.0)]
    with pytest.raises(ValueError, match=f"more than the buffer's {TINY.capacity} rows"):
        arrays.buffer_from_shards(state, together)
    with pytest.raises(ValueError, match=f"has {TINY.capacity + 1} rows; .* have {TINY.capacity}"):
        arrays.buffer_from_shards(state, [shard(TINY.capacity + 1, 1.0)])
    with pytest.raises(ValueError, match="is empty"):
        arrays.buffer_from_shards(state, [shard(0, 1.0)])
