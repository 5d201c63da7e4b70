"""What of a study can be relied on: the longest sound log, and what it does not contradict.

The log holds all that was reported, and the tables hold it too, so what is damaged in one of them can be had from the
other. What is lost in both, and all that came after it in the log, has to run again.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from cartwheel.records import Event, Issued, Report, Reported, Segment, SegmentId, StoredFile
from cartwheel.store.database import Database
from cartwheel.store.reading import KeptCheckpoint, KeptEvaluation, StudyReader
from cartwheel.store.state import Checkpoint, StudyState


def sound_state(rows: Database) -> tuple[StudyState, str]:
    """The state that follows from rows that are as they were written, and where and why the log breaks off, if so."""
    read = StudyReader(rows)
    numbers = [row["number"] for row in rows.rows("SELECT number FROM events ORDER BY number")]
    events, broken_off = _sound_log(_completed(dict(zip(numbers, read.events(), strict=True)), read))
    log = _Log()
    for event in events:
        log.tell(event)
    evaluations = [kept for kept in read.evaluations() if _is_sound(kept, log)]
    played = {None, *(kept.evaluation for kept in evaluations)}
    state = StudyState(
        meta={row["key"]: read.meta(row["key"]) for row in rows.rows("SELECT key FROM meta")},
        events=events,
        episodes={id_: read.episodes(id_) for id_ in log.segments if id_ not in log.reports},
        checkpoints={kept.segment: found for kept in read.checkpoints() if (found := _checkpoint(kept, log, read))},
        evaluations=evaluations,
        retries=[retry for retry in read.retries() if retry.segment in log.segments and retry.evaluation in played],
        sessions=read.sessions(),
    )
    return state.without(_without_progress(state, log)), broken_off


class _Log:
    """The fold of events: who was issued, and how it ended."""

    def __init__(self) -> None:
        self.segments: dict[SegmentId, Segment] = {}
        self.reports: dict[SegmentId, Report] = {}

    def tell(self, event: Event) -> None:
        """Raises ValueError if the event does not follow from the ones before it."""
        match event:
            case Issued(segment):
                self._issue(segment)
            case Reported(report):
                if report.segment not in self.segments or report.segment in self.reports:
                    raise ValueError(f"segment {report.segment} reports, but does not run")
                self.reports[report.segment] = report
            case _:
                raise ValueError("an event that no study writes")

    def is_done(self, segment: SegmentId) -> bool:
        return segment in self.reports and self.reports[segment].status == "done"

    def _issue(self, segment: Segment) -> None:
        if segment.id in self.segments:
            raise ValueError(f"segment {segment.id} was issued twice")
        for source in dataclasses.astuple(segment.sources) if segment.sources else ():
            if not self.is_done(source):
                raise ValueError(f"segment {segment.id} starts from {source}, which was not done")
        if segment.parent is not None and self.segments[segment.parent].stop != segment.start:
            raise ValueError(f"segment {segment.id} does not start where {segment.parent} ends")
        self.segments[segment.id] = segment


def _completed(numbered: Mapping[int, Event], read: StudyReader) -> list[Event | None]:
    """The log in order, None where an event is lost. A single one that is lost is had from the tables."""
    length = max(numbered, default=0)
    events = [numbered.get(number) for number in range(1, length + 1)]
    unlogged = _unlogged(numbered.values(), read)
    gaps = [place for place, event in enumerate(events) if event is None]
    if len(unlogged) == 1 and len(gaps) == 1:
        events[gaps[0]] = unlogged[0]
    elif len(unlogged) == 1 and not gaps:
        events.append(unlogged[0])
    return events


def _unlogged(events: Iterable[Event], read: StudyReader) -> list[Event]:
    """What the tables tell and the log does not."""
    told = list(events)
    issued = {event.segment.id for event in told if isinstance(event, Issued)}
    reported = {event.report.segment for event in told if isinstance(event, Reported)}
    segments = [Issued(segment) for segment in read.segments() if segment.id not in issued]
    return [*segments, *(Reported(report) for id_, report in read.reports().items() if id_ not in reported)]


def _sound_log(events: Sequence[Event | None]) -> tuple[list[Event], str]:
    """The log up to where it breaks off, and why it does."""
    log, sound = _Log(), list[Event]()
    for number, event in enumerate(events, start=1):
        try:
            if event is None:
                raise ValueError("it is lost")
            log.tell(event)
        except ValueError as error:
            return sound, f"at event {number} of {len(events)}: {error}"
        sound.append(event)
    return sound, ""


def _checkpoint(kept: KeptCheckpoint, log: _Log, read: StudyReader) -> Checkpoint | None:
    """A checkpoint of a segment that runs or is done."""
    segment = log.segments.get(kept.segment)
    if segment is None or not segment.first_episode <= kept.episode <= segment.stop:
        return None
    if segment.id in log.reports and not log.is_done(segment.id):
        return None
    files = read.files_of(kept.segment)
    own = next((file for file in files if file.digest == kept.digest), StoredFile(kept.digest, size_bytes=0))
    files = [own, *(file for file in files if file.digest != kept.digest)]
    # it is final if its segment has reported, which it may have done in a part of the log that is lost
    return Checkpoint(dataclasses.replace(kept, is_final=kept.is_final and segment.id in log.reports), tuple(files))


def _without_progress(state: StudyState, log: _Log) -> list[SegmentId]:
    """Open segments whose episodes do not lead to their checkpoint: they run again from their start."""
    lost = []
    for id_, episodes in state.episodes.items():
        found = state.checkpoints.get(id_)
        last = log.segments[id_].first_episode - 1 if found is None else found.kept.episode
        if [episode.index for episode in episodes] != list(range(log.segments[id_].first_episode, last + 1)):
            lost.append(id_)
    return lost


def _is_sound(kept: KeptEvaluation, log: _Log) -> bool:
    indices = [episode.index for episode in kept.episodes]
    is_complete = kept.status != "done" or len(indices) == kept.evaluation.num_episodes
    return log.is_done(kept.evaluation.segment) and indices == list(range(len(indices))) and is_complete
