"""The fold of events that every tuner shares: what was issued, how it ended, and the scores along lineages.

A score belongs to a lineage, not to a segment: a segment shorter than the score's window of 3 episodes is read
together with its parents' episodes, whichever trial ran them (Zhang et al. 2021, released code).
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cartwheel.records import (
    SCORE_WINDOW_EPISODES,
    Event,
    Issued,
    Report,
    Reported,
    Segment,
    SegmentId,
    Status,
    Voided,
    score,
)


@dataclass(frozen=True, slots=True)
class Aggregated(Report):
    """What several runs of one segment came to: the report of one of them, with the score of all along the lineage."""

    score: float = -math.inf


@dataclass(slots=True)
class Entry:
    """One issued segment. ``tail``: the last model-driven returns of its lineage, at most as many as a score needs.

    ``score``: -inf unless it is done and these are finite.
    """

    segment: Segment
    status: Status | Literal["running"] = "running"
    tail: tuple[float, ...] = ()
    score: float = -math.inf

    def goes_on(self, stop: int) -> bool:
        """Whether it ended well, and before ``stop`` model-driven episodes."""
        return self.status == "done" and self.segment.stop < stop


class History:
    """Segments issued and not voided. A voided one is forgotten: it may be issued again under the same id."""

    def __init__(self) -> None:
        self._trials: dict[int, list[Entry]] = {}
        self._entries: dict[SegmentId, Entry] = {}
        self._num_reported = 0

    def find(self, segment: SegmentId) -> Entry | None:
        return self._entries.get(segment)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, older trials first."""
        return (entry for trial in sorted(self._trials) for entry in self._trials[trial])

    @property
    def num_issued(self) -> int:
        return len(self._entries)

    @property
    def num_reported(self) -> int:
        return self._num_reported

    def newest(self, trial: int) -> Entry | None:
        """The last segment of a trial that was issued."""
        entries = self._trials.get(trial)
        return entries[-1] if entries else None

    def score(self, segment: SegmentId) -> float:
        """The score at the end of an issued segment; -inf unless it is done and its last returns are finite."""
        return self._entries[segment].score

    def ranking(self, is_longest_first: bool = False) -> list[SegmentId]:
        """The newest segment with a checkpoint of every trial that has one, best score first, then older trial.

        ``is_longest_first``: of those with a finite score, who has trained for more episodes comes before who has
        trained for fewer. Scores read after 1 and after 81 episodes do not compare.
        """
        newest = {entry.segment.trial: entry.segment for entry in self if entry.status == "done"}
        ids = [segment.id for segment in newest.values()]
        scores = [self.score(segment) for segment in ids]
        if not is_longest_first:
            return [ids[i] for i in best_first(scores)]
        ages = [0 if s == -math.inf else own.stop for s, own in zip(scores, newest.values(), strict=True)]
        return [ids[i] for i in sorted(range(len(ids)), key=lambda i: (-ages[i], -scores[i], i))]

    def tell(self, event: Event) -> None:
        """Raises ValueError, and changes nothing, if the event does not follow from the ones before it."""
        match event:
            case Issued(segment):
                self._issue(segment)
            case Reported(report):
                self._report(report)
            case Voided(segment_id):
                entry = self._running(segment_id, "voided")
                del self._entries[segment_id]
                self._trials[entry.segment.trial].pop()

    def state(self) -> list[dict[str, Any]]:
        """Everything, as strict JSON; a return that is not finite reads None, for they all count alike."""
        return [
            {
                "segment": dataclasses.asdict(entry.segment),
                "status": entry.status,
                "tail": [value if math.isfinite(value) else None for value in entry.tail],
            }
            for entry in self
        ]

    def _issue(self, segment: Segment) -> None:
        before = self._trials.get(segment.trial, [])
        if segment.id in self._entries:
            raise ValueError(f"segment {segment.id} was issued before")
        if segment.index != len(before) or (before and before[-1].status == "running"):
            raise ValueError(f"segment {segment.id} was issued before the previous one of its trial ended")
        for source in dataclasses.astuple(segment.sources) if segment.sources else ():
            if source not in self._entries or self._entries[source].status != "done":
                raise ValueError(f"segment {segment.id} starts from {source}, which has no checkpoint")
        if segment.parent is not None and self._entries[segment.parent].segment.stop != segment.start:
            raise ValueError(
                f"segment {segment.id} starts at {segment.start}, which is not where {segment.parent} ends"
            )
        self._entries[segment.id] = entry = Entry(segment)
        self._trials.setdefault(segment.trial, []).append(entry)

    def _report(self, report: Report) -> None:
        entry = self._running(report.segment, "reported")
        segment = entry.segment
        expected = list(range(segment.first_episode, segment.stop + 1))
        if report.status == "done" and [episode.index for episode in report.episodes] != expected:
            raise ValueError(f"segment {segment.id} is done without having run the episodes {expected} in order")
        before = self._entries[segment.parent].tail if segment.parent is not None else ()
        returns = tuple(episode.return_ for episode in report.episodes if not episode.is_random)
        entry.tail = (report.score,) if isinstance(report, Aggregated) else (before + returns)[-SCORE_WINDOW_EPISODES:]
        entry.status = report.status
        entry.score = score(entry.tail) if report.status == "done" else -math.inf
        self._num_reported += 1

    def _running(self, segment: SegmentId, verb: str) -> Entry:
        entry = self._entries.get(segment)
        if entry is None or entry.status != "running":
            why = "never issued" if entry is None else f"already {entry.status}"
            raise ValueError(f"segment {segment} was {verb}, but it was {why}")
        return entry


def best_first(scores: Iterable[float]) -> list[int]:
    """Indices by falling score; ties: the smaller index, that is the older trial, first."""
    by_index = list(scores)
    return sorted(range(len(by_index)), key=lambda i: (-by_index[i], i))


def require_planned(segment: Segment, planned: Segment | None) -> None:
    """Raises ValueError unless ``segment`` is ``planned``, or a shorter form of it.

    Shorter, because a log may come from before a study was extended to more episodes. The config is not compared:
    another machine's logarithm may differ in the last bit, and what was issued is what counts.
    """
    if planned is None:
        raise ValueError(f"segment {segment.id} was issued, but this tuner does not ask for it")
    for name in ("trial", "index", "start", "sources", "origin", "shrink_perturb"):
        found, expected = getattr(segment, name), getattr(planned, name)
        if found != expected:
            raise ValueError(f"segment {segment.id} was issued with {name} {found}; this tuner asks for {expected}")
    if segment.stop > planned.stop:
        raise ValueError(f"segment {segment.id} was issued up to {segment.stop}; this tuner stops at {planned.stop}")
