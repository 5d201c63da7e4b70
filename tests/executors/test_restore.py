"""An agent from its files: what its replay claims is held against the agent before anything of it is read."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import fragile
from cartwheel.agents.pets.agent import PetsState, init
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.lanes import restore
from cartwheel.executors.work import StartFrom, Work
from cartwheel.records import CheckpointId, Evaluation, SegmentId
from cartwheel.store import checkpoints
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.store.headers import METADATA
from hand_made import TINY

LENGTH = fragile.TASK.episode_length
HUGE = 2**22
"""Rows: far beyond any episode here, and a file that may be sparse."""


@pytest.fixture(scope="module")
def fresh() -> PetsState:
    state: PetsState = jax.device_get(init(fragile.TASK, TINY, jax.random.key(0)))
    return state


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


def columns(num_rows: int, **more: Any) -> dict[str, Any]:
    sizes = {"obs": fragile.TASK.obs_size, "action": fragile.TASK.action_size, "next_obs": fragile.TASK.obs_size}
    return {**{name: np.ones((num_rows, size), np.float32) for name, size in sizes.items()}, **more}


def restored(store: CheckpointStore, fresh: PetsState, **manifest: Any) -> PetsState:
    """The agent of a checkpoint with that manifest."""
    start = StartFrom.whole(store.write(to_arrays(fresh), manifest).digest)
    work = Work(Evaluation(SegmentId("0.0"), 0, 1), fragile.CONFIG, ("test",), start, 0)
    return restore(store, fresh, work, LENGTH)[0]


def shards(store: CheckpointStore, *lengths: int, **more: Any) -> list[str]:
    return [store.write(columns(length, **more), {"episode": index}).digest for index, length in enumerate(lengths)]


def claiming(store: CheckpointStore, num_rows: int, *, is_as_long_as_it_says: bool) -> str:
    """A file, under its true digest, whose header claims so many rows; what it does not hold is a hole in the file."""
    about: dict[str, Any] = {METADATA: {checkpoints.MANIFEST_KEY: "{}"}}
    end = 0
    for name, column in columns(1).items():
        size = 4 * num_rows * column.shape[1]
        shape, offsets = [num_rows, column.shape[1]], [end, end + size]
        about[name], end = {"dtype": "F32", "shape": shape, "data_offsets": offsets}, end + size
    header = json.dumps(about).encode()
    made = store.folder / "made"
    with made.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (end if is_as_long_as_it_says else 100))
    with made.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    made.rename(store.path(CheckpointId(digest)))
    return digest


def test_a_replay_comes_back(store: CheckpointStore, fresh: PetsState) -> None:
    """Episodes of any length from one step to all."""
    replay = restored(store, fresh, replay=shards(store, LENGTH, 1, 2)).replay
    assert int(replay.num_rows) == LENGTH + 3
    assert replay.rows.obs[: LENGTH + 4].any(axis=1).tolist() == [True] * (LENGTH + 3) + [False]


@pytest.mark.parametrize(
    ("lengths", "more", "message"),
    [
        ([LENGTH + 1], {}, f"has {LENGTH + 1} rows; .* have {LENGTH}"),  # though the buffer has room for it
        ([LENGTH, 0], {}, "is empty"),
        ([LENGTH] * (TINY.capacity // LENGTH + 1), {}, f"has {LENGTH} rows; .* have {TINY.capacity % LENGTH}"),
        ([1], {"action": np.ones((2, 1), np.float32)}, r"action is float32\[2, 1\]"),
        ([1], {"junk": np.ones(HUGE, np.float32)}, "junk is not one of its columns"),
    ],
    ids=["longer-than-an-episode", "empty", "more-than-the-buffer", "ragged", "surplus"],
)
def test_what_no_agent_of_ours_has_written_is_refused(
    store: CheckpointStore, fresh: PetsState, lengths: list[int], more: dict[str, Any], message: str
) -> None:
    """Under a digest that is true: somebody has made it so."""
    with pytest.raises(ValueError, match=f"a replay shard .*{message}"):
        restored(store, fresh, replay=shards(store, *lengths, **more))


def test_nothing_of_a_huge_shard_is_read(
    store: CheckpointStore, fresh: PetsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the file is as long as its header says or not: the header is enough."""
    decode, decoded = checkpoints.decode, []
    monkeypatch.setattr(checkpoints, "decode", lambda data, path: decoded.append(len(data)) or decode(data, path))
    with pytest.raises(ValueError, match=f"a replay shard has {HUGE} rows; .* have {LENGTH}"):
        restored(store, fresh, replay=[claiming(store, HUGE, is_as_long_as_it_says=True)])
    with pytest.raises(CorruptCheckpoint, match="checkpoint is damaged: its arrays claim"):
        restored(store, fresh, replay=[claiming(store, HUGE, is_as_long_as_it_says=False)])
    assert max(decoded) < HUGE


@pytest.mark.parametrize("manifest", [{}, {"replay": "a" * 64}, {"replay": [7]}, {"replay": ["../../etc/passwd"]}])
def test_a_replay_that_lists_no_files_is_refused(
    store: CheckpointStore, fresh: PetsState, manifest: dict[str, Any]
) -> None:
    """Nothing that is not a digest ever becomes a path."""
    with pytest.raises(ValueError, match=r"does not list its replay|not a checkpoint digest"):
        restored(store, fresh, **manifest)


def test_a_checkpoint_that_lists_another_as_its_replay_is_refused(store: CheckpointStore, fresh: PetsState) -> None:
    """It has no transitions."""
    other = store.write(to_arrays(fresh), {"replay": []}).digest
    with pytest.raises(ValueError, match="a replay shard does not fit the agent: obs is missing"):
        restored(store, fresh, replay=[other])


def test_the_manifest_alone_is_verified_too(store: CheckpointStore) -> None:
    """As ``read`` has it, from the file that was written and no other."""
    written = store.write({"x": np.ones(1000, np.float32)}, {"episode": 3})
    assert store.manifest(written.digest) == store.read(written.digest)[1] == {"episode": 3}
    path = store.path(written.digest)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptCheckpoint, match="has changed on disk"):
        store.manifest(written.digest)
