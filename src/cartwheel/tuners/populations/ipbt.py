"""IPBT: PBT whose interval doubles when it stagnates, with a restart from shrunk weights (Chebykin et al. 2025).

The interval between selections matters much and is not known. So it begins short, where selection soon finds what
learns fast. An iteration stagnates when over ``patience`` generations in a row the best score has not risen by more
than noise, ``margin`` times the standard deviation of a single return (``backtracking.spread_of``), above what it was
when it last did. Then the interval doubles and the population restarts:

- the best member goes on as it is, by itself until the next restart: nobody copies it, and it copies nobody. It is why
  a restart never loses what was found;
- the others of the better half keep their replay, shrink their weights towards those of a new agent
  (``ShrinkPerturb``), and explore their configs;
- the worse half keep their replay too, but get new weights and configs drawn from the prior.

Between restarts all but the best of before evolve as in ``pbt``.

As the paper: doubling, shrink and perturb, half of the weights and half of the configs new, restarts upon stagnation.
Simpler than the paper: stagnation is a threshold on raw scores instead of a smoothing Gaussian process and a second
criterion for slow progress; the other half of the configs is explored, not chosen by Bayesian optimisation over
restarts; the population does not begin twice as large. Ours is the best member that goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from cartwheel.records import Segment, ShrinkPerturb, Sources
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import best_first
from cartwheel.tuners.populations.archive import Record
from cartwheel.tuners.populations.backtracking import spread_of
from cartwheel.tuners.populations.pbt import Generation, Pbt
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import Population, Step

NEW_WEIGHTS = ShrinkPerturb(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class IpbtSettings(PbtSettings):
    """Those of PBT, of which ``interval_episodes`` is the first interval, and:

    - ``patience`` 2: a short study has no more generations to lose.
    - ``margin`` 0.6: a score is the mean of 3 returns, whose standard deviation is 0.58 of that of one.
    - ``interval_factor``, ``shrink``, ``perturb``: the paper's.
    """

    patience: int = 2
    margin: float = 0.6
    interval_factor: int = 2
    shrink: float = 0.2
    perturb: float = 0.1

    def __post_init__(self) -> None:
        PbtSettings.__post_init__(self)
        for name in ("patience", "interval_factor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.margin >= 0:
            raise ValueError(f"margin must be at least 0, got {self.margin}")
        _ = self.shrink_perturb  # it checks its own

    @property
    def shrink_perturb(self) -> ShrinkPerturb:
        return ShrinkPerturb(self.shrink, self.perturb)


CHEBYKIN2025: Mapping[str, Any] = {
    "population": 8,
    "keep_fraction": 0.75,
    "donor_fraction": 0.25,
    "patience": 3,
    "interval_factor": 2,
    "shrink": 0.2,
    "perturb": 0.1,
}
"""The settings of the paper that this form of it has."""


class Restarting:
    """Knows the interval, the best score of the iteration, how long it has not risen, and who goes on by itself."""

    def __init__(self, settings: IpbtSettings) -> None:
        self._settings = settings
        self._interval_episodes = settings.interval_episodes
        self._best, self._num_stale = -inf, 0
        self._alone: int | None = None

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        if self._alone is not None and not population.is_sound(members[self._alone]):
            self._alone = None
        evolving = [own for own in members if own.trial != self._alone]
        if self._is_stagnant(population, evolving):
            steps = self._restart(population, members)
        else:
            copies = population.copies(evolving, evolving)
            steps = [copies.get(own.trial) or population.own_step(own) for own in members]
        return Generation(steps, self._interval_episodes)

    def returnable(self, _age: int, /) -> Sequence[Record]:
        return ()

    def state(self) -> dict[str, Any]:
        best = None if self._best == -inf else self._best
        return {
            "interval_episodes": self._interval_episodes,
            "best": best,
            "num_stale": self._num_stale,
            "alone": self._alone,
        }

    def _is_stagnant(self, population: Population, evolving: list[Segment]) -> bool:
        """Whether patience has run out. What is lost altogether does not stagnate: it starts anew anyway."""
        best = max(map(population.score, evolving), default=-inf)
        tails = [entry.tail for own in evolving if (entry := population.history.find(own.id)) is not None]
        if best > self._best + self._settings.margin * (spread_of(tails) or 0.0):
            self._best, self._num_stale = best, 0
        elif best > -inf:
            self._num_stale += 1
        return self._num_stale >= self._settings.patience

    def _restart(self, population: Population, members: list[Segment]) -> list[Step]:
        """Begin the next iteration."""
        self._interval_episodes *= self._settings.interval_factor
        self._best, self._num_stale = -inf, 0
        ranked = [members[place] for place in best_first(map(population.score, members))]
        best = ranked[0]
        self._alone = best.trial
        better = {own.trial for own in ranked[: (len(ranked) + 1) // 2] if population.is_sound(own)}
        return [self._restarted(population, own, best, own.trial in better) for own in members]

    def _restarted(self, population: Population, own: Segment, best: Segment, is_better: bool) -> Step:
        if own.trial == best.trial:
            return population.own_step(own)
        # who has nothing sound takes the best one's replay
        source = own if population.is_sound(own) else best
        if is_better:
            config, change = (
                population.explored(own.config, population.rng("restart", own)),
                self._settings.shrink_perturb,
            )
        else:
            config, change = population.drawn(own), NEW_WEIGHTS
        return Step(config, source.stop, Sources.whole(source.id), "restart", change)


def ipbt(space: Space, seed: int, num_episodes: int, settings: IpbtSettings) -> Tuner:
    """PBT at a doubling interval."""
    return Pbt(space, seed, num_episodes, settings, Restarting(settings))
