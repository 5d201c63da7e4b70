"""PB2: PBT whose copies do not explore at random, but where a model expects most (Parker-Holder et al. 2020).

Who copies whom is decided as in ``pbt``. The model is a Gaussian process that forgets (``gaussian_process``). Its data
are one point per finished segment: the agent's age at its start, in segments, and the coordinates of its config; and
the *gain* per episode, the score at its end less the score of the checkpoint that it started from. Gains from or to a
score that is not finite are left out, and so are segments from nothing, which have no score before. A copy gets the
config of the highest upper confidence bound at its age, mean + sqrt(beta) std with beta = 0.2 log(0.4 n) for n data;
the spread knows what will run beside it: members that go on, and the copies chosen before.

The model moves numbers. Choices and ordinals have no distance, so they are explored as in ``pbt``, by the settings
``explore``, ``choice_probability`` and so on; and so is everything before ``MIN_GAINS`` gains are known.

Departures from the authors' code in Ray: generations are synchronous; the bound takes the standard deviation, as in the
paper, where the code takes the variance; the time enters as it is and not rescaled to the data; the score before is no
input; of the data the newest ``window_segments`` count, where the code chooses a length by likelihood.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log, sqrt
from typing import Any

import numpy as np

from cartwheel.records import Config, Segment
from cartwheel.spaces.space import Float, Int, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import Entry, History
from cartwheel.tuners.populations.archive import Record
from cartwheel.tuners.populations.gaussian_process import Array, Kernel, Posterior, UpperBound, fit
from cartwheel.tuners.populations.pbt import Generation, Pbt
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import Population, Step

BETA_FACTOR, BETA_RATE = 0.2, 0.4
"""Of the authors' code; the form beta = c1 log(c2 t) is that of Bogunovic et al. 2016."""
MIN_GAINS = 3


@dataclass(frozen=True, slots=True)
class Pb2Settings(PbtSettings):
    """Those of PBT, and ``window_segments``: the model knows the newest so many; its cost grows with their cube."""

    window_segments: int = 200

    def __post_init__(self) -> None:
        PbtSettings.__post_init__(self)
        if self.window_segments < MIN_GAINS:
            raise ValueError(f"window_segments must be at least {MIN_GAINS}, got {self.window_segments}")


PARKERHOLDER2020: Mapping[str, Any] = {
    "population": 4,
    "keep_fraction": 0.75,
    "donor_fraction": 0.25,
    "redraw_probability": 0.0,
    "window_segments": 1000,
}
"""The paper's smaller population, and the quartiles and data limit of its authors' code."""


@dataclass(frozen=True, slots=True)
class Gains:
    """``times`` [n], ``units`` [n, d], ``per_episode`` [n], the oldest first."""

    times: Array
    units: Array
    per_episode: Array

    @property
    def targets(self) -> Array:
        """Of mean 0 and, unless all gains are equal, standard deviation 1."""
        centred: Array = self.per_episode - self.per_episode.mean()
        return centred / (float(centred.std()) or 1.0)


class Bandit:
    """What each copy goes on with, as a function of the history."""

    def __init__(self, space: Space, settings: Pb2Settings) -> None:
        self._space, self._settings = space, settings
        self._is_number = np.array([isinstance(p, Float | Int) for p in space.parameters.values()])

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        copies = population.copies(members, members)
        steps = [copies.get(own.trial) or population.own_step(own) for own in members]
        gains = self._gains(population.history)
        if copies and len(gains.times) >= MIN_GAINS and self._is_number.any():
            kernel = fit(gains.times, gains.units, gains.targets, population.rng("model", members[0]))
            self._choose(steps, members, kernel, gains, population)
        return Generation(steps, self._settings.interval_episodes)

    def returnable(self, _age: int, /) -> Sequence[Record]:
        return ()

    def state(self) -> dict[str, Any]:
        return {}

    def _choose(
        self, steps: list[Step], members: list[Segment], kernel: Kernel, gains: Gains, population: Population
    ) -> None:
        """Replace the config of every copy, one after the other."""
        known = Posterior(kernel, gains.times, gains.units, gains.targets)
        width = sqrt(max(0.0, BETA_FACTOR * log(BETA_RATE * len(gains.times))))
        pending = [step for step in steps if step.origin == "continue"]
        for i, step in enumerate(steps):
            if step.origin == "copy":
                bound = UpperBound(known, self._with_pending(kernel, gains, pending), width, self._time(step.start))
                unit = bound.maximise(int(self._is_number.sum()), population.rng("bandit", members[i]))
                steps[i] = replace(step, config=self._with_numbers(step.config, unit))
                pending.append(steps[i])

    def _with_pending(self, kernel: Kernel, gains: Gains, pending: list[Step]) -> Posterior:
        """For spreads alone, which do not depend on targets."""
        times, units = self._inputs(pending)
        every_time = np.concatenate([gains.times, times])
        return Posterior(kernel, every_time, np.vstack([gains.units, units]), np.zeros(len(every_time)))

    def _gains(self, history: History) -> Gains:
        found = sorted(self._known(history), key=lambda known: (known[0].segment.index, known[0].segment.trial))
        newest = found[-self._settings.window_segments :]
        times, units = self._inputs([entry.segment for entry, _ in newest])
        return Gains(times, units, np.array([gain for _, gain in newest]))

    def _known(self, history: History) -> Iterator[tuple[Entry, float]]:
        for entry in history:
            segment = entry.segment
            if segment.parent is not None:
                gain = entry.score - history.score(segment.parent)
                if isfinite(gain):
                    yield entry, gain / (segment.stop - segment.start)

    def _time(self, age: int) -> float:
        return age / self._settings.interval_episodes

    def _inputs(self, points: Sequence[Segment | Step]) -> tuple[Array, Array]:
        """Times [n], and the coordinates [n, d] of the numbers in their configs."""
        units = np.array([self._space.encode(point.config)[self._is_number] for point in points])
        times = np.array([self._time(point.start) for point in points])
        return times, units.reshape(len(points), int(self._is_number.sum()))

    def _with_numbers(self, config: Config, unit: Array) -> Config:
        u = self._space.encode(config)
        u[self._is_number] = unit
        return self._space.decode(u)


def pb2(space: Space, seed: int, num_episodes: int, settings: Pb2Settings) -> Tuner:
    """PBT whose copies ask a model."""
    return Pbt(space, seed, num_episodes, settings, Bandit(space, settings))
