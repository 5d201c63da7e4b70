"""Random Search: independent draws from the prior, each trained for the whole budget (Bergstra and Bengio 2012)."""

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cartwheel.records import Event, Issued, Segment, SegmentId, Sources
from cartwheel.space import Space
from cartwheel.tuners.draws import first_config
from cartwheel.tuners.history import History, require_planned


@dataclass(frozen=True, slots=True)
class RandomSearchSettings:
    """``num_trials``: configs drawn. ``default_first``: trial 0 gets the default config instead of a draw."""

    num_trials: int = 8
    default_first: bool = False

    def __post_init__(self) -> None:
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {self.num_trials}")


class RandomSearch:
    """One segment of ``num_episodes`` per trial; a trial that failed has spent its budget.

    With more episodes or more trials than the told events were made with, finished trials go on from their last
    checkpoint under the same config, and further ones begin.
    """

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: RandomSearchSettings) -> None:
        self._space, self._seed, self._num_episodes, self._settings = space, seed, num_episodes, settings
        self._history = History()

    def ask(self, num_free: int) -> list[Segment]:
        planned = (self._next(trial) for trial in range(self._settings.num_trials))
        return list(islice((segment for segment in planned if segment is not None), max(0, num_free)))

    def tell(self, event: Event) -> None:
        if isinstance(event, Issued) and self._history.find(event.segment.id) is None:
            trial = event.segment.trial
            require_planned(event.segment, self._next(trial) if 0 <= trial < self._settings.num_trials else None)
            self._space.check(event.segment.config)
        self._history.tell(event)

    @property
    def is_done(self) -> bool:
        trials = range(self._settings.num_trials)
        return self._history.num_reported == self._history.num_issued and all(self._next(t) is None for t in trials)

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking()

    def state(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "num_episodes": self._num_episodes,
            "settings": dataclasses.asdict(self._settings),
            "space": self._space.to_dict(),
            "segments": self._history.state(),
        }

    def _next(self, trial: int) -> Segment | None:
        """What the trial asks for now; None while it runs, and when it is over."""
        newest = self._history.newest(trial)
        if newest is None:
            config = first_config(self._space, self._seed, trial, self._settings.default_first)
            return Segment(trial, 0, config, start=0, stop=self._num_episodes)
        last = newest.segment
        if newest.status != "done" or last.stop >= self._num_episodes:
            return None
        return Segment(
            trial, last.index + 1, last.config, last.stop, self._num_episodes, Sources.whole(last.id), "continue"
        )
