"""What can be asked of a study's database. Reading never waits for the process that runs the study."""

from dataclasses import dataclass, fields
from typing import Any

from cartwheel.records import (
    CheckpointId,
    Episode,
    Evaluation,
    Event,
    FailureKind,
    Report,
    Retry,
    Segment,
    SegmentId,
    Status,
    StoredFile,
    event_from_json,
)
from cartwheel.store.database import Database, Row
from cartwheel.store.rows import (
    EPISODE_COLUMNS,
    SEGMENT_COLUMNS,
    broken_from_json,
    decoded,
    episode_from_row,
    segment_from_row,
)


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """The newest checkpoint of a segment; its final one once the segment is done."""

    segment: SegmentId
    digest: CheckpointId
    episode: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class KeptEvaluation:
    """An evaluation and what has come of it; ``status`` is None while it runs.

    ``broken`` and ``kind`` as in ``Report``.
    """

    evaluation: Evaluation
    status: Status | None
    episodes: tuple[Episode, ...]
    wall_s: float
    reason: str
    broken: Episode | None = None
    kind: FailureKind | None = None

    @property
    def returns(self) -> tuple[float, ...]:
        """Returns of the episodes that were played."""
        return tuple(episode.return_ for episode in self.episodes)


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long a process has run a study, and what that went into.

    ``loop_s`` is what the loop itself took (asking, telling and storing), ``commit_s`` the part of it in commits,
    ``compile_s`` how long it was at most that a device compiled. ``num_devices`` worked side by side, 0 if that is not
    known; ``device_compile_s`` is what compiling took, summed over them.
    """

    wall_s: float = 0.0
    loop_s: float = 0.0
    compile_s: float = 0.0
    commit_s: float = 0.0
    num_devices: int = 0
    device_compile_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """One process that ran the study."""

    pid: int
    host: str
    times: SessionTimes


_TIMES = [field.name for field in fields(SessionTimes)]


class StudyReader:
    """Reads records from an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def meta(self, key: str) -> Any:
        """The value that was stored under ``key`` when the study was created. Raises KeyError if there is none."""
        row = self._database.row("SELECT value FROM meta WHERE key = ?", (key,))
        if row is None:
            raise KeyError(key)
        return decoded(row["value"], lambda value: value)

    def events(self) -> list[Event]:
        """What the tuner was told, in order."""
        rows = self._database.rows("SELECT event FROM events ORDER BY number")
        return [decoded(row["event"], event_from_json) for row in rows]

    def segments(self) -> list[Segment]:
        """All segments, in the order in which they were issued."""
        rows = self._database.rows(f"SELECT {SEGMENT_COLUMNS} FROM segments ORDER BY rowid")
        return [segment_from_row(row) for row in rows]

    def segment(self, segment: SegmentId) -> Segment:
        """One segment. Raises KeyError if it was never issued."""
        row = self._database.row(f"SELECT {SEGMENT_COLUMNS} FROM segments WHERE id = ?", (segment,))
        if row is None:
            raise KeyError(segment)
        return segment_from_row(row)

    def open_segments(self) -> list[Segment]:
        """Segments that were issued and have not reported, in the order in which they were issued."""
        where = "id NOT IN (SELECT segment FROM reports)"
        rows = self._database.rows(f"SELECT {SEGMENT_COLUMNS} FROM segments WHERE {where} ORDER BY rowid")
        return [segment_from_row(row) for row in rows]

    def episodes(self, segment: SegmentId) -> tuple[Episode, ...]:
        """The committed episodes of a segment, oldest first."""
        sql = f'SELECT {EPISODE_COLUMNS} FROM episodes WHERE segment = ? ORDER BY "index"'
        return tuple(map(episode_from_row, self._database.rows(sql, (segment,))))

    def num_episodes(self, segment: SegmentId) -> int:
        """How many episodes of a segment are committed."""
        return self._count("SELECT count(*) FROM episodes WHERE segment = ?", segment)

    def all_episodes(self) -> dict[SegmentId, tuple[Episode, ...]]:
        """The committed episodes of every segment that has some, oldest first."""
        by_segment: dict[SegmentId, list[Episode]] = {}
        sql = f'SELECT segment, {EPISODE_COLUMNS} FROM episodes ORDER BY segment, "index"'
        for row in self._database.rows(sql):
            by_segment.setdefault(SegmentId(row["segment"]), []).append(episode_from_row(row))
        return {segment: tuple(episodes) for segment, episodes in by_segment.items()}

    def report(self, segment: SegmentId) -> Report | None:
        """How a segment ended, None while it runs."""
        row = self._database.row("SELECT * FROM reports WHERE segment = ?", (segment,))
        return None if row is None else _report(row, self.episodes(segment))

    def reports(self) -> dict[SegmentId, Report]:
        """How every segment ended that has."""
        episodes = self.all_episodes()
        rows = self._database.rows("SELECT * FROM reports")
        return {row["segment"]: _report(row, episodes.get(row["segment"], ())) for row in rows}

    def checkpoint(self, segment: SegmentId) -> KeptCheckpoint | None:
        """The newest checkpoint of a segment."""
        row = self._database.row("SELECT * FROM checkpoints WHERE segment = ?", (segment,))
        return None if row is None else _checkpoint(row)

    def checkpoints(self) -> list[KeptCheckpoint]:
        """The newest checkpoint of every segment that has one."""
        return list(map(_checkpoint, self._database.rows("SELECT * FROM checkpoints ORDER BY segment")))

    def files(self) -> list[StoredFile]:
        """All files that some checkpoint needs."""
        rows = self._database.rows("SELECT * FROM files ORDER BY digest")
        return [StoredFile(CheckpointId(row["digest"]), row["size_bytes"]) for row in rows]

    def files_of(self, segment: SegmentId) -> list[StoredFile]:
        """The files that a segment's newest checkpoint needs, itself first."""
        sql = "SELECT * FROM checkpoint_files JOIN files USING (digest) WHERE segment = ? ORDER BY position"
        rows = self._database.rows(sql, (segment,))
        return [StoredFile(CheckpointId(row["digest"]), row["size_bytes"]) for row in rows]

    def evaluations(self) -> list[KeptEvaluation]:
        """All evaluations, in the order in which they were begun."""
        return [self._evaluation(row) for row in self._database.rows("SELECT * FROM evaluations ORDER BY id")]

    def num_played(self, evaluation: Evaluation) -> int:
        """How many episodes of an evaluation are committed."""
        one = "SELECT id FROM evaluations WHERE segment = ? AND seed = ? AND num_episodes = ?"
        sql = f"SELECT count(*) FROM evaluation_episodes WHERE evaluation = ({one})"
        return self._count(sql, evaluation.segment, evaluation.seed, evaluation.num_episodes)

    def retries(self) -> list[Retry]:
        """The attempts that ended badly and were made again, in order."""
        columns = "retries.*, evaluations.seed, evaluations.num_episodes"
        joined = "retries LEFT JOIN evaluations ON evaluations.id = retries.evaluation"
        return list(map(_retry, self._database.rows(f"SELECT {columns} FROM {joined} ORDER BY number")))

    def sessions(self) -> list[Session]:
        """The processes that have run the study, in order."""
        rows = self._database.rows("SELECT * FROM sessions ORDER BY number")
        return [Session(row["pid"], row["host"], SessionTimes(*(row[name] for name in _TIMES))) for row in rows]

    def _evaluation(self, row: Row) -> KeptEvaluation:
        sql = f'SELECT {EPISODE_COLUMNS} FROM evaluation_episodes WHERE evaluation = ? ORDER BY "index"'
        episodes = tuple(map(episode_from_row, self._database.rows(sql, (row["id"],))))
        ended = (row["status"], episodes, row["wall_s"], row["reason"], broken_from_json(row["broken"]), row["kind"])
        return KeptEvaluation(_evaluation_of(row), *ended)

    def _count(self, sql: str, *parameters: str | int) -> int:
        row = self._database.row(sql, parameters)
        return 0 if row is None else int(row[0])


def _report(row: Row, episodes: tuple[Episode, ...]) -> Report:
    ended = (row["checkpoint"], row["wall_s"], row["reason"], broken_from_json(row["broken"]), row["kind"])
    return Report(row["segment"], row["status"], episodes, *ended)


def _evaluation_of(row: Row) -> Evaluation:
    return Evaluation(row["segment"], row["seed"], row["num_episodes"])


def _retry(row: Row) -> Retry:
    evaluation = None if row["evaluation"] is None else _evaluation_of(row)
    broken = broken_from_json(row["broken"])
    return Retry(row["segment"], evaluation, row["kind"], row["reason"], row["wall_s"], broken)


def _checkpoint(row: Row) -> KeptCheckpoint:
    return KeptCheckpoint(row["segment"], row["digest"], row["episode"], bool(row["is_final"]))
