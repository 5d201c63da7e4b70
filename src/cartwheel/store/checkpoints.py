"""Checkpoint files: arrays and a JSON manifest in safetensors, named by the SHA-256 of their bytes.

A file gets its name only when all of it is on disk (temporary file in the same folder, fsync, rename, fsync of the
folder), so a name in this folder always means a whole file; the digest is checked again at every load. Before that,
the header is held against the file's length and against what is wanted (``headers``). The manifest
is one string under one metadata key: the order of several keys is not fixed by the library, and equal contents must
give equal bytes.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cartwheel.errors import CorruptCheckpoint, StorageError
from cartwheel.records import CheckpointId, StoredFile
from cartwheel.store.disk import cannot_write
from cartwheel.store.headers import METADATA, Accepts, accept_all, layout_of, metadata_of

SUFFIX = ".safetensors"
TEMPORARY_SUFFIX = ".tmp"
MANIFEST_KEY = "manifest"
_CHUNK_BYTES = 2**20

Arrays = dict[str, NDArray[Any]]


class CheckpointStore:
    """A folder of content-addressed files. Any number of processes may write and read; only the owner deletes.

    ``fetch`` brings the bytes of a file that is not here, from where it is, or raises CorruptCheckpoint.
    """

    def __init__(self, folder: Path, fetch: Callable[[CheckpointId], bytes] | None = None) -> None:
        self.folder = folder
        self._fetch = fetch

    def path(self, digest: CheckpointId) -> Path:
        """Where the file of this digest lies. Raises ValueError for anything but 64 hexadecimal digits."""
        if not _is_digest(digest):
            raise ValueError(f"not a checkpoint digest: {digest!r}")
        return self.folder / f"{digest}{SUFFIX}"

    def write(self, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> StoredFile:
        """Put the arrays and the JSON manifest on disk, durably, and say under which digest.

        Raises StorageError if the disk does not take them; nothing but whole files is ever left under a digest.
        """
        return self.add(encode(arrays, manifest))

    def add(self, data: bytes) -> StoredFile:
        """Put the bytes of a file on disk in the same way, as they came from another folder."""
        digest = CheckpointId(hashlib.sha256(data).hexdigest())
        try:
            self._write_durably(data, self.path(digest))
        except OSError as error:
            raise cannot_write(f"a checkpoint of {len(data)} bytes", error.strerror, self.folder) from error
        return StoredFile(digest, len(data))

    def read(self, digest: CheckpointId, accepts: Accepts = accept_all) -> tuple[Arrays, dict[str, Any]]:
        """The arrays and the manifest under this digest. Raises CorruptCheckpoint if the bytes are not the same.

        ``accepts`` is asked before any array is read; what it raises comes out, if the file is what was written.
        """
        return decode(self._read_verified(digest, accepts), self.path(digest))

    def manifest(self, digest: CheckpointId) -> dict[str, Any]:
        """What ``read`` says beside the arrays, which may be of any size: none of them is read into memory."""
        self.verify(digest)
        try:
            return dict(json.loads(metadata_of(self.path(digest))[MANIFEST_KEY]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptCheckpoint(f"checkpoint has no manifest: {error}", str(self.path(digest))) from error

    def data(self, digest: CheckpointId) -> bytes:
        """The bytes under this digest. Raises CorruptCheckpoint if they are not the same."""
        return self._read_verified(digest, accept_all)

    def verify(self, digest: CheckpointId) -> None:
        """Raises CorruptCheckpoint if the file is missing or is not what was written. It may be of any size."""
        self._bring(digest)
        sha256 = hashlib.sha256()
        with _opened(self.path(digest), self._step) as file:
            while chunk := file.read(_CHUNK_BYTES):
                sha256.update(chunk)
        self._require(sha256.hexdigest(), digest)

    def size(self, digest: CheckpointId) -> int:
        """Bytes on disk. Raises CorruptCheckpoint if the file is missing."""
        self._bring(digest)
        try:
            return self.path(digest).stat().st_size
        except OSError as error:
            raise CorruptCheckpoint(f"checkpoint cannot be read: {error.strerror}", str(self.path(digest))) from error

    def has(self, file: StoredFile) -> bool:
        """Whether a file is there and as long as it was. Its bytes are not read."""
        try:
            return self.path(file.digest).stat().st_size == file.size_bytes
        except OSError:
            return False

    def digests(self) -> set[CheckpointId]:
        """All files that are here."""
        names = (path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))
        return {CheckpointId(name) for name in names if _is_digest(name)}

    def delete(self, digest: CheckpointId) -> None:
        """Forget a file; it is no error if it is gone already."""
        _unlink(self.path(digest))

    def delete_temporary_files(self) -> None:
        """Remove what a killed writer left. Only while nobody writes."""
        for path in self.folder.glob(f"*{TEMPORARY_SUFFIX}"):
            _unlink(path)

    def _bring(self, digest: CheckpointId) -> None:
        """Have the file here, if it can be fetched."""
        if self._fetch is not None and not self.path(digest).exists():
            self.add(self._fetch(digest))

    @property
    def _step(self) -> str:
        return f"`cartwheel check {self.folder.parent} --repair`, then the command that ran the study, make it again"

    def _read_verified(self, digest: CheckpointId, accepts: Accepts) -> bytes:
        self._bring(digest)
        try:
            data = _read_bytes(self.path(digest), accepts, self._step)
        except (CorruptCheckpoint, ValueError):
            self.verify(digest)  # damage explains it, if there is any
            raise
        self._require(hashlib.sha256(data).hexdigest(), digest)
        return data

    def _require(self, found: str, digest: CheckpointId) -> None:
        if found != digest:
            cause = f"checkpoint has changed on disk: its SHA-256 is {found}"
            raise CorruptCheckpoint(cause, str(self.path(digest)), self._step)

    def _write_durably(self, data: bytes, path: Path) -> None:
        temporary = self.folder / f"{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def encode(arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a file: the same for the same contents."""
    dense = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    return save(dense, {MANIFEST_KEY: json.dumps(manifest, sort_keys=True, separators=(",", ":"))})


