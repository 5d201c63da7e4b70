"""Successive Halving: train many a little, keep the best 1/eta, train these longer, and so on.

Karnin et al. 2013; for hyperparameters Jamieson and Talwalkar 2016. A *rung* is a number of trials and the episodes
that each has had when it is read; a *bracket* is a list of rungs. A rung is decided when all its trials have reported,
so nothing depends on workers or on the order of completion. Ties go to the older trial.

A trial that failed, diverged or scores no finite return is never promoted, not even if that leaves places empty: there
is nothing to go on from, and a bracket in which all fail is over.

A promoted trial goes on from its checkpoint. With ``restart``, as in the papers, it is trained anew from nothing under
its config instead. That is a trial of its own, for its agent has nothing from the other: its segment has the origin
"new" and no sources, and its number comes after those of all trials that begin with a config of their own, in the order
bracket, rung, age. So the n-th config has the number n either way.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Any, TypeAlias

from cartwheel.records import Config, Event, Issued, Reported, Segment, SegmentId
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import best_first
from cartwheel.tuners.planned import PlannedTuner, continued, first


@dataclass(frozen=True, slots=True)
class Rung:
    """``num_trials`` at most are in it; it is read at ``budget`` model-driven episodes."""

    num_trials: int
    budget: int


Rungs: TypeAlias = tuple[Rung, ...]
Table: TypeAlias = Callable[[int], Sequence[Rungs]]
"""(where the first segment of trial 0 stops) -> the brackets. See ``Halving``."""


@dataclass(frozen=True, slots=True)
class SuccessiveHalvingSettings:
    """``num_trials`` start with ``min_episodes`` each; the best 1/``eta`` get ``eta`` times as many, and so on.

    The default of 27 trials costs about as much as 8 full ones in 10 episodes. ``restart``: see the module.
    ``default_first``: trial 0 gets the default config instead of a draw.
    """

    num_trials: int = 27
    eta: int = 3
    min_episodes: int = 1
    restart: bool = False
    default_first: bool = False

    def __post_init__(self) -> None:
        check_ladder(self.eta, self.min_episodes)
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {self.num_trials}")


def successive_halving(space: Space, seed: int, num_episodes: int, settings: SuccessiveHalvingSettings) -> Tuner:
    """One bracket. Further episodes add to its upper end: what was decided below stays as it is."""
    budgets = ladder(settings.min_episodes, settings.eta, num_episodes)
    # at least one: the study is to end with a trial of the whole budget
    rungs = tuple(Rung(max(1, settings.num_trials // settings.eta**k), budget) for k, budget in enumerate(budgets))
    return Halving(space, seed, num_episodes, settings, lambda _: [rungs])


def check_ladder(eta: int, min_episodes: int) -> None:
    """Raises ValueError if no ladder of rungs can be made of these."""
    if eta < 2:
        raise ValueError(f"eta must be at least 2, got {eta}")
    if min_episodes < 1:
        raise ValueError(f"min_episodes must be at least 1, got {min_episodes}")


def ladder(min_episodes: int, eta: int, num_episodes: int) -> list[int]:
    """Budgets that grow by eta, the last one cut at ``num_episodes``: 1, 3, 9, 10."""
    budgets = [min(min_episodes, num_episodes)]
    while budgets[-1] < num_episodes:
        budgets.append(min(budgets[-1] * eta, num_episodes))
    return budgets


class Bracket:
    """How far one bracket has come.

    ``rung_of``: the highest rung that each trial was let into, in the order of age. ``config_of``: of a restarted
    trial, the one whose config it runs.
    """

    def __init__(self, rungs: Rungs, trials: range, restarts: range) -> None:
        self.rungs = rungs
        self.rung_of = dict.fromkeys(trials, 0)
        self.config_of: dict[int, int] = {}
        # restarts[at] is the number of the first trial of a rung that restarts
        self._restarts, self._starts = restarts, list(accumulate((r.num_trials for r in rungs[1:]), initial=0))
        self._rung, self._num_open = 0, len(trials)

    @property
    def newest(self) -> list[int]:
        """The trials of the highest rung that was decided, in the order of age."""
        return [trial for trial, rung in self.rung_of.items() if rung == self._rung]

    def has_stopped(self, trial: int) -> bool:
        """Whether the trial was not promoted."""
        return self.rung_of[trial] < self._rung

    def budget(self, trial: int) -> int:
        return self.rungs[self.rung_of[trial]].budget

    def end(self, score: Callable[[int], float]) -> None:
        """One more trial of the newest rung reached its budget or failed; the last one decides who is promoted."""
        self._num_open -= 1
        if self._num_open or self._rung + 1 == len(self.rungs):
            return
        promoted = self._best(score)
        if self._restarts:
            offset = self._starts[self._rung]
            again = self._restarts[offset : offset + len(promoted)]
            self.config_of.update(zip(again, promoted, strict=True))
            promoted = list(again)
        self._rung += 1
        self.rung_of.update(dict.fromkeys(promoted, self._rung))
        self._num_open = len(promoted)

    def _best(self, score: Callable[[int], float]) -> list[int]:
        """The next rung's trials, in the order of age."""
        trials = self.newest
        scores = [score(trial) for trial in trials]
        order = best_first(scores)[: self.rungs[self._rung + 1].num_trials]
        return [trials[i] for i in sorted(order) if scores[i] > -inf]


