"""Population Based Training: a population trains, and after every segment the worst copy and vary the best.

Jaderberg et al. 2017, in the form of Zhang et al. 2021, but synchronous: a generation is one segment of every member,
and the next one is planned when all have reported. So nothing depends on workers or on the order of completion.

A member that failed, diverged, or scores a return that is not finite ranks worst and copies a member with a finite
score. If there is no such member, all start anew from nothing with fresh draws, in what is left of their budget: the
cause may lie in their configs, and the budget bounds the trying. A member's budget is what its segments span together,
so what failed is spent.

With backtracking, members' ages come to differ. Then a member is compared at its own age: with the newest checkpoint of
every other's lineage that is not older, and a copy takes that very checkpoint and goes on from its age. Scores of
agents that have trained for longer would not be a fair comparison. All members spend equally in every generation.

With more episodes than the told events were made with, members simply go on; a last segment that was cut short by the
old budget stays as it is.
"""

import dataclasses
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import Any

from cartwheel.records import Config, Event, Issued, Reported, Segment, SegmentId, Sources, Voided
from cartwheel.seeds import numpy_rng
from cartwheel.space import Space
from cartwheel.tuners.backtracking import Backtracking
from cartwheel.tuners.base import settings_state
from cartwheel.tuners.draws import first_config, fresh_config
from cartwheel.tuners.history import History, require_planned
from cartwheel.tuners.pbt_settings import PbtSettings


@dataclass(frozen=True, slots=True)
class Step:
    """What a member does next: from ``start`` model-driven episodes on, under ``config``."""

    config: Config
    start: int = 0
    sources: Sources | None = None
    origin: str = "new"


class Pbt:
    """``num_episodes`` model-driven episodes per member, in generations of one segment each."""

    def __init__(
        self,
        space: Space,
        seed: int,
        num_episodes: int,
        settings: PbtSettings,
        backtracking: Backtracking | None = None,
    ) -> None:
        self._space, self._seed, self._num_episodes, self._settings = space, seed, num_episodes, settings
        self._backtracking = backtracking
        self._history = History()
        self._generation = 0
        self._spent_episodes = 0
        begin = [first_config(space, seed, trial, settings.default_first) for trial in range(settings.population)]
        self._waiting = self._segments([Step(config) for config in begin])

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
            "settings": settings_state(self._settings),
            "space": self._space.to_dict(),
            "segments": self._history.state(),
            "waiting": [dataclasses.asdict(segment) for segment in self._waiting.values()],
            "backtracking": None if self._backtracking is None else self._backtracking.state(),
            "warnings": self.warnings,
        }

    @property
    def warnings(self) -> list[str]:
        """What the user should know about these settings."""
        later = self._num_episodes - self._settings.first_interval_episodes
        num_planned = 1 + max(0, -(-later // self._settings.interval_episodes))
        if self._backtracking is None or any(map(self._backtracking.is_due, range(1, num_planned))):
            return []
        return [
            f"no member can go back: with {self._num_episodes} episodes the number of segments per member is "
            f"{num_planned}, and the first test comes later"
        ]

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
            self._cut_generation(segment.stop - segment.start)

    def _expect(self, segment: Segment, planned: Segment | None) -> None:
        require_planned(segment, planned)
        self._space.check(segment.config)
        is_first = self._history.num_issued == self._num_planned - self._settings.population
        if planned is not None and segment.stop != planned.stop and not is_first:
            raise ValueError(f"segment {segment.id} stops at {segment.stop}; its generation stops at {planned.stop}")

    def _cut_generation(self, length: int) -> None:
        """A generation that was begun with a smaller budget is as short as that budget made it, for all members."""
        self._waiting = {t: dataclasses.replace(s, stop=s.start + length) for t, s in self._waiting.items()}

    def _plan_generation(self) -> None:
        members = [
            entry.segment for trial in range(self._settings.population) if (entry := self._history.newest(trial))
        ]
        self._generation += 1
        self._spent_episodes += members[0].stop - members[0].start
        if self._backtracking is not None:
            self._backtracking.learn(self._history, members)
        if not self.is_done:
            self._waiting = self._segments(self._steps(members))

    def _segments(self, steps: list[Step]) -> dict[int, Segment]:
        """One segment per member, by trial. All are equally long."""
        is_all_new = all(step.sources is None for step in steps)
        interval = self._settings.first_interval_episodes if is_all_new else self._settings.interval_episodes
        length = min(interval, self._num_episodes - self._spent_episodes)
        return {
            trial: Segment(
                trial, self._generation, step.config, step.start, step.start + length, step.sources, step.origin
            )
            for trial, step in enumerate(steps)
        }

    def _steps(self, members: list[Segment]) -> list[Step]:
        backtracking = self._backtracking
        if backtracking is None or not backtracking.is_due(self._generation):
            changes = self._copies(members, members)
        else:
            # who has nothing sound is replaced all the same, should nothing be archived for its age
            unsound = [own for own in members if not self._is_sound(own)]
            changes = self._copies(unsound, members) | self._backtracks(members, backtracking)
        return [changes.get(own.trial) or self._own_step(own) for own in members]

    def _own_step(self, own: Segment) -> Step:
        if not self._is_sound(own):
            return Step(fresh_config(self._space, self._seed, own.trial, self._generation))
        return Step(own.config, own.stop, Sources.whole(own.id), "continue")

    def _is_sound(self, own: Segment) -> bool:
        return self._history.score(own.id) > -inf

    def _copies(self, candidates: list[Segment], members: list[Segment]) -> dict[int, Step]:
        """Who of the candidates copies, by trial."""
        copies = {}
        for age in {own.stop for own in candidates}:
            rivals = [self._at_age(own, age) for own in members]
            scores = [-inf if rival is None else self._history.score(rival.id) for rival in rivals]
            donors = self._settings.exploiter.donors(scores)
            for own in candidates:
                if own.stop == age and own.trial in donors:
                    copies[own.trial] = self._copy(own, [rival for i in donors[own.trial] if (rival := rivals[i])])
        return copies

    def _at_age(self, own: Segment, age: int) -> Segment | None:
        """The newest segment of a member's lineage that ends at ``age`` or before; None if the member is not sound."""
        segment = own if self._is_sound(own) else None
        while segment is not None and segment.stop > age:
            entry = None if segment.parent is None else self._history.find(segment.parent)
            segment = None if entry is None else entry.segment
        return segment

    def _copy(self, own: Segment, donors: list[Segment]) -> Step:
        rng = numpy_rng(self._seed, "tuner", "copy", own.trial, self._generation)
        # the donor is drawn first, so that how to explore does not change who copies whom
        donor = donors[rng.integers(len(donors))]
        config = self._settings.explorer(donor.config, self._space, rng)
        kept = own if self._is_sound(own) else donor
        return Step(config, donor.stop, self._settings.sources(donor.id, kept.id), "copy")

    def _backtracks(self, members: list[Segment], backtracking: Backtracking) -> dict[int, Step]:
        steps = {}
        for trial, records in backtracking.returning(self._history, members).items():
            rng = numpy_rng(self._seed, "tuner", "backtrack", trial, self._generation)
            source = records[rng.integers(len(records))].segment
            if (entry := self._history.find(source)) is not None:
                config = backtracking.explore(source, entry.segment.config, rng)
                steps[trial] = Step(config, entry.segment.stop, Sources.whole(source), "backtrack")
        return steps
