"""An agent's state as named arrays and back: what a checkpoint file holds. No code is ever stored.

Names are ``part/path``, e.g. ``weights/.weights[0]``. The replay buffer travels apart, one shard per episode.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Buffer, Transitions, host_transitions
from cartwheel.agents.pets.hypers import HostArray

PARTS = ("weights", "optimizer", "normaliser")
"""The parts of a state that a checkpoint file holds; the fourth, ``replay``, is a list of shards."""

Arrays = Mapping[str, NDArray[Any]]


def to_arrays(state: PetsState) -> dict[str, NDArray[Any]]:
    """The weights, optimizer and normaliser of one agent."""
    named: dict[str, NDArray[Any]] = {}
    for part in PARTS:
        for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(state, part)):
            named[f"{part}/{jax.tree_util.keystr(path)}"] = np.asarray(leaf)
    return named


def part_from_arrays(template: PetsState, part: str, arrays: Arrays) -> Any:
    """One part, from the arrays of a checkpoint.

    Raises ValueError if an array is missing, has another shape or type than this agent's, or is not one of them:
    optimisers differ in what they remember, and one's memory is not another's.
    """
    expected = set[str]()

    def leaf_from(path: Any, like: Any) -> NDArray[Any]:
        name = f"{part}/{jax.tree_util.keystr(path)}"
        expected.add(name)
        found = arrays.get(name)
        if found is None or found.shape != like.shape or found.dtype != like.dtype:
            what = "is missing" if found is None else f"is {found.dtype}{list(found.shape)}"
            raise ValueError(
                f"the checkpoint does not fit the agent: {name} {what}, not {like.dtype}{list(like.shape)}"
            )
        return found

    found = jax.tree_util.tree_map_with_path(leaf_from, getattr(template, part))
    surplus = [name for name in arrays if name.startswith(f"{part}/") and name not in expected]
    if surplus:
        raise ValueError(f"the checkpoint does not fit the agent: {min(surplus)} is not one of its arrays")
    return found


def shard_to_arrays(episode: Transitions) -> dict[str, NDArray[Any]]:
    """The transitions of one episode."""
    return {name: np.asarray(column) for name, column in _columns(episode).items()}


def buffer_from_shards(template: PetsState, shards: list[Arrays]) -> Buffer:
    """The buffer that these episodes fill, in this order.

    Raises ValueError if they do not fit the agent's sizes or capacity.
    """
    rows = template.replay.rows
    full = {name: np.zeros(column.shape, np.float32) for name, column in _columns(rows).items()}
    count = 0
    for shard in shards:
        length = len(shard["obs"])
        for name, array in full.items():
            part = shard.get(name)
            if part is None or part.shape != (length, *array.shape[1:]) or part.dtype != np.float32:
                found = "is missing" if part is None else f"is {part.dtype}{list(part.shape)}"
                raise ValueError(f"a replay shard does not fit the agent: {name} {found}")
            if count + length > len(array):
                raise ValueError(f"the replay needs more than the buffer's {len(array)} rows")
            array[count : count + length] = part
        count += length
    num_rows: HostArray = np.asarray(count, np.int32)
    return Buffer(host_transitions(**full), num_rows)


def _columns(rows: Transitions) -> dict[str, Any]:
    """The columns that are kept."""
    columns = {field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)}
    return {name: column for name, column in columns.items() if column is not None}
