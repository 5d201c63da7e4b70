"""A run folder: ``study.db``, ``study.toml``, ``environment.json``, ``checkpoints/``, and whatever reports add.

Opened to write, it belongs to one process at a time; opened to read, it can be read while another process runs it.
The commit is the commit of the database: files that no committed row needs are rubbish, whenever they appear.
"""

import json
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from pathlib import Path

from cartwheel.errors import ConfigError, StorageError
from cartwheel.store.checkpoints import CheckpointStore, sync_folder
from cartwheel.store.database import Database
from cartwheel.store.disk import cannot_write
from cartwheel.store.owner import Ownership
from cartwheel.store.reading import StudyReader
from cartwheel.store.rows import to_json
from cartwheel.store.writing import StudyWriter

DATABASE = "study.db"
LOCK = "study.lock"
SPEC = "study.toml"
ENVIRONMENT = "environment.json"
CHECKPOINTS = "checkpoints"
BEFORE_THE_STUDY = frozenset({DATABASE, DATABASE + "-journal", LOCK, ENVIRONMENT, CHECKPOINTS})
"""What a kill may leave before a study exists. Not ``study.toml``: a lone one is the user's own, not to overwrite."""
RECORDED_PACKAGES = ("cartwheel", "jax", "jaxlib", "numpy", "gymnasium", "mujoco", "equinox", "optax", "safetensors")


class RunFolder:
    """One study on disk. Use ``to_write`` or ``to_read``, and close it, or use it as a context manager."""

    def __init__(self, path: Path, database: Database, ownership: Ownership | None) -> None:
        self.path = path
        self.checkpoints = CheckpointStore(path / CHECKPOINTS)
        self.read = StudyReader(database)
        self.commit_s = 0.0
        """What commits took so far."""
        self._database = database
        self._ownership = ownership

    @classmethod
    def to_write(cls, path: Path) -> "RunFolder":
        """Become the owner of a run folder, made if it is not there, and clear what a killed owner left.

        Raises AlreadyOwned if another process runs the study, StorageError if the folder cannot be used or holds
        something else.
        """
        _make_folder(path)
        ownership = Ownership(path / LOCK)
        try:
            folder = cls(path, Database(path / DATABASE, is_writer=True), ownership)
        except BaseException:
            ownership.release()
            raise
        try:
            folder._database.verify()
            folder._clean()
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def to_read(cls, path: Path) -> "RunFolder":
        """Open an existing study without disturbing who runs it. Raises StorageError if there is none."""
        if not (path / DATABASE).is_file():
            raise StorageError("there is no study here", str(path), "name a folder that `cartwheel tune` has made")
        folder = cls(path, Database(path / DATABASE, is_writer=False), None)
        if folder.is_blank:
            folder.close()
            raise StorageError("the study here was never begun", str(path), "run `cartwheel tune` again")
        try:
            folder._database.verify()
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def is_blank(self) -> bool:
        """Whether no study has been created here yet."""
        return self._database.is_blank

    def create(self, meta: Mapping[str, object]) -> None:
        """Begin a study: its meta data go into the database together with the tables."""
        write_text(self.path / ENVIRONMENT, json.dumps(environment(), indent=2) + "\n")
        self._database.create({key: to_json(value) for key, value in meta.items()})

    @contextmanager
    def commit(self) -> Iterator[StudyWriter]:
        """A transaction: all rows that the block adds are on disk when it is left, or none.

        Files that nothing needs any more are deleted afterwards; if that is interrupted, at the next opening.
        """
        started = time.perf_counter()
        writer = StudyWriter(self._database, self.checkpoints)
        with self._database.transaction():
            yield writer
            unneeded = writer.drop_unneeded_files()
        for digest in unneeded:
            self.checkpoints.delete(digest)
        self.commit_s += time.perf_counter() - started

    def snapshot(self) -> AbstractContextManager[None]:
        """While entered, all that is read is of one moment, though another process may run the study."""
        return self._database.snapshot()

    def begin_session(self) -> int:
        """Note that this process runs the study from now on; the session's number."""
        with self.commit() as writer:
            return writer.add_session(os.getpid(), socket.gethostname())

    def close(self) -> None:
        """Close the database and let another process own the folder."""
        self._database.close()
        if self._ownership is not None:
            self._ownership.release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _clean(self) -> None:
        """Delete files that no committed row needs: a kill left them between writing and commit, or after it."""
        on_disk = self.checkpoints.digests()
        if self.is_blank and on_disk:
            raise StorageError(
                f"{len(on_disk)} checkpoints but no study", str(self.path), "restore study.db or choose another folder"
            )
        needed = set() if self.is_blank else {file.digest for file in self.read.files()}
        for digest in on_disk - needed:
            self.checkpoints.delete(digest)
        self.checkpoints.delete_temporary_files()


def environment() -> dict[str, str]:
    """What this study runs on: versions, platform, and what XLA was told."""
    versions = {name: _version(name) for name in RECORDED_PACKAGES}
    about = {"python": platform.python_version(), "platform": platform.platform()}
    return {**about, **versions, "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}


def write_text(path: Path, text: str) -> None:
    """Replace a small file at once, durably. Raises StorageError."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(f"a file of {len(text.encode())} bytes", error.strerror, path) from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        strangers = {entry.name.removesuffix(".tmp") for entry in path.iterdir()} - BEFORE_THE_STUDY
        if strangers and not (path / DATABASE).exists():
            raise ConfigError(
                f"the folder is not empty and holds no study: {min(strangers)}", str(path), "choose another --run-dir"
            )
        (path / CHECKPOINTS).mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the run folder: {error.strerror}", str(path), "choose another --run-dir"
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
