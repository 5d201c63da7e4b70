"""Hyperband one rung after the other, for tuners that choose a bracket's configs by what was learnt before it.

The brackets are those of ``hyperband``, run from the one with most and shortest trials to that of full ones, several
rounds if asked. A *step* is a part of a rung whose trials are decided together, when all of the step before have ended:
so nothing depends on workers or on the order of completion. The price is that lanes wait at the end of a step.

Trial 0 is a full one, drawn at random, and runs beside the first steps: its first segment says how many episodes a
study was begun with, should it be extended. It is one of those of the first bracket of full trials, and its result
counts from the first step at full budget on.

Trials are numbered as they begin. A promoted one goes on from its checkpoint; one that failed, diverged or scores no
finite return is never promoted.

With more episodes than a study was begun with, its brackets stay, and its full trials go on.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from cartwheel.records import Config, Event, Issued, Reported, Segment, SegmentId
from cartwheel.spaces.space import Space
from cartwheel.tuners.halving.hyperband import Flavour, brackets
from cartwheel.tuners.halving.successive_halving import Rungs, check_ladder
from cartwheel.tuners.history import best_first
from cartwheel.tuners.planned import PlannedTuner, continued, first


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """``num_rounds`` times all brackets of Hyperband. ``default_first``: trial 0 gets the default config."""

    flavour: Flavour = "li"
    eta: int = 3
    min_episodes: int = 1
    num_rounds: int = 1
    default_first: bool = False

    def __post_init__(self) -> None:
        check_ladder(self.eta, self.min_episodes)
        if self.num_rounds < 1:
            raise ValueError(f"num_rounds must be at least 1, got {self.num_rounds}")


@dataclass(frozen=True, slots=True)
class Step:
    """``num_trials`` at most come to the budget of ``level`` (0: the smallest) in a rung of a bracket of a round."""

    round: int
    bracket: int
    rung: int
    level: int
    num_trials: int

    @property
    def place(self) -> tuple[int, int, int]:
        """The rung it is a part of."""
        return self.round, self.bracket, self.rung


def steps(table: Sequence[Rungs], num_rounds: int, batch_size: int | None) -> list[Step]:
    """The steps of all brackets s = 0, 1, ... of a table; first rungs are cut into batches. Trial 0 is in none."""
    found = []
    for round_ in range(num_rounds):
        for s in reversed(range(len(table))):
            for k, rung in enumerate(table[s]):
                num = rung.num_trials - (round_ == 0 and s == 0)
                size = batch_size if k == 0 and batch_size is not None else max(1, num)
                level = len(table) - 1 - s + k
                found += [Step(round_, s, k, level, min(size, num - i)) for i in range(0, num, size)]
    return found


class SerialHyperband(PlannedTuner):
    """Abstract. ``settings`` has the fields of ``SerialSettings``; ``batch_size``: of first rungs, None for whole."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any, batch_size: int | None) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._batch_size = batch_size
        self._plan(num_episodes)

    @abstractmethod
    def _forget(self, table: Sequence[Rungs]) -> None:
        """Nothing was learnt yet, and these are the brackets."""

    @abstractmethod
    def _learn(self, step: Step, trials: Sequence[int]) -> None:
        """The trials of a step have ended."""

    @abstractmethod
    def _new_configs(self, step: Step, trials: range) -> Sequence[Config] | None:
        """The configs of trials that begin in a step; None if the best of the bracket's last rung go on instead."""

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking(is_longest_first=True)

    def _may_run(self, trial: int, /) -> bool:
        # who has ended is promoted from the newest rung, or not at all
        return super()._may_run(trial) and (trial in self._rung or not self._has_ended(trial))

    def _plan(self, begun_with: int) -> None:
        chosen = self._settings
        table = brackets(begun_with, chosen.min_episodes, chosen.eta, chosen.flavour)
        self._begun_with, self._ladder = begun_with, [rung.budget for rung in table[-1]]
        self._coming = steps(table, chosen.num_rounds, self._batch_size)[::-1]
        self._configs: dict[int, Config] = {0: self._draw(0)}
        self._level_of = {0: self._top}
        self._has_joined = False
        # the newest step, its trials, and those of its rung so far
        self._step: Step | None = None
        self._running: list[int] = []
        self._rung: list[int] = []
        self._forget(table)
        self._advance()

    @property
    def _top(self) -> int:
        return len(self._ladder) - 1

    def _next(self, trial: int) -> Segment | None:
        if trial not in self._level_of:
            return None
        newest, level = self._history.newest(trial), self._level_of[trial]
        budget = self._num_episodes if level == self._top else self._ladder[level]
        if newest is None:
            return first(trial, self._configs[trial], budget)
        return continued(newest.segment, newest.segment.config, budget) if newest.goes_on(budget) else None

    def _waiting(self) -> Iterable[Segment]:
        return (segment for trial in sorted(self._level_of) if (segment := self._next(trial)) is not None)

    def _heed(self, event: Event) -> None:
        if isinstance(event, Reported):
            self._advance()
        if isinstance(event, Issued) and event.segment.trial == 0 and self._history.num_issued == 1:
            self._plan(event.segment.stop)

    def _advance(self) -> None:
        while self._coming and all(map(self._has_ended, self._running)):
            if self._coming[-1].level == self._top and not self._has_ended(0):
                return
            self._begin(self._coming.pop())

    def _begin(self, step: Step) -> None:
        if self._step is not None:
            self._learn(self._step, self._running)
        if step.level == self._top and not self._has_joined:
            self._has_joined = True
            self._learn(Step(0, 0, 0, self._top, 1), [0])
        new = range(len(self._configs), len(self._configs) + step.num_trials)
        configs = self._new_configs(step, new)
        trials = self._best(step.num_trials) if configs is None else list(new)
        self._configs.update(zip(new, configs or (), strict=configs is not None))
        is_further_batch = self._step is not None and self._step.place == step.place
        self._rung = [*self._rung, *trials] if is_further_batch else trials
        self._level_of.update(dict.fromkeys(trials, step.level))
        self._step, self._running = step, trials

    def _best(self, num: int) -> list[int]:
        """Of the newest rung, in the order of age."""
        scores = [self._score(trial) for trial in self._rung]
        return sorted(self._rung[i] for i in best_first(scores)[:num] if scores[i] > -inf)

    def _has_ended(self, trial: int) -> bool:
        """Whether it failed, or has come to the budget of its level as it was when the study was begun."""
        newest, budget = self._history.newest(trial), self._ladder[self._level_of[trial]]
        return newest is not None and newest.status != "running" and not newest.goes_on(budget)

    def _score(self, trial: int) -> float:
        newest = self._history.newest(trial)
        return -inf if newest is None else self._history.score(newest.segment.id)
