"""An agent's state as named arrays and back: what a checkpoint file holds. No code is ever stored.

Names are ``part/path``, e.g. ``weights/.weights[0]``. The replay buffer travels apart, one shard per episode.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Buffer, Transitions, host_transitions
from cartwheel.agents.pets.hypers import HostArray

PARTS = ("weights", "optimizer", "normaliser")
"""The parts of a state that a checkpoint file holds; the fourth, ``replay``, is a list of shards."""

Arrays = Mapping[str, NDArray[Any]]


class HasShape(Protocol):
    """An array, or what is known of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def to_arrays(state: PetsState) -> dict[str, NDArray[Any]]:
    """The weights, optimizer and normaliser of one agent."""
    return {name: np.asarray(leaf) for part in PARTS for name, leaf in _named(state, part)}


def require_part(template: PetsState, part: str, found: Mapping[str, HasShape]) -> None:
    """``found``: arrays by name, or what a file claims to hold.

    Raises ValueError if an array is missing, has another shape or type than this agent's, or is not one of them:
    optimisers differ in what they remember, and one's memory is not another's.
    """
    expected = dict(_named(template, part))
    for name, like in expected.items():
        own = found.get(name)
        if own is None or own.shape != like.shape or own.dtype != like.dtype:
            what = "is missing" if own is None else f"is {own.dtype}{list(own.shape)}"
            raise ValueError(
                f"the checkpoint does not fit the agent: {name} {what}, not {like.dtype}{list(like.shape)}"
            )
    surplus = [name for name in found if name.startswith(f"{part}/") and name not in expected]
    if surplus:
        raise ValueError(f"the checkpoint does not fit the agent: {min(surplus)} is not one of its arrays")


def part_from_arrays(template: PetsState, part: str, arrays: Arrays) -> Any:
    """One part, from the arrays of a checkpoint. Raises ValueError as ``require_part``."""
    require_part(template, part, arrays)
    own = getattr(template, part)
    return jax.tree.unflatten(jax.tree.structure(own), [arrays[name] for name, _ in _named(template, part)])


def shard_to_arrays(episode: Transitions) -> dict[str, NDArray[Any]]:
    """The transitions of one episode."""
    return {name: np.asarray(column) for name, column in _columns(episode).items()}


def require_shard(template: PetsState, found: Mapping[str, HasShape], max_rows: int | None = None) -> int:
    """How many transitions a shard holds: an episode's, so at least one and at most ``max_rows`` (None: the buffer's).

    ``found`` as for ``require_part``. Raises ValueError if its columns are not those of the agent's buffer.
    """
    columns = _columns(template.replay.rows)
    length = found["obs"].shape[0] if "obs" in found and found["obs"].shape else 0
    for name, column in columns.items():
        own = found.get(name)
        if own is None or own.shape != (length, *column.shape[1:]) or own.dtype != np.float32:
            what = "is missing" if own is None else f"is {own.dtype}{list(own.shape)}"
            raise ValueError(f"a replay shard does not fit the agent: {name} {what}")
    surplus = found.keys() - columns.keys()
    if surplus:
        raise ValueError(f"a replay shard does not fit the agent: {min(surplus)} is not one of its columns")
    most = len(columns["obs"]) if max_rows is None else max_rows
    if length == 0:
        raise ValueError("a replay shard is empty, and no episode is")
    if length > most:
        raise ValueError(f"a replay shard has {length} rows; an episode, and what is left of the buffer, have {most}")
    return length


def buffer_from_shards(template: PetsState, shards: Iterable[Arrays]) -> Buffer:
    """The buffer that these episodes fill, in this order; they are asked for one at a time.

    Raises ValueError if they do not fit the agent's sizes or capacity.
    """
    full = {name: np.zeros(column.shape, np.float32) for name, column in _columns(template.replay.rows).items()}
    count = 0
    for shard in shards:
        length = require_shard(template, shard)
        for name, array in full.items():
            if count + length > len(array):
                raise ValueError(f"the replay needs more than the buffer's {len(array)} rows")
            array[count : count + length] = shard[name]
        count += length
    num_rows: HostArray = np.asarray(count, np.int32)
    return Buffer(host_transitions(**full), num_rows)


def _named(state: PetsState, part: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a part, in the order of its leaves."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(state, part)):
        yield f"{part}/{jax.tree_util.keystr(path)}", leaf


def _columns(rows: Transitions) -> dict[str, Any]:
    """The columns that are kept."""
    columns = {field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)}
    return {name: column for name, column in columns.items() if column is not None}