def decode(data: bytes, path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and manifest of a file that ``encode`` made. Raises CorruptCheckpoint naming ``path`` for any other."""
    try:
        length = int.from_bytes(data[:8], "little")
        manifest = json.loads(json.loads(data[8 : 8 + length])[METADATA][MANIFEST_KEY])
        return load(data), manifest
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise CorruptCheckpoint(f"checkpoint is damaged: {error}", str(path)) from error


def read_file(path: Path, accepts: Accepts = accept_all) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and manifest of a file outside a store, such as an exported agent's. Raises CorruptCheckpoint.

    ``accepts`` as for ``CheckpointStore.read``.
    """
    return decode(_read_bytes(path, accepts), path)


def listed_files(manifest: Mapping[str, Any]) -> list[CheckpointId] | None:
    """The other files that a checkpoint needs: its manifest lists their digests, under whatever name."""
    lists = [value for value in manifest.values() if isinstance(value, list) and value]
    digests = [value for value in lists if all(isinstance(name, str) and _is_digest(name) for name in value)]
    return [CheckpointId(name) for name in digests[0]] if digests else None


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot delete a file: {error.strerror}", str(path), "see who may write there") from error


def _read_bytes(path: Path, accepts: Accepts, step_if_gone: str = "") -> bytes:
    """All of a file whose header is sound and accepted. Raises as ``_opened``, and what ``accepts`` raises."""
    with _opened(path, step_if_gone) as file:
        accepts(layout_of(path))
        return file.read()


@contextmanager
def _opened(path: Path, step_if_gone: str) -> Iterator[BinaryIO]:
    """Raises CorruptCheckpoint if the file is not there, StorageError if it is and cannot be read now."""
    try:
        with path.open("rb") as file:
            yield file
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CorruptCheckpoint(f"checkpoint cannot be read: {error.strerror}", str(path), step_if_gone) from error
    except OSError as error:
        step = "see to the disk or the limits, then run the same command again"
        raise StorageError(f"a checkpoint cannot be read now: {error.strerror}", str(path), step) from error
