"""Training afresh under a schedule that is given: nothing is decided, so nothing that comes out is tuning data.

A rerun, and ``cartwheel train``, is a study of its own with the same loop and store: one trial per seed, each
following the schedule from nothing, evaluated at its end.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from cartwheel.records import Evaluation, Event, Issued, Segment, SegmentId, trial_of
from cartwheel.schedules.schedule import Schedule
from cartwheel.study import Purpose
from cartwheel.tuners.history import History, require_planned


class FollowSchedule:
    """Asks for ``num_trials`` trials under one schedule. A trial that fails is over."""

    def __init__(self, schedule: Schedule, num_trials: int) -> None:
        self._chains = [schedule.to_segments(trial) for trial in range(num_trials)]
        self._history = History()

    def ask(self, num_free: int) -> list[Segment]:
        planned = (self._next(trial) for trial in range(len(self._chains)))
        return list(islice((segment for segment in planned if segment is not None), max(0, num_free)))

    def tell(self, event: Event) -> None:
        if isinstance(event, Issued):
            trial = event.segment.trial
            require_planned(event.segment, self._next(trial) if 0 <= trial < len(self._chains) else None)
        self._history.tell(event)

    @property
    def is_done(self) -> bool:
        is_idle = self._history.num_reported == self._history.num_issued
        return is_idle and all(self._next(trial) is None for trial in range(len(self._chains)))

    def ranking(self) -> list[SegmentId]:
        """Only trials that followed the schedule to its end."""
        ends = {chain[-1].id for chain in self._chains}
        return [segment for segment in self._history.ranking() if segment in ends]

    def needed(self, num_best: int) -> set[SegmentId]:
        return set(self.ranking()[:num_best] if self.is_done else self._history.ranking())

    def state(self) -> dict[str, Any]:
        return {"segments": self._history.state()}

    def _next(self, trial: int) -> Segment | None:
        chain, newest = self._chains[trial], self._history.newest(trial)
        if newest is None:
            return chain[0]
        following = newest.segment.index + 1
        return chain[following] if newest.status == "done" and following < len(chain) else None


def rerun_purpose(family: str, seeds: Sequence[int], num_episodes: int) -> Purpose:
    """Trial k runs under the k-th seed of the family; each is evaluated for ``num_episodes`` (0: not at all)."""

    def evaluations(ranking: Sequence[SegmentId]) -> list[Evaluation]:
        by_trial = sorted(ranking, key=trial_of)
        return [Evaluation(segment, seeds[trial_of(segment)], num_episodes) for segment in by_trial if num_episodes]

    return Purpose(
        segment_seed=lambda segment: (family, seeds[segment.trial]),
        evaluation_seed=lambda evaluation: (f"{family}-evaluation", evaluation.seed),
        evaluations=evaluations,
        num_best=len(seeds),
    )
