"""Replicates: every trial of a static tuner is run under several seeds, and counts with what they come to together.

What the tuner within calls trial n are here the k trials nk .. nk + k - 1. They run the same configs, each from its own
checkpoints, with seeds of their own, for those are addressed by a segment's id. When all have ended, the tuner within
is told one report with their scores' aggregate:

- ``"mean"``
- ``"iqm"``, the interquartile mean: a quarter of the scores is left out at each end, in fractions of a score where k is
  no multiple of 4. With k = 2 it is the mean.
- ``"lower-bound"``: the mean less one standard error. It prefers what works under every seed.

A replicate that failed, diverged or scores no finite return counts as -inf, and once it has no checkpoint it stays out
while the others go on. So one failure makes mean and lower bound -inf; the IQM bears it if a quarter of k is 1 or more.

Replicates are trials like any others: all are counted in the budget, and ranked, those of the best config first. Among
them the order is that of age: the luckiest seed is no better than its config.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import inf, isfinite, sqrt
from statistics import fmean, stdev
from typing import Any, Literal, TypeAlias

from cartwheel.records import (
    Event,
    Issued,
    Report,
    Reported,
    Segment,
    SegmentId,
    Sources,
    Voided,
    segment_id,
    trial_of,
)
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import Aggregated, History

Aggregate: TypeAlias = Literal["mean", "iqm", "lower-bound"]


@dataclass(frozen=True, slots=True)
class ReplicatesSettings:
    """``replicates`` seeds per trial, scored together by ``aggregate``."""

    replicates: int = 1
    aggregate: Aggregate = "mean"

    def __post_init__(self) -> None:
        if self.replicates < 1:
            raise ValueError(f"replicates must be at least 1, got {self.replicates}")

    def together(self, scores: Sequence[float]) -> float:
        """What the replicates of a trial come to; -inf stands for no score."""
        return scores[0] if self.replicates == 1 else AGGREGATES[self.aggregate](scores)


NO_REPLICATES = ReplicatesSettings()


def mean(scores: Sequence[float]) -> float:
    return fmean(scores)


def iqm(scores: Sequence[float]) -> float:
    """The mean of the middle half: score i of the sorted ones counts with the share of [i, i + 1] that lies in it."""
    n = len(scores)
    shares = [min(i + 1, 0.75 * n) - max(i, 0.25 * n) for i in range(n)]
    return sum(share * score for share, score in zip(shares, sorted(scores), strict=True) if share > 0) / (0.5 * n)


def lower_bound(scores: Sequence[float]) -> float:
    """Mean less one standard error; -inf if any score is."""
    return mean(scores) - stdev(scores) / sqrt(len(scores)) if all(map(isfinite, scores)) else -inf


AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": mean, "iqm": iqm, "lower-bound": lower_bound}


class Replicated:
    """``inner``: a tuner none of whose trials starts from another's checkpoint. At least 2 replicates."""

    def __init__(self, inner: Tuner, settings: ReplicatesSettings) -> None:
        self._inner, self._settings, self._k = inner, settings, settings.replicates
        self._history = History()
        # by the inner trial, what was issued to at least one replicate and has not ended for all
        self._open: dict[int, Segment] = {}
        # of the open ones' replicates
        self._reports: dict[SegmentId, Report] = {}

    def ask(self, num_free: int) -> list[Segment]:
        return list(islice(self._waiting(max(0, num_free)), max(0, num_free)))

    def tell(self, event: Event) -> None:
        self._history.tell(event)
        match event:
            case Issued(segment):
                try:
                    self._join(segment)
                except ValueError:
                    # a refused event changes nothing
                    self._history.tell(Voided(segment.id))
                    raise
            case Reported(report):
                self._reports[report.segment] = report
                self._end(self._open[trial_of(report.segment) // self._k])
            case Voided(segment):
                self._leave(self._open[trial_of(segment) // self._k])

    @property
    def is_done(self) -> bool:
        return self._inner.is_done

    def needed(self, num_best: int) -> set[SegmentId]:
        if self.is_done:
            return set(self.ranking()[:num_best])
        groups = self._open.keys() | {trial_of(segment) for segment in self._inner.needed(num_best)}
        return {segment for trial, segment in self._newest_done().items() if trial // self._k in groups}

    def ranking(self) -> list[SegmentId]:
        newest = self._newest_done()
        groups = [trial_of(best) * self._k for best in self._inner.ranking()]
        return [newest[trial] for start in groups for trial in range(start, start + self._k) if trial in newest]

    def state(self) -> dict[str, Any]:
        inner = self._inner.state()
        return {
            **dataclasses.asdict(self._settings),
            "inner": inner,
            "segments": self._history.state(),
            "warnings": inner.get("warnings", []),
        }

    def _newest_done(self) -> dict[int, SegmentId]:
        """The newest finished segment of every trial that has one."""
        return {entry.segment.trial: entry.segment.id for entry in self._history if entry.status == "done"}

    def _waiting(self, num: int) -> Iterator[Segment]:
        for group in self._open.values():
            yield from (own for own in self._going_on(group) if self._history.find(own.id) is None)
        for group in self._inner.ask(num):
            yield from self._going_on(group)

    def _going_on(self, group: Segment) -> Iterator[Segment]:
        """The segments of the replicates that have what it starts from."""
        for own in replicates(group, self._k):
            sources = dataclasses.astuple(own.sources) if own.sources is not None else ()
            entries = [self._history.find(source) for source in sources]
            if all(entry is not None and entry.status == "done" for entry in entries):
                yield own

    def _join(self, segment: Segment) -> None:
        """A segment was issued: the first of its group, or another one."""
        group = group_of(segment, self._k)
        opened = self._open.get(group.trial)
        if opened is None:
            self._inner.tell(Issued(group))
            self._open[group.trial] = group
        elif opened != group:
            raise ValueError(f"segment {segment.id} was issued with other contents than the first of its replicates")

    def _leave(self, group: Segment) -> None:
        """A segment of this group was taken back."""
        if all(self._history.find(own.id) is None for own in replicates(group, self._k)):
            del self._open[group.trial]
            self._inner.tell(Voided(group.id))

    def _end(self, group: Segment) -> None:
        """A segment of this group has ended: perhaps the last one."""
        going_on = list(self._going_on(group))
        if all(own.id in self._reports for own in going_on):
            del self._open[group.trial]
            self._inner.tell(Reported(self._aggregated(group, [self._reports.pop(own.id) for own in going_on])))

    def _aggregated(self, group: Segment, reports: list[Report]) -> Report:
        done = [report for report in reports if report.status == "done"]
        if not done:
            return Report(group.id, "failed", (), None, reason="no replicate has a checkpoint")
        scores = [self._history.score(report.segment) for report in done]
        score = self._settings.together([*scores, *[-inf] * (self._k - len(scores))])
        return Aggregated(group.id, "done", done[0].episodes, done[0].checkpoint, score=score)


def replicates(group: Segment, num: int) -> list[Segment]:
    """The segments of its replicates, in the order of age."""
    return [_renumbered(group, partial(_outer, num, place)) for place in range(num)]


def group_of(segment: Segment, num: int) -> Segment:
    """What the tuner within calls a replicate's segment. Raises ValueError if it starts from another replicate's."""
    sources = dataclasses.astuple(segment.sources) if segment.sources is not None else ()
    if any(trial_of(source) % num != segment.trial % num for source in sources):
        raise ValueError(f"segment {segment.id} starts from a checkpoint of another replicate")
    return _renumbered(segment, lambda trial: trial // num)


def _outer(num: int, place: int, trial: int) -> int:
    return trial * num + place


def _renumbered(segment: Segment, new: Callable[[int], int]) -> Segment:
    """The same with other numbers of trials, its own and those of its sources."""
    sources = dataclasses.astuple(segment.sources) if segment.sources is not None else None
    moved = [segment_id(new(trial_of(id_)), int(id_.partition(".")[2])) for id_ in sources or ()]
    return dataclasses.replace(segment, trial=new(segment.trial), sources=Sources(*moved) if moved else None)
