"""Is a run folder what was written? What is compared: the database with what follows from its log, files with digests.

Nothing is changed, and a study that is being run is not held up: the database is read at one moment, the files after.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cartwheel.errors import StorageError
from cartwheel.records import CheckpointId, SegmentId, StoredFile
from cartwheel.store.checkpoints import CheckpointStore, listed_files
from cartwheel.store.database import Database, place_of
from cartwheel.store.owner import is_owned
from cartwheel.store.rows import to_json
from cartwheel.store.run_folder import CHECKPOINTS, DATABASE, LOCK
from cartwheel.store.salvage import Key, Rows, Salvaged, salvage
from cartwheel.store.soundness import sound_state
from cartwheel.store.state import StudyState, write_state
from cartwheel.store.writing import StudyWriter

MAX_NAMED = 3
"""So many rows are named of those that have the same thing wrong with them."""
WRITES, DROPS = "--repair writes it anew from what is sound", "--repair drops it"
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: where, what, and what is to be done."""

    place: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, and the state that can be relied on, which is all of it if nothing was found.

    ``bad_files`` are needed and cannot be used, and why; ``num_files`` are needed and good; spare ones nobody needs.
    """

    findings: Sequence[Finding]
    state: StudyState
    bad_files: Mapping[CheckpointId, str]
    num_rows: int
    num_files: int
    num_bytes: int
    num_spare_files: int


def examine(path: Path) -> Examination:
    """Compare everything in a run folder. Raises StorageError if there is no study, or too little is left of one."""
    if not (path / DATABASE).is_file():
        raise StorageError("there is no study here", str(path), "name a folder that `cartwheel tune` has made")
    with closing(Database(path / DATABASE, is_writer=False)) as database:
        if database.is_blank:
            raise StorageError("the study here was never begun", str(path), "run `cartwheel tune` again")
        with database.snapshot():
            salvaged = salvage(database)
        with salvaged.sound_rows(database) as rows:
            state, broken_off = sound_state(rows)
    state = state.with_files(_manifests(CheckpointStore(path / CHECKPOINTS), state))
    sizes, bad = _read_files(path, needed_files(state))
    state = state.with_sizes(sizes)
    findings = [Finding(DATABASE, line, "--repair keeps what can be read") for line in salvaged.unreadable]
    findings += _differences(salvaged, state, broken_off)
    findings += _about_files(state, bad)
    needing = {id_ for id_, found in state.checkpoints.items() if any(file.digest in bad for file in found.files)}
    return Examination(
        findings,
        state.without(needing),
        bad,
        num_rows=sum(map(len, salvaged.rows.values())),
        num_files=len(sizes),
        num_bytes=sum(sizes.values()),
        num_spare_files=len(CheckpointStore(path / CHECKPOINTS).digests() - sizes.keys() - bad.keys()),
    )


@contextmanager
def written(state: StudyState, path: Path, is_in_memory: bool) -> Iterator[Database]:
    """A database that holds a state and nothing else."""
    with closing(Database(path, is_writer=True, is_in_memory=is_in_memory)) as database:
        database.create({key: to_json(value) for key, value in state.meta.items()})
        with database.transaction():
            write_state(state, StudyWriter(database, _AsRecorded(needed_files(state))))
        yield database


class _AsRecorded(CheckpointStore):
    """Takes the sizes of files for what the rows say: whether the files fit is examined apart."""

    def __init__(self, files: Sequence[StoredFile]) -> None:
        self._sizes = {file.digest: file.size_bytes for file in files}

    def size(self, digest: CheckpointId) -> int:
        return self._sizes[digest]


def needed_files(state: StudyState) -> list[StoredFile]:
    """Every file that some checkpoint of a state needs, once."""
    return list(dict.fromkeys(file for found in state.checkpoints.values() for file in found.files))


def _manifests(store: CheckpointStore, state: StudyState) -> dict[SegmentId, Sequence[CheckpointId]]:
    """The files that checkpoints themselves say they need, as far as they can be read."""
    listed = dict[SegmentId, Sequence[CheckpointId]]()
    for id_, found in state.checkpoints.items():
        with contextlib.suppress(StorageError):
            _, manifest = store.read(found.kept.digest)
            if (others := listed_files(manifest)) is not None:
                listed[id_] = [found.kept.digest, *others]
    return listed


def _read_files(path: Path, files: Sequence[StoredFile]) -> tuple[dict[CheckpointId, int], dict[CheckpointId, str]]:
    """The sizes of the files that are what their names say, and what is wrong with the others."""
    store, is_run = CheckpointStore(path / CHECKPOINTS), is_owned(path / LOCK)
    sizes, bad = dict[CheckpointId, int](), dict[CheckpointId, str]()
    for file in files:
        try:
            found, sizes[file.digest] = _digest_and_size(store.path(file.digest))
            cause = "" if found == file.digest else f"has changed on disk: its SHA-256 is {found}"
        except OSError as error:
            cause = f"cannot be read: {error.strerror}"
        # who runs the study may have replaced a checkpoint meanwhile
        if cause:
            sizes.pop(file.digest, None)
            bad |= {file.digest: cause} if not is_run or _is_still_needed(path, file.digest) else {}
    return sizes, bad


def _digest_and_size(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest(), file.tell()


def _is_still_needed(path: Path, digest: CheckpointId) -> bool:
    """The process that runs the study may have replaced a checkpoint meanwhile."""
    with closing(Database(path / DATABASE, is_writer=False)) as database:
        return database.row("SELECT digest FROM files WHERE digest = ?", (digest,)) is not None


def _differences(salvaged: Salvaged, state: StudyState, broken_off: str) -> Iterator[Finding]:
    """Where the tables are not what follows from the log. What comes after the log breaks off is only counted."""
    with written(state, Path(DATABASE), is_in_memory=True) as database:
        expected = salvage(database).rows
        key_columns = {table: database.columns(table)[1] for table in expected}
    num_after = 0
    for table, rows in salvaged.rows.items():
        by_fault: dict[_Fault, list[Key]] = {}
        for key, fault in _faults(rows, expected[table], salvaged.broken[table]):
            if broken_off and fault in _AFTER_THE_LOG:
                num_after += 1
            else:
                by_fault.setdefault(fault, []).append(key)
        for (cause, remedy), keys in by_fault.items():
            yield Finding(f"{DATABASE}, {table} {_named(key_columns[table], keys)}", cause, remedy)
    if broken_off:
        cause = f"breaks off {broken_off}; {num_after} rows came of what follows"
        yield Finding(f"{DATABASE}, log", cause, f"{DROPS}, and `cartwheel tune` runs again what they stood for")


_Fault: TypeAlias = tuple[str, str]
_AFTER_THE_LOG: frozenset[_Fault] = frozenset(
    {("does not follow from the log", DROPS), ("is not what the log says", WRITES)}
)


def _faults(found: Rows, expected: Rows, broken: frozenset[Key]) -> Iterator[tuple[Key, _Fault]]:
    for key, row in found.items():
        if key in broken:
            yield key, ("not what was written", WRITES if key in expected else DROPS)
        elif key not in expected:
            yield key, ("does not follow from the log", DROPS)
        elif row != expected[key]:
            yield key, ("is not what the log says", WRITES)
    for key in expected:
        if key not in found:
            yield key, ("is missing", WRITES)


def _named(columns: Sequence[str], keys: Sequence[Key]) -> str:
    names = [f"({place_of(columns, key)})" for key in keys[:MAX_NAMED]]
    more = f" and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else ""
    return ", ".join(names) + more


def _about_files(state: StudyState, bad: Mapping[CheckpointId, str]) -> Iterator[Finding]:
    needing: dict[CheckpointId, list[SegmentId]] = {}
    for id_, found in state.checkpoints.items():
        for file in found.files:
            if file.digest in bad:
                needing.setdefault(file.digest, []).append(id_)
    for digest, segments in needing.items():
        more = f" and {len(segments) - MAX_NAMED} more" if len(segments) > MAX_NAMED else ""
        named = ", ".join(segments[:MAX_NAMED]) + more
        remedy = f"{DROPS}, and `cartwheel tune` makes it again from the newest good ancestor"
        yield Finding(f"{CHECKPOINTS}/{digest}", f"{bad[digest]} (needed by segment {named})", remedy)
