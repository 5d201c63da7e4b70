"""ASHA: Successive Halving that never waits (Li et al. 2020, algorithm 2, the promotion type).

On a free slot the rungs are scanned from the top: of those that have ended in a rung, n so far, one of the best
floor(n / eta) that was not promoted goes on to the next rung, from its checkpoint. If there is none, a new config
begins, up to ``num_trials``. Ties go to the older trial; a trial that failed, diverged or scores no finite return
counts in n, ranks worst and is never promoted.

When nothing runs, begins or can be promoted, and nobody has come to the top, the best of the highest rung goes on
alone: a bounded number of trials seldom fills the upper rungs, and a study is to end with a trial of the whole budget.

What is promoted depends on the order of completion. A log therefore says who was promoted, and folds whatever this
tuner would have asked for; only that a trial may take that step at all is checked.

With more episodes than a study was begun with, rungs are added at the upper end; whoever ended between two goes on to
the next before it counts there. With more trials, further ones begin.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from cartwheel.records import Event, Reported, Segment, SegmentId
from cartwheel.spaces.space import Space
from cartwheel.tuners.halving.successive_halving import check_ladder, ladder
from cartwheel.tuners.planned import PlannedTuner, continued, first


@dataclass(frozen=True, slots=True)
class AshaSettings:
    """``num_trials`` begin at most, each with ``min_episodes``; rungs grow by ``eta``, one in ``eta`` is promoted.

    The default of 27 trials costs about as much as 8 full ones in 10 episodes. ``default_first``: trial 0 gets the
    default config instead of a draw.
    """

    num_trials: int = 27
    eta: int = 3
    min_episodes: int = 1
    default_first: bool = False

    def __post_init__(self) -> None:
        check_ladder(self.eta, self.min_episodes)
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {self.num_trials}")


class Asha(PlannedTuner):
    """``num_episodes``: the top rung."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: AshaSettings) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._budgets = ladder(settings.min_episodes, settings.eta, num_episodes)
        # of each rung, who ended there: (-score, trial), so the best come first and the older of equals
        self._ended: list[list[tuple[float, int]]] = [[] for _ in self._budgets]
        # trials that an old, smaller budget cut short
        self._cut: set[int] = set()

    def _next(self, trial: int) -> Segment | None:
        if not 0 <= trial < self._settings.num_trials:
            return None
        newest = self._history.newest(trial)
        if newest is None:
            return first(trial, self._draw(trial), self._budgets[0])
        last = newest.segment
        if self._is_between(last):
            return continued(last, last.config, self._budgets[self._rung(last)]) if newest.status == "done" else None
        rung = self._rung(last) + 1
        may_go_on = rung < len(self._budgets) and self._history.score(last.id) > -inf
        return continued(last, last.config, self._budgets[rung]) if may_go_on else None

    def _waiting(self) -> Iterable[Segment]:
        is_empty = True
        for trial in self._in_order():
            if (segment := self._next(trial)) is not None:
                is_empty = False
                yield segment
        if is_empty and self._history.num_reported == self._history.num_issued:
            yield from self._last_promotion()

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking(is_longest_first=True)

    def _in_order(self) -> Iterator[int]:
        yield from (trial for trial in sorted(self._cut) if self._is_between(self._last(trial)))
        for rung in reversed(range(len(self._budgets) - 1)):
            yield from self._still_in(rung, len(self._ended[rung]) // self._settings.eta)
        yield from (t for t in range(self._settings.num_trials) if self._history.newest(t) is None)

    def _last_promotion(self) -> Iterator[Segment]:
        for rung in reversed(range(len(self._budgets))):
            for trial in self._still_in(rung, len(self._ended[rung])):
                segment = self._next(trial)
                if segment is not None:
                    yield segment
                return

    def _still_in(self, rung: int, num_best: int) -> Iterator[int]:
        """Of the best of a rung those with a finite score that were not promoted, best first."""
        for negative_score, trial in self._ended[rung][:num_best]:
            if negative_score < inf and self._last(trial).stop == self._budgets[rung]:
                yield trial

    def _heed(self, event: Event) -> None:
        if not isinstance(event, Reported) or (entry := self._history.find(event.report.segment)) is None:
            return
        segment = entry.segment
        if entry.status == "done" and self._is_between(segment):
            self._cut.add(segment.trial)
        else:
            insort(self._ended[self._rung(segment)], (-self._history.score(segment.id), segment.trial))

    def _last(self, trial: int) -> Segment:
        newest = self._history.newest(trial)
        assert newest is not None, "only trials that have run are asked about"
        return newest.segment

    def _rung(self, segment: Segment) -> int:
        """The rung that a segment ends in, or is on the way to."""
        return bisect_left(self._budgets, segment.stop)

    def _is_between(self, segment: Segment) -> bool:
        return segment.stop < self._budgets[self._rung(segment)]
