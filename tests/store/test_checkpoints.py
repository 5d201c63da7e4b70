"""Checkpoint files: whole, durable, checked at every load."""

import hashlib
import json
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartwheel.errors import CorruptCheckpoint, StorageError
from cartwheel.records import CheckpointId
from cartwheel.store import checkpoints
from cartwheel.store.checkpoints import CheckpointStore, encode, read_file
from cartwheel.store.headers import Layout

ARRAYS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(7, np.int64), "c": np.array([True, False])}
MANIFEST = {"episode": 3, "shards": ["x"], "config": {"learning_rate": 1e-3}}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


def test_what_is_read_is_what_was_written(store: CheckpointStore) -> None:
    """Arrays come back with shape, dtype and bits, the manifest with its values."""
    arrays, manifest = store.read(store.write(ARRAYS, MANIFEST).digest)
    assert manifest == MANIFEST
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_strided_arrays_are_written_by_value(store: CheckpointStore) -> None:
    """A transposed or sliced array is stored as what it shows, not as the memory behind it."""
    grid = np.arange(12.0).reshape(3, 4)
    arrays, _ = store.read(store.write({"transposed": grid.T, "sliced": grid[:, ::2]}, {}).digest)
    np.testing.assert_array_equal(arrays["transposed"], grid.T)
    np.testing.assert_array_equal(arrays["sliced"], grid[:, ::2])


def test_name_and_size_are_those_of_the_bytes(store: CheckpointStore) -> None:
    """The file is called by the SHA-256 of its bytes, and nothing else is left in the folder."""
    stored = store.write(ARRAYS, MANIFEST)
    data = store.path(stored.digest).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (stored.digest, stored.size_bytes)
    assert store.size(stored.digest) == stored.size_bytes
    assert [path.name for path in store.folder.iterdir()] == [f"{stored.digest}.safetensors"]


def test_equal_contents_give_equal_bytes() -> None:
    """The order in which arrays and manifest keys are given does not matter."""
    turned = dict(reversed(MANIFEST.items()))
    assert encode(ARRAYS, MANIFEST) == encode(dict(reversed(ARRAYS.items())), turned)


@pytest.mark.parametrize("position", [0, 7, 8, 40, -1])
def test_a_flipped_byte_is_detected(store: CheckpointStore, position: int) -> None:
    """Damage anywhere in a file is found at load, and the message names the file."""
    digest = store.write(ARRAYS, MANIFEST).digest
    data = bytearray(store.path(digest).read_bytes())
    data[position] ^= 1
    store.path(digest).write_bytes(data)
    with pytest.raises(CorruptCheckpoint, match=digest):
        store.read(digest)
    with pytest.raises(CorruptCheckpoint, match=digest):
        store.verify(digest)


def test_truncated_swapped_and_missing_files_are_detected(store: CheckpointStore) -> None:
    """A file that is shorter, another one's, or gone is never taken for the checkpoint."""
    one, other = store.write(ARRAYS, MANIFEST).digest, store.write(ARRAYS, {}).digest
    store.path(one).write_bytes(store.path(other).read_bytes())
    with pytest.raises(CorruptCheckpoint):
        store.read(one)
    store.path(one).write_bytes(store.path(one).read_bytes()[:20])
    with pytest.raises(CorruptCheckpoint):
        store.read(one)
    store.delete(one)
    with pytest.raises(CorruptCheckpoint):
        store.read(one)
    with pytest.raises(CorruptCheckpoint):
        store.size(one)


def header(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        header(b"{}"),
        header(b"{}", 2**63),
        header(b"[" * 100_000),
        header(json.dumps({"__metadata__": {"manifest": "{}"}}).encode()) + b"left over",
        header(
            json.dumps(
                {
                    "__metadata__": {"manifest": "{}"},
                    "huge": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
                }
            ).encode()
        ),
    ],
    ids=["empty", "short", "no manifest", "long header", "deep header", "left over", "huge array"],
)
def test_a_hostile_file_is_refused(tmp_path: Path, data: bytes) -> None:
    """Whatever a file outside the store claims, it is one clear error and no allocation."""
    path = tmp_path / "agent.safetensors"
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpoint, match=r"agent\.safetensors"):
        read_file(path)


