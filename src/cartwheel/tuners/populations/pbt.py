"""Population Based Training: a population trains, and after every segment the worst copy and vary the best.

Jaderberg et al. 2017, in the form of Zhang et al. 2021, but synchronous: a generation is one segment of every member,
and the next one is planned when all have reported. So nothing depends on workers or on the order of completion.
``pbt_asynchronous`` is the form in which nobody waits. Who copies whom, and at which age: ``population``.

Variants differ in what a generation decides, their ``Evolution``: exploit (``exploit``) x explore (``explore``), and
more. All members spend equally in every generation.

With more episodes than the told events were made with, members simply go on; a last segment that was cut short by the
old budget stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cartwheel.records import Event, Issued, Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.archive import Record
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import Population, PopulationTuner, Step


@dataclass(frozen=True, slots=True)
class Generation:
    """One step per member, the older trials first, and how many episodes each is to run."""

    steps: list[Step]
    interval_episodes: int


class Evolution(Protocol):
    """What a generation decides. It is a function of what it was shown before, so a replayed log decides alike."""

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        """From the segments that a generation has ended with, one per member. Called once per generation."""

    def returnable(self, age: int, /) -> Sequence[Record]:
        """Checkpoints that members of at least that age may return to, beside those of lineages."""

    def state(self) -> dict[str, Any]:
        """What it knows beyond the history, as JSON."""


class Truncating:
    """The worst copy the best, and explore."""

    def __init__(self, settings: PbtSettings) -> None:
        self._interval_episodes = settings.interval_episodes

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        copies = population.copies(members, members)
        return Generation(
            [copies.get(own.trial) or population.own_step(own) for own in members], self._interval_episodes
        )

    def returnable(self, _age: int, /) -> Sequence[Record]:
        return ()

    def state(self) -> dict[str, Any]:
        return {}


class Pbt(PopulationTuner):
    """``num_episodes`` model-driven episodes per member, in generations of one segment each.

    ``warnings``: what the user should know about these settings.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        num_episodes: int,
        settings: PbtSettings,
        evolution: Evolution,
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._evolution, self._warnings = evolution, list(warnings)
        begin = [Step(self._draw(trial)) for trial in range(settings.population)]
        self._begin(0, Generation(begin, settings.interval_episodes))

    def _returnable(self, age: int, /) -> Sequence[Record]:
        return self._evolution.returnable(age)

    def state(self) -> dict[str, Any]:
        return super().state() | {"evolution": self._evolution.state(), "warnings": self._warnings}

    def _plan(self, ended: Segment) -> None:
        is_last = self._history.num_reported == (ended.index + 1) * self._settings.population
        if is_last and self._spent_episodes[0] < self._num_episodes:
            members = [own for own in self._newest_ended if own is not None]
            self._begin(ended.index + 1, self._evolution.decide(self._population, members))

    def _begin(self, index: int, generation: Generation) -> None:
        """Queue the index-th generation. All of its segments are equally long."""
        is_all_new = all(step.sources is None for step in generation.steps)
        interval = self._settings.first_interval_episodes if is_all_new else generation.interval_episodes
        self._queue = {
            trial: self._segment(trial, index, step, interval) for trial, step in enumerate(generation.steps)
        }
        self._length = self._queue[0].stop - self._queue[0].start

    def _admit(self, segment: Segment) -> None:
        super()._admit(segment)
        is_first = self._history.num_issued == segment.index * self._settings.population
        end = segment.start + self._length
        if segment.stop != end and not is_first:
            raise ValueError(f"segment {segment.id} stops at {segment.stop}; its generation stops at {end}")

    def _heed(self, event: Event) -> None:
        super()._heed(event)
        if isinstance(event, Issued) and event.segment.stop - event.segment.start < self._length:
            self._cut_generation(event.segment.stop - event.segment.start)

    def _cut_generation(self, length: int) -> None:
        """A generation that was begun with a smaller budget is as short as that budget made it, for all members."""
        self._length = length
        self._queue = {trial: replace(s, stop=s.start + length) for trial, s in self._queue.items()}


def pbt(space: Space, seed: int, num_episodes: int, settings: PbtSettings) -> Tuner:
    """The worst copy the best."""
    return Pbt(space, seed, num_episodes, settings, Truncating(settings))
