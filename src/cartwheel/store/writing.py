"""The rows that a study adds. Every method is part of a transaction that the caller has begun."""

import dataclasses
from collections.abc import Sequence

from cartwheel.errors import StorageError
from cartwheel.records import (
    CheckpointId,
    Episode,
    Evaluation,
    Event,
    FailureKind,
    Issued,
    Report,
    Reported,
    Retry,
    Segment,
    SegmentId,
    Status,
    StoredFile,
    event_to_json,
)
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.store.database import Database
from cartwheel.store.reading import SessionTimes
from cartwheel.store.rows import EPISODE_COLUMNS, SEGMENT_COLUMNS, broken_to_json, episode_row, segment_row, to_json


class StudyWriter:
    """Writes the rows of one transaction and remembers which files they may have made superfluous."""

    def __init__(self, database: Database, checkpoints: CheckpointStore) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._released: set[CheckpointId] = set()

    def set_meta(self, key: str, value: object) -> None:
        """Replace what is known about the study as a whole."""
        self._database.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, to_json(value)))

    def add_issued(self, segment: Segment) -> None:
        """A segment that is about to run."""
        sql = f"INSERT INTO segments ({SEGMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.execute(sql, segment_row(segment))
        self._add_event(Issued(segment))

    def add_episode(
        self, segment: SegmentId, episode: Episode, checkpoint: CheckpointId, files: Sequence[StoredFile]
    ) -> None:
        """A finished episode and the checkpoint after it, which replaces the segment's older one."""
        self.add_bare_episode(segment, episode)
        self.put_checkpoint(segment, episode.index, checkpoint, files)

    def add_bare_episode(self, segment: SegmentId, episode: Episode) -> None:
        """A finished episode, of whose checkpoint nothing is said."""
        columns = f"INSERT INTO episodes (segment, {EPISODE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.execute(columns, (segment, *episode_row(episode)))

    def put_checkpoint(
        self, segment: SegmentId, episode: int, checkpoint: CheckpointId, files: Sequence[StoredFile]
    ) -> None:
        """The checkpoint after that episode, in the place of the segment's older one. It is not final yet."""
        self.drop_checkpoint(segment)
        sql = "INSERT INTO checkpoints (segment, digest, episode) VALUES (?, ?, ?)"
        self._database.execute(sql, (segment, checkpoint, episode))
        self._add_files(files)
        sql = "INSERT INTO checkpoint_files SELECT ?, key, value FROM json_each(?)"
        self._database.execute(sql, (segment, to_json([file.digest for file in files])))

    def finish_checkpoint(self, segment: SegmentId) -> None:
        """The segment is done, and its checkpoint its last."""
        self._database.execute("UPDATE checkpoints SET is_final = 1 WHERE segment = ?", (segment,))

    def drop_checkpoint(self, segment: SegmentId) -> None:
        """Forget a segment's checkpoint, if it has one, and its files where nothing else needs them."""
        rows = self._database.rows("SELECT digest FROM checkpoint_files WHERE segment = ?", (segment,))
        self._released.update(CheckpointId(row["digest"]) for row in rows)
        self._database.execute("DELETE FROM checkpoints WHERE segment = ?", (segment,))

    def add_report(self, report: Report) -> None:
        """How a segment ended. Its last checkpoint stays for good if it is done, and is of no use if it is not."""
        row = (report.segment, report.status, report.checkpoint, report.wall_s, report.reason)
        values = (*row, broken_to_json(report.broken), report.kind)
        columns = "segment, status, checkpoint, wall_s, reason, broken, kind"
        self._database.execute(f"INSERT INTO reports ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self._add_event(Reported(report))
        if report.status == "done":
            self.finish_checkpoint(report.segment)
        else:
            self.drop_checkpoint(report.segment)

    def forget_progress(self, segment: SegmentId) -> None:
        """Drop the episodes and the checkpoint of an unfinished segment, so that it can run again from its start."""
        self._database.execute("DELETE FROM episodes WHERE segment = ?", (segment,))
        self.drop_checkpoint(segment)

    def add_evaluation(self, evaluation: Evaluation) -> None:
        """An evaluation that is about to run; one that is known already stays as it is."""
        sql = "INSERT OR IGNORE INTO evaluations (segment, seed, num_episodes) VALUES (?, ?, ?)"
        self._database.execute(sql, _key(evaluation))

    def add_evaluation_episode(self, evaluation: Evaluation, episode: Episode) -> None:
        """One more episode that an evaluation has played."""
        sql = f"INSERT INTO evaluation_episodes (evaluation, {EPISODE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.execute(sql, (self._evaluation_id(evaluation), *episode_row(episode)))

    def end_evaluation(
        self,
        evaluation: Evaluation,
        status: Status,
        wall_s: float,
        reason: str,
        broken: Episode | None = None,
        kind: FailureKind | None = None,
    ) -> None:
        """How an evaluation ended, and the episode in which it ended badly."""
        sql = "UPDATE evaluations SET status = ?, wall_s = ?, reason = ?, broken = ?, kind = ? WHERE id = ?"
        row = (status, wall_s, reason, broken_to_json(broken), kind, self._evaluation_id(evaluation))
        self._database.execute(sql, row)

    def add_retry(self, retry: Retry) -> None:
        """An attempt that ended badly and is made again."""
        evaluation = None if retry.evaluation is None else self._evaluation_id(retry.evaluation)
        row = (retry.segment, evaluation, retry.kind, retry.reason, retry.wall_s, broken_to_json(retry.broken))
        sql = "INSERT INTO retries (segment, evaluation, kind, reason, wall_s, broken) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.execute(sql, row)

    def add_session(self, pid: int, host: str) -> int:
        """A process that begins to run the study; the number of its session."""
        return self._database.execute("INSERT INTO sessions (pid, host) VALUES (?, ?)", (pid, host))

    def set_times(self, session: int, times: SessionTimes) -> None:
        """How long a session has run so far, and what that went into."""
        by_name = dataclasses.asdict(times)
        columns = ", ".join(f"{name} = ?" for name in by_name)
        self._database.execute(f"UPDATE sessions SET {columns} WHERE number = ?", (*by_name.values(), session))

    def drop_unneeded_files(self) -> list[CheckpointId]:
        """Forget the released files that no checkpoint needs any more; they may be deleted after the commit."""
        if not self._released:
            return []
        sql = "SELECT value AS digest FROM json_each(?) WHERE value NOT IN (SELECT digest FROM checkpoint_files)"
        rows = self._database.rows(sql, (to_json(sorted(self._released)),))
        unneeded = [CheckpointId(row["digest"]) for row in rows]
        sql = "DELETE FROM files WHERE digest IN (SELECT value FROM json_each(?))"
        self._database.execute(sql, (to_json(unneeded),))
        return unneeded

    def _add_event(self, event: Event) -> None:
        self._database.execute("INSERT INTO events (event) VALUES (?)", (to_json(event_to_json(event)),))

    def _add_files(self, files: Sequence[StoredFile]) -> None:
        # one statement for many rows: each statement lets other threads run, and waits for them
        sql = "SELECT value AS digest FROM json_each(?) WHERE value NOT IN (SELECT digest FROM files)"
        new = {row["digest"] for row in self._database.rows(sql, (to_json([file.digest for file in files]),))}
        for file in files:
            # A row must never promise a file that is not there: from the commit on the episode is acknowledged.
            if file.digest in new and self._checkpoints.size(file.digest) != file.size_bytes:
                raise StorageError("a checkpoint file is not as long as was written", str(self._checkpoints.folder))
        sizes = {file.digest: file.size_bytes for file in files if file.digest in new}
        self._database.execute("INSERT INTO files SELECT key, value FROM json_each(?)", (to_json(sizes),))

    def _evaluation_id(self, evaluation: Evaluation) -> int:
        sql = "SELECT id FROM evaluations WHERE segment = ? AND seed = ? AND num_episodes = ?"
        row = self._database.row(sql, _key(evaluation))
        if row is None:
            raise KeyError(evaluation)
        return int(row["id"])


def _key(evaluation: Evaluation) -> tuple[str, int, int]:
    return evaluation.segment, evaluation.seed, evaluation.num_episodes
