"""What tuners with a population share: what a member may do next, and the queue of what was decided.

A member goes on, copies another, or starts anew. Members are compared at equal ages: a member at its own age, with the
newest checkpoint of every other's lineage that is not older; one that has not come so far is read at the nearest lower
age. Scores of agents that have trained for longer would not be a fair comparison. A copy takes that very checkpoint,
and goes on from its age.

A member that failed, diverged, or scores a return that is not finite is not *sound*: it ranks worst and copies a sound
one. If there is none, it starts anew from nothing with a fresh draw, in what is left of its budget: the cause may lie
in its config, and the budget bounds the trying. A member's budget is what its segments span together, so what failed
is spent.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from math import inf
from typing import Any

import numpy as np

from cartwheel.records import Config, Event, Issued, Reported, Segment, SegmentId, ShrinkPerturb, Sources, Voided
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space
from cartwheel.tuners.draws import fresh_config
from cartwheel.tuners.history import History
from cartwheel.tuners.planned import PlannedTuner
from cartwheel.tuners.populations.archive import Record
from cartwheel.tuners.populations.pbt_settings import PbtSettings


@dataclass(frozen=True, slots=True)
class Step:
    """What a member does next: from ``start`` model-driven episodes on, under ``config``."""

    config: Config
    start: int = 0
    sources: Sources | None = None
    origin: str = "new"
    shrink_perturb: ShrinkPerturb | None = None


class Population:
    """Answers for members by their last ended segments; knows nothing that the history does not."""

    def __init__(self, space: Space, seed: int, settings: PbtSettings, history: History) -> None:
        self._space, self._seed, self._settings = space, seed, settings
        self._exploiter, self._explorer = settings.exploiter, settings.explorer
        self.history = history

    def score(self, own: Segment) -> float:
        return self.history.score(own.id)

    def is_sound(self, own: Segment) -> bool:
        return self.score(own) > -inf

    def rng(self, purpose: str, own: Segment) -> np.random.Generator:
        """The random numbers of what a member does after ``own``."""
        return numpy_rng(self._seed, "tuner", purpose, own.trial, own.index + 1)

    def explored(self, config: Config, rng: np.random.Generator) -> Config:
        """A config near this one, as the settings say."""
        return self._explorer(config, self._space, rng)

    def drawn(self, own: Segment) -> Config:
        """A fresh draw for the member's next segment."""
        return fresh_config(self._space, self._seed, own.trial, own.index + 1)

    def own_step(self, own: Segment) -> Step:
        """Go on if that is possible, else start anew."""
        if not self.is_sound(own):
            return Step(self.drawn(own))
        return Step(own.config, own.stop, Sources.whole(own.id), "continue")

    def copies(self, candidates: Sequence[Segment], members: Sequence[Segment | None]) -> dict[int, Step]:
        """Who of the candidates copies one of the members, by trial.

        ``members``: the last ended segments, the older trials first, and None of one that has ended none: it counts as
        the worst.
        """
        copies = {}
        places = {own.trial: place for place, own in enumerate(members) if own is not None}
        for age in sorted({own.stop for own in candidates}):
            rivals = [self.at_age(own, age) for own in members]
            scores = [-inf if rival is None else self.score(rival) for rival in rivals]
            donors = self._exploiter.donors(scores)
            for own in candidates:
                if own.stop == age and (places_of_donors := donors.get(places[own.trial])):
                    chosen = [rival for place in places_of_donors if (rival := rivals[place])]
                    copies[own.trial] = self._drawn_copy(own, chosen)
        return copies

    def at_age(self, own: Segment | None, age: int) -> Segment | None:
        """The newest segment of a member's lineage that ends at ``age`` or before; None if the member is not sound."""
        segment = own if own is not None and self.is_sound(own) else None
        while segment is not None and segment.stop > age:
            entry = None if segment.parent is None else self.history.find(segment.parent)
            segment = None if entry is None else entry.segment
        return segment

    def down_to(self, newest: SegmentId, age: int) -> Iterator[SegmentId]:
        """The segments of a lineage, from its newest one down to the first that ends at ``age`` or before."""
        entry = self.history.find(newest)
        while entry is not None:
            yield entry.segment.id
            parent = entry.segment.parent
            entry = None if parent is None or entry.segment.stop <= age else self.history.find(parent)

    def copy(self, own: Segment, donor: Segment, config: Config) -> Step:
        """Go on from the donor's checkpoint; of what the settings do not copy, a sound member keeps its own."""
        kept = own if self.is_sound(own) else donor
        return Step(config, donor.stop, self._settings.sources(donor.id, kept.id), "copy")

    def _drawn_copy(self, own: Segment, donors: list[Segment]) -> Step:
        rng = self.rng("copy", own)
        # the donor is drawn first, so that how to explore does not change who copies whom
        donor = donors[rng.integers(len(donors))]
        return self.copy(own, donor, self.explored(donor.config, rng))


class PopulationTuner(PlannedTuner):
    """Every member has at most one segment that is decided and waits, or runs. Who has spent least is served first."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._population = Population(space, seed, settings, self._history)
        self._queue: dict[int, Segment] = {}
        self._running: dict[SegmentId, Segment] = {}
        self._newest_ended: list[Segment | None] = [None] * settings.population
        self._spent_episodes = [0] * settings.population

    @abstractmethod
    def _plan(self, ended: Segment) -> None:
        """Called when a segment has ended, well or badly: put into the queue what can be decided now."""

    def _returnable(self, _age: int, /) -> Sequence[Record]:
        """What members of at least an age may return to, beside checkpoints of their own and others' lineages."""
        return ()

    def _may_run(self, _trial: int, /) -> bool:
        # also who failed does, and who is over is compared with
        return True

    def _other_sources(self) -> set[SegmentId]:
        """What was decided, what may be returned to, and all lineages down to the lowest age of a comparison."""
        under_way = [*self._queue.values(), *self._running.values()]
        age = min(segment.start for segment in under_way)
        records = self._returnable(age)
        age = min([age, *(record.age for record in records)])
        ended = [own.id for own in self._newest_ended if own is not None and self._population.is_sound(own)]
        newest = [*ended, *(own.parent for own in under_way if own.parent is not None)]
        lineages = {id_ for own in newest for id_ in self._population.down_to(own, age)}
        decided = {id_ for own in self._queue.values() if own.sources for id_ in astuple(own.sources)}
        return lineages | decided | {record.segment for record in records}

    def _next(self, trial: int) -> Segment | None:
        return self._queue.get(trial)

    def _waiting(self) -> Iterable[Segment]:
        order = sorted(self._queue, key=lambda trial: (self._spent_episodes[trial], trial))
        return (self._queue[trial] for trial in order)

    def _heed(self, event: Event) -> None:
        match event:
            case Issued(segment):
                self._running[segment.id] = segment
                del self._queue[segment.trial]
            case Reported(report):
                segment = self._running.pop(report.segment)
                self._newest_ended[segment.trial] = segment
                self._spent_episodes[segment.trial] += segment.stop - segment.start
                self._plan(segment)
            case Voided(segment_id):
                segment = self._running.pop(segment_id)
                self._queue[segment.trial] = segment

    def _segment(self, trial: int, index: int, step: Step, interval_episodes: int) -> Segment:
        """What a step is in full, at most as long as what is left of the member's budget."""
        length = min(interval_episodes, self._num_episodes - self._spent_episodes[trial])
        stop = step.start + length
        return Segment(trial, index, step.config, step.start, stop, step.sources, step.origin, step.shrink_perturb)