class Halving(PlannedTuner):
    """Brackets side by side.

    ``settings`` has ``restart`` and ``default_first``. Trials are numbered bracket by bracket. Trial 0 is asked for
    first, then the brackets from the last to the first: the one with most rungs, whose way is longest, must come last
    in the table, so that trials of the others fill the lanes whenever it waits for a rung.

    A table that depends on the number of episodes must start with a trial for all of them. That trial's first segment
    then says which table a study was begun with, should the number grow; the grown one is in the table's last rungs.
    """

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any, table: Table) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._table = table
        self._plan(table(num_episodes))

    def _plan(self, brackets: Sequence[Rungs]) -> None:
        counts = [rungs[0].num_trials for rungs in brackets]
        starts = list(accumulate(counts, initial=0))
        more = [sum(r.num_trials for r in rungs[1:]) if self._settings.restart else 0 for rungs in brackets]
        restarts = list(accumulate(more, initial=starts[-1]))
        self._brackets = [
            Bracket(rungs, range(starts[i], starts[i + 1]), range(restarts[i], restarts[i + 1]))
            for i, rungs in enumerate(brackets)
        ]
        self._starts, self._restarts = starts, restarts

    def _bracket(self, trial: int) -> Bracket:
        edges = self._starts if trial < self._starts[-1] else self._restarts
        return self._brackets[bisect_left(edges, trial + 1) - 1]

    def _next(self, trial: int) -> Segment | None:
        if not 0 <= trial < self._restarts[-1] or trial not in (bracket := self._bracket(trial)).rung_of:
            return None
        newest, budget = self._history.newest(trial), bracket.budget(trial)
        if newest is None:
            return first(trial, self._first_config(bracket, trial), budget)
        last = newest.segment
        return continued(last, last.config, budget) if newest.goes_on(budget) else None

    def _waiting(self) -> Iterable[Segment]:
        return (segment for trial in self._in_order() if (segment := self._next(trial)) is not None)

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking(is_longest_first=True)

    def _may_run(self, trial: int, /) -> bool:
        return super()._may_run(trial) and not self._bracket(trial).has_stopped(trial)

    def _in_order(self) -> Iterator[int]:
        yield 0
        for bracket in reversed(self._brackets):
            yield from (trial for trial in bracket.newest if trial != 0)

    def _heed(self, event: Event) -> None:
        if isinstance(event, Issued) and event.segment.trial == 0 and self._history.num_issued == 1:
            self._plan(self._table(event.segment.stop))
        if isinstance(event, Reported) and (entry := self._history.find(event.report.segment)) is not None:
            trial = entry.segment.trial
            bracket = self._bracket(trial)
            if entry.status != "done" or entry.segment.stop >= bracket.budget(trial):
                bracket.end(self._score)

    def _score(self, trial: int) -> float:
        newest = self._history.newest(trial)
        return -inf if newest is None else self._history.score(newest.segment.id)

    def _first_config(self, bracket: Bracket, trial: int) -> Config:
        if trial not in bracket.config_of:
            return self._draw(trial)
        own = self._history.newest(bracket.config_of[trial])
        assert own is not None, "a promoted trial has run"
        return own.segment.config
