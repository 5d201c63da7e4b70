"""All that a study's database says, as records: the log, and beside it only what the log does not tell.

A database is a function of its state: ``write_state`` makes the one that a study would have come to. That is how
``cartwheel check`` finds out what does not follow from the log, and what ``--repair`` writes.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cartwheel.records import CheckpointId, Episode, Event, Issued, Report, Reported, Retry, SegmentId, StoredFile
from cartwheel.store.reading import KeptCheckpoint, KeptEvaluation, Session
from cartwheel.store.writing import StudyWriter


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A kept checkpoint with all the files that it needs, itself first."""

    kept: KeptCheckpoint
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True)
class StudyState:
    """``episodes``: those of segments that have not reported; a report holds its own."""

    meta: Mapping[str, Any]
    events: Sequence[Event]
    episodes: Mapping[SegmentId, tuple[Episode, ...]]
    checkpoints: Mapping[SegmentId, Checkpoint]
    evaluations: Sequence[KeptEvaluation]
    retries: Sequence[Retry]
    sessions: Sequence[Session]

    def without(self, segments: Collection[SegmentId]) -> "StudyState":
        """The same, without the checkpoints of these segments; of those that have not reported, without progress."""
        return dataclasses.replace(
            self,
            episodes={id_: () if id_ in segments else episodes for id_, episodes in self.episodes.items()},
            checkpoints={id_: found for id_, found in self.checkpoints.items() if id_ not in segments},
        )

    def with_files(self, digests: Mapping[SegmentId, Sequence[CheckpointId]]) -> "StudyState":
        """The same, with other files of checkpoints, where they are given; a size that no row tells is 0."""
        known = {file.digest: file.size_bytes for found in self.checkpoints.values() for file in found.files}
        lists = {id_: tuple(StoredFile(name, known.get(name, 0)) for name in listed) for id_, listed in digests.items()}
        replaced = {
            id_: dataclasses.replace(found, files=lists.get(id_, found.files))
            for id_, found in self.checkpoints.items()
        }
        return dataclasses.replace(self, checkpoints=replaced)

    def with_sizes(self, sizes: Mapping[CheckpointId, int]) -> "StudyState":
        """The same, with other sizes of files, where they are given."""

        def sized(found: Checkpoint) -> Checkpoint:
            files = (
                dataclasses.replace(file, size_bytes=sizes.get(file.digest, file.size_bytes)) for file in found.files
            )
            return dataclasses.replace(found, files=tuple(files))

        return dataclasses.replace(self, checkpoints={id_: sized(found) for id_, found in self.checkpoints.items()})

    @property
    def reports(self) -> dict[SegmentId, Report]:
        """How every segment ended that has."""
        return {event.report.segment: event.report for event in self.events if isinstance(event, Reported)}


def write_state(state: StudyState, writer: StudyWriter) -> None:
    """Add all rows of a state but its meta data to a database that has none."""
    for session in state.sessions:
        number = writer.add_session(session.pid, session.host)
        writer.set_times(number, session.times)
    for event in state.events:
        match event:
            case Issued(segment):
                writer.add_issued(segment)
            case Reported(report):
                _write_report(report, state.checkpoints.get(report.segment), writer)
    for segment_id, episodes in state.episodes.items():
        for episode in episodes:
            writer.add_bare_episode(segment_id, episode)
    reported = state.reports
    for segment_id, checkpoint in state.checkpoints.items():
        if segment_id not in reported or not checkpoint.kept.is_final:
            _put(checkpoint, writer)
    for kept in state.evaluations:
        _write_evaluation(kept, writer)
    for retry in state.retries:
        writer.add_retry(retry)


def _write_report(report: Report, checkpoint: Checkpoint | None, writer: StudyWriter) -> None:
    for episode in report.episodes:
        writer.add_bare_episode(report.segment, episode)
    if checkpoint is not None and checkpoint.kept.is_final:
        _put(checkpoint, writer)
    writer.add_report(report)


def _put(checkpoint: Checkpoint, writer: StudyWriter) -> None:
    kept = checkpoint.kept
    writer.put_checkpoint(kept.segment, kept.episode, kept.digest, checkpoint.files)


def _write_evaluation(kept: KeptEvaluation, writer: StudyWriter) -> None:
    writer.add_evaluation(kept.evaluation)
    for episode in kept.episodes:
        writer.add_evaluation_episode(kept.evaluation, episode)
    if kept.status is not None:
        writer.end_evaluation(kept.evaluation, kept.status, kept.wall_s, kept.reason, kept.broken, kept.kind)
