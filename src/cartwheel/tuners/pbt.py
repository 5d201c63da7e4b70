"""Population Based Training: a population trains, and after every segment the worst copy and vary the best.

Jaderberg et al. 2017, in the form of Zhang et al. 2021, but synchronous: a generation is one segment of every member,
and the next one is planned when all have reported. So nothing depends on workers or on the order of completion.

A member that failed, diverged, or scores a return that is not finite ranks worst and copies a member with a finite
score. If there is no such member, all start anew from nothing with fresh draws, in what is left of their budget: the
cause may lie in their configs, and the budget bounds the trying. A member's budget is what its segments span together,
so what failed is spent.

With more episodes than the told events were made with, members simply go on; a last segment that was cut short by the
old budget stays as it is.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cartwheel.records import Config, Event, Issued, Reported, Segment, SegmentId, Sources, Value, Voided
from cartwheel.seeds import numpy_rng
from cartwheel.space import Space
from cartwheel.tuners.draws import first_config, fresh_config
from cartwheel.tuners.exploit import Truncation
from cartwheel.tuners.explore import Explore, Move
from cartwheel.tuners.history import History, require_planned


@dataclass(frozen=True, slots=True)
class PbtSettings:
    """The defaults are for small populations and short studies, of some 10 to 50 episodes.

    - ``population`` 8 and ``interval_episodes`` 2: a budget that a workstation can pay, and still five or more
      generations in ten episodes. The score then reaches over the segment into its parent, which steadies it.
    - ``keep_fraction`` 0.75, ``donor_fraction`` 0.25: the worst quarter copies the best quarter, exactly so when 4
      divides the population. Of 8 members 2 copy one of the best 2, just as with the paper's 0.8 and 0.2.
    - ``explore`` "add" with ``step`` 0.15: a lineage is varied only a few times in a short study, so a step must matter
      (a factor of 3 for a learning rate over three decades, give or take), and must not drift.
    - ``redraw_probability`` 0.05: a redraw throws the copied config away. One in four, as in the paper, is exploration
      that 40 members can pay for; with 2 copies a generation, hardly any line of descent would be left to follow.

    ``first_interval_episodes``: length of the segment from nothing, its random episode on top. ``choice_probability``:
    see ``cartwheel.tuners.explore``. ``default_first``: member 0 begins with the default config instead of a draw.
    """

    population: int = 8
    first_interval_episodes: int = 2
    interval_episodes: int = 2
    keep_fraction: float = 0.75
    donor_fraction: float = 0.25
    explore: Move = "add"
    step: float = 0.15
    redraw_probability: float = 0.05
    choice_probability: float = 0.2
    default_first: bool = False

    def __post_init__(self) -> None:
        for name in ("population", "first_interval_episodes", "interval_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        _ = self.exploiter, self.explorer  # they check their own

    @property
    def exploiter(self) -> Truncation:
        return Truncation(self.keep_fraction, self.donor_fraction)

    @property
    def explorer(self) -> Explore:
        return Explore(self.explore, self.step, self.redraw_probability, self.choice_probability)


AISTATS2021: Mapping[str, Any] = {
    "population": 40,
    "first_interval_episodes": 5,
    "interval_episodes": 5,
    "keep_fraction": 0.8,
    "donor_fraction": 0.2,
    "explore": "multiply",
    "step": 0.2,
    "redraw_probability": 0.25,
}
"""Zhang et al. 2021, released code; there with 300 model-driven episodes, and asynchronous."""


class Pbt:
    """``num_episodes`` model-driven episodes per member, in generations of one segment each."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: PbtSettings) -> None:
        self._space, self._seed, self._num_episodes, self._settings = space, seed, num_episodes, settings
        self._history = History()
        self._generation = 0
        self._spent_episodes = 0
        self._waiting = self._from_nothing()

    def ask(self, num_free: int) -> list[Segment]:
        return list(islice(self._waiting.values(), max(0, num_free)))

    def tell(self, event: Event) -> None:
        match event:
            case Issued(segment):
                self._issue(segment)
            case Reported():
                self._history.tell(event)
                if self._history.num_reported == self._num_planned:
                    self._plan_generation()
            case Voided(segment_id):
                entry = self._history.find(segment_id)
                self._history.tell(event)
                if entry is not None:
                    self._waiting = dict(sorted({**self._waiting, entry.segment.trial: entry.segment}.items()))

    @property
    def is_done(self) -> bool:
        return self._spent_episodes >= self._num_episodes

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking()

    def state(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "num_episodes": self._num_episodes,
            "settings": dataclasses.asdict(self._settings),
            "space": self._space.to_dict(),
            "segments": self._history.state(),
            "waiting": [dataclasses.asdict(segment) for segment in self._waiting.values()],
        }

    @property
    def _num_planned(self) -> int:
        """Segments up to and with this generation."""
        return (self._generation + 1) * self._settings.population

    def _issue(self, segment: Segment) -> None:
        planned = self._waiting.get(segment.trial)
        if self._history.find(segment.id) is None:
            self._expect(segment, planned)
        self._history.tell(Issued(segment))
        del self._waiting[segment.trial]
        if planned is not None and segment.stop != planned.stop:
            self._cut_generation(segment.stop)

    def _expect(self, segment: Segment, planned: Segment | None) -> None:
        require_planned(segment, planned)
        self._space.check(segment.config)
        is_first = self._history.num_issued == self._num_planned - self._settings.population
        if planned is not None and segment.stop != planned.stop and not is_first:
            raise ValueError(f"segment {segment.id} stops at {segment.stop}; its generation stops at {planned.stop}")

    def _cut_generation(self, stop: int) -> None:
        """A generation that was begun with a smaller budget ends where that budget ended, for all members alike."""
        self._waiting = {trial: dataclasses.replace(s, stop=stop) for trial, s in self._waiting.items()}

    def _plan_generation(self) -> None:
        members = [
            entry.segment for trial in range(self._settings.population) if (entry := self._history.newest(trial))
        ]
        self._generation += 1
        self._spent_episodes += members[0].stop - members[0].start
        scores = [self._history.score(segment.id) for segment in members]
        if self.is_done:
            return
        self._waiting = self._from_parents(members, scores) if max(scores) > -math.inf else self._from_nothing()

    def _from_nothing(self) -> dict[int, Segment]:
        stop = min(self._settings.first_interval_episodes, self._num_episodes - self._spent_episodes)
        index = self._generation
        return {trial: Segment(trial, index, self._drawn(trial), 0, stop) for trial in range(self._settings.population)}

    def _drawn(self, trial: int) -> dict[str, Value]:
        if self._generation == 0:
            return first_config(self._space, self._seed, trial, self._settings.default_first)
        return fresh_config(self._space, self._seed, trial, self._generation)

    def _from_parents(self, members: list[Segment], scores: list[float]) -> dict[int, Segment]:
        candidates = self._settings.exploiter.donors(scores)
        return {
            own.trial: self._copy(own.trial, members, candidates[own.trial])
            if own.trial in candidates
            else self._child(own.trial, own, own.config, "continue")
            for own in members
        }

    def _copy(self, trial: int, members: list[Segment], candidates: list[int]) -> Segment:
        rng = numpy_rng(self._seed, "tuner", "copy", trial, self._generation)
        # the donor is drawn first, so that how to explore does not change who copies whom
        donor = members[candidates[rng.integers(len(candidates))]]
        return self._child(trial, donor, self._settings.explorer(donor.config, self._space, rng), "copy")

    def _child(self, trial: int, parent: Segment, config: Config, origin: str) -> Segment:
        length = min(self._settings.interval_episodes, self._num_episodes - self._spent_episodes)
        stop, sources = parent.stop + length, Sources.whole(parent.id)
        return Segment(trial, self._generation, config, parent.stop, stop, sources, origin)
