"""What tuners share whose next step is a function of what has happened to each trial.

Such a tuner says what a trial asks for next and in which order trials are served; the rest, written once, is here:
asking, checking what was issued against it, and knowing when all is done.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeAlias

from cartwheel.records import Config, Event, Issued, Segment, SegmentId, Sources, trial_of
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import settings_state
from cartwheel.tuners.draws import first_config
from cartwheel.tuners.history import History, require_planned

Course: TypeAlias = Callable[[int, Segment | None], tuple[Config, int]]
"""(trial, its last segment or None) -> what it runs next: config and where that segment stops."""


class PlannedTuner(ABC):
    """``settings``: a dataclass, kept for the state."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any) -> None:
        self._space, self._seed, self._num_episodes, self._settings = space, seed, num_episodes, settings
        self._history = History()
        self._drawn: dict[int, Config] = {}

    @abstractmethod
    def _next(self, trial: int) -> Segment | None:
        """What may be issued for that trial now; None while it runs, when it is over, and if there is no such trial."""

    @abstractmethod
    def _waiting(self) -> Iterable[Segment]:
        """What to ask for now, in order. Each is the ``_next`` of its trial."""

    @abstractmethod
    def _heed(self, event: Event) -> None:
        """Called when the history has taken an event, which was sound."""

    def ask(self, num_free: int) -> list[Segment]:
        return list(islice(self._waiting(), max(0, num_free)))

    def tell(self, event: Event) -> None:
        if isinstance(event, Issued) and self._history.find(event.segment.id) is None:
            self._admit(event.segment)
        self._history.tell(event)
        self._heed(event)

    def _admit(self, segment: Segment) -> None:
        """Raises ValueError unless this tuner asks for it."""
        require_planned(segment, self._next(segment.trial))
        self._space.check(segment.config)

    @property
    def is_done(self) -> bool:
        return self._history.num_reported == self._history.num_issued and not self.ask(1)

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking()

    def needed(self, num_best: int) -> set[SegmentId]:
        ranked = self.ranking()
        if self.is_done:
            return set(ranked[:num_best])
        over = [id_ for id_ in ranked if not self._may_run(trial_of(id_))]
        # of those that are over the order is settled, and what still runs can only come between them
        return set(ranked).difference(over[num_best:]) | self._other_sources()

    def _may_run(self, trial: int, /) -> bool:
        """Whether a trial may run on, if nobody has stopped it: it runs, or has had less than the whole budget."""
        newest = self._history.newest(trial)
        return newest is None or newest.status == "running" or newest.goes_on(self._num_episodes)

    def _other_sources(self) -> set[SegmentId]:
        """What a trial may start from beside its own newest finished segment."""
        return set()

    def state(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "num_episodes": self._num_episodes,
            "settings": settings_state(self._settings),
            "space": self._space.to_dict(),
            "segments": self._history.state(),
            "waiting": [dataclasses.asdict(segment) for segment in self._waiting()],
        }

    def _draw(self, trial: int) -> Config:
        """The trial's first config, kept: it is needed at every ask until the trial begins, and when it is issued."""
        if trial not in self._drawn:
            self._drawn[trial] = first_config(self._space, self._seed, trial, self._settings.default_first)
        return self._drawn[trial]


class IndependentTrials(PlannedTuner):
    """``settings.num_trials`` trials that know nothing of each other; one that failed has spent its budget.

    With more episodes or more trials than the told events were made with, finished trials go on from their last
    checkpoint, and further ones begin.
    """

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any, course: Course) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._course = course

    def _next(self, trial: int) -> Segment | None:
        newest = self._history.newest(trial)
        if not 0 <= trial < self._settings.num_trials or (
            newest is not None and not newest.goes_on(self._num_episodes)
        ):
            return None
        last = None if newest is None else newest.segment
        config, stop = self._course(trial, last)
        return first(trial, config, stop) if last is None else continued(last, config, stop)

    def _waiting(self) -> Iterable[Segment]:
        planned = (self._next(trial) for trial in range(self._settings.num_trials))
        return (segment for segment in planned if segment is not None)

    def _heed(self, event: Event) -> None:
        """The history is all there is to know."""


def first(trial: int, config: Config, stop: int) -> Segment:
    """A trial from nothing."""
    return Segment(trial, 0, config, 0, stop)


def continued(last: Segment, config: Config, stop: int) -> Segment:
    """The same trial from its last checkpoint."""
    return Segment(last.trial, last.index + 1, config, last.stop, stop, Sources.whole(last.id), "continue")
