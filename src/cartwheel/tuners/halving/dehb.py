"""DEHB: differential evolution in Hyperband (Awad et al. 2021).

Every budget has a sub-population, as large as the largest rung at that budget. In the first round a bracket begins with
random configs where its sub-population has none, and its later rungs are those of Hyperband: the best go on, and enter
the sub-population of their new budget. All other trials are offspring, and begin from nothing, for a new config has no
checkpoint: every individual of the sub-population in turn is the target of one.

An offspring is rand/1/bin in the unit cube: the mutant a + 0.5 (b - c) of three different parents, crossed with the
target by taking each coordinate of the mutant with probability 0.5, and one of them for certain. A coordinate outside
[0, 1] is drawn anew. The parents of a first rung are other individuals of its sub-population; those of a later rung are
the best of the budget below, as many as it has trials. Where these are fewer than three, individuals of all budgets
are added, and then random points.

The target is replaced by what scores at least as well. All of a rung are decided when the one before has ended, and
replace their targets then (``serial_hyperband``); the paper's replace at once, in the order of completion. Who failed
scores -inf: it is replaced by anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cartwheel.records import Config
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space
from cartwheel.tuners.halving.serial_hyperband import SerialHyperband, SerialSettings, Step
from cartwheel.tuners.halving.successive_halving import Rungs
from cartwheel.tuners.history import best_first

Unit: TypeAlias = NDArray[np.float64]

SCALE = 0.5
CROSSOVER_PROBABILITY = 0.5
"""F and p of the paper."""
NUM_PARENTS = 3


@dataclass(frozen=True, slots=True)
class DehbSettings(SerialSettings):
    """Two rounds: in the first most trials are drawn or promoted, in the second all evolve."""

    num_rounds: int = 2


@dataclass(slots=True)
class Individual:
    """A place of a sub-population. ``u`` [d] is None until somebody was there."""

    u: Unit | None = None
    score: float = -inf


class Dehb(SerialHyperband):
    def __init__(self, space: Space, seed: int, num_episodes: int, settings: DehbSettings) -> None:
        super().__init__(space, seed, num_episodes, settings, None)

    def _forget(self, table: Sequence[Rungs]) -> None:
        top = len(table) - 1
        # the bracket s has its rung at level k from s = top - k on
        sizes = [max(table[s][k - (top - s)].num_trials for s in range(top - k, top + 1)) for k in range(top + 1)]
        self._populations = [[Individual() for _ in range(size)] for size in sizes]
        # of each sub-population, whose turn to be replaced it is
        self._turns = [0 for _ in sizes]
        self._targets: dict[int, Individual] = {}
        self._units = {0: self._space.encode(self._configs[0])}

    def _learn(self, step: Step, trials: Sequence[int]) -> None:
        for trial in trials:
            # who was promoted, and trial 0, have no target of their own yet
            target = self._targets.pop(trial, None) or self._next_target(step.level)
            if target.u is None or self._score(trial) >= target.score:
                target.u, target.score = self._units[trial], self._score(trial)

    def _new_configs(self, step: Step, trials: range) -> list[Config] | None:
        if step.round == 0 and step.rung > 0:
            return None
        pool = self._pool(step)
        return [self._new_config(step.level, pool, trial) for trial in trials]

    def _new_config(self, level: int, pool: list[Individual], trial: int) -> Config:
        target = self._targets[trial] = self._next_target(level)
        if target.u is None:
            config = self._draw(trial)
            self._units[trial] = self._space.encode(config)
            return config
        rng = numpy_rng(self._seed, "tuner", "dehb", trial)
        self._units[trial] = offspring(target.u, self._parents(target, pool, rng), rng)
        return self._space.decode(self._units[trial])

    def _next_target(self, level: int) -> Individual:
        turn = self._turns[level]
        self._turns[level] = (turn + 1) % len(self._populations[level])
        return self._populations[level][turn]

    def _pool(self, step: Step) -> list[Individual]:
        """Whom the parents of a step are drawn from."""
        if step.rung == 0:
            return _evaluated(self._populations[step.level])
        below = _evaluated(self._populations[step.level - 1])
        return [below[i] for i in best_first(one.score for one in below)[: step.num_trials]]

    def _parents(self, target: Individual, pool: list[Individual], rng: np.random.Generator) -> list[Unit]:
        """Three, drawn from the pool; where it is too small, from everywhere else, and then at random."""
        chosen = _shuffled([one for one in pool if one is not target], rng)
        if len(chosen) < NUM_PARENTS:
            known = {id(one) for one in (target, *chosen)}
            everybody = _evaluated([one for population in self._populations for one in population])
            chosen += _shuffled([one for one in everybody if id(one) not in known], rng)
        units = [one.u for one in chosen[:NUM_PARENTS] if one.u is not None]
        num_more = NUM_PARENTS - len(units)
        return units + [self._space.prior_quantiles(rng.random(len(self._space))) for _ in range(num_more)]


def offspring(target: Unit, parents: Sequence[Unit], rng: np.random.Generator) -> Unit:
    """rand/1/bin: [d], of a target [d] and three parents [d]."""
    a, b, c = parents
    mutant = a + SCALE * (b - c)
    mutant = np.where((mutant < 0.0) | (mutant > 1.0), rng.random(len(mutant)), mutant)
    is_taken = rng.random(len(mutant)) < CROSSOVER_PROBABILITY
    is_taken[rng.integers(len(mutant))] = True
    return np.where(is_taken, mutant, target)


def _evaluated(population: Sequence[Individual]) -> list[Individual]:
    return [one for one in population if one.u is not None]


def _shuffled(individuals: list[Individual], rng: np.random.Generator) -> list[Individual]:
    return [individuals[i] for i in rng.permutation(len(individuals))]