CLAIMS = {
    "more than the file has": [{"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}],
    "more than its place": [{"dtype": "F32", "shape": [2**60], "data_offsets": [0, 8]}],
    "less than its place": [{"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}],
    "the same place twice": [{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}] * 2,
    "a negative size": [{"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]}],
    "sizes that cancel": [{"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}],
    "no whole number": [{"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}],
    "an unknown type": [{"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}],
    "no shape": [{"dtype": "F64", "shape": None, "data_offsets": [0, 8]}],
    "no array": [7],
}


@pytest.mark.parametrize("claims", CLAIMS.values(), ids=CLAIMS)
def test_what_a_header_claims_is_checked_against_the_file(tmp_path: Path, claims: list[Any]) -> None:
    """By whole numbers of any size, before anything is allocated."""
    about = {"__metadata__": {"manifest": "{}"}, **{f"array {k}": claim for k, claim in enumerate(claims)}}
    path = tmp_path / "agent.safetensors"
    path.write_bytes(header(json.dumps(about).encode()) + bytes(8))
    tracemalloc.start()
    with pytest.raises(CorruptCheckpoint, match=r"damaged: .*agent\.safetensors"):
        read_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**17


def test_an_array_that_nobody_wants_is_never_read(store: CheckpointStore) -> None:
    """A file as large as it claims: what was not wanted is refused from the header, and damage is still told apart."""
    num_bytes = 2**26
    about = {"__metadata__": {"manifest": "{}"}, "weights": {"dtype": "U8", "shape": [num_bytes]}}
    about["weights"]["data_offsets"] = [0, num_bytes]
    head, sha256 = header(json.dumps(about).encode()), hashlib.sha256()
    sha256.update(head)
    sha256.update(bytes(num_bytes))
    digest = CheckpointId(sha256.hexdigest())

    def only_small(layout: Layout) -> None:
        if layout["weights"].shape != (8,):
            raise ValueError(f"weights are {layout['weights'].shape}, not (8,)")

    with store.path(digest).open("wb") as file:
        file.write(head)
        file.truncate(len(head) + num_bytes)  # its zeros take no room on the disk
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"weights are \(67108864,\), not \(8,\)"):
        store.read(digest, only_small)
    with store.path(digest).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(CorruptCheckpoint, match="has changed on disk"):
        store.read(digest, only_small)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < num_bytes / 8


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "ab", "g" * 64])
def test_a_name_never_becomes_a_path(store: CheckpointStore, name: str) -> None:
    """Only 64 hexadecimal digits name a file."""
    with pytest.raises(ValueError, match="not a checkpoint digest"):
        store.path(CheckpointId(name))


def test_a_failed_write_leaves_nothing(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk refuses, the error says how much was to be written, and no file is left."""

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"\d+ bytes: No space left"):
        store.write(ARRAYS, MANIFEST)
    assert list(store.folder.iterdir()) == []


def test_the_bytes_are_durable_before_the_name_exists(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, then rename, then fsync of the folder."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def record_fsync(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def record_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(checkpoints.os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    store.write(ARRAYS, MANIFEST)
    assert steps == ["file", "rename", "folder"]


def test_digests_lists_files_of_the_store_only(store: CheckpointStore) -> None:
    """Foreign and temporary files are not taken for checkpoints; the temporary ones can be cleared."""
    digest = store.write(ARRAYS, MANIFEST).digest
    (store.folder / "notes.safetensors").write_text("mine")
    (store.folder / "abc.tmp").write_text("left by a kill")
    assert store.digests() == {digest}
    store.delete_temporary_files()
    assert not (store.folder / "abc.tmp").exists()
    assert (store.folder / "notes.safetensors").exists()
