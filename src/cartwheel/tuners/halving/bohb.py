"""BOHB: Hyperband whose brackets begin with configs that a model proposes (Falkner et al. 2018).

The model is made of the results at the largest budget at which enough trials have ended, one more than there are
hyperparameters; until then, and for ``random_fraction`` of the trials for ever, configs are drawn at random. The model
is multivariate TPE, which is BOHB's but for details; a Gaussian process or CMA-ES may take its place. CMA-ES is asked
for its warm start alone, for generations cannot follow each other across budgets, and needs 10 results.

TPE is also told of those that were stopped below that budget, as worse than all that came to it. The paper compares the
good with the others of that budget alone; but these were promoted, and lie where the good ones do, so with Optuna's
TPE, whose densities hold the prior, the ratio drives proposals away from there.

What differs from the paper: brackets run one after the other and their first rungs in batches of ``batch_size``
(``serial_hyperband``), so that nothing depends on the order of completion, and promoted trials go on instead of
training anew. A trial without a score counts as the worst that has one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, nextafter

from cartwheel.records import Config
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space
from cartwheel.tuners.halving.serial_hyperband import SerialHyperband, SerialSettings, Step
from cartwheel.tuners.halving.successive_halving import Rungs
from cartwheel.tuners.models.optuna_samplers import (
    MIN_WARM_START,
    Observed,
    SamplerName,
    finite,
    propose,
    require_packages,
)

GOOD_FRACTION = 0.15
"""q of the paper: TPE counts this share of the results as good, and at least as many as a model needs."""


@dataclass(frozen=True, slots=True)
class BohbSettings(SerialSettings):
    """``batch_size`` trials of a first rung are decided together."""

    sampler: SamplerName = "tpe"
    batch_size: int = 4
    random_fraction: float = 1 / 3

    def __post_init__(self) -> None:
        SerialSettings.__post_init__(self)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if not 0 <= self.random_fraction <= 1:
            raise ValueError(f"random_fraction must be between 0 and 1, got {self.random_fraction}")


class Bohb(SerialHyperband):
    """Raises MissingPackage without the packages of the sampler."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: BohbSettings) -> None:
        require_packages(settings.sampler)
        self._sampler, self._random_fraction = settings.sampler, settings.random_fraction
        enough = len(space) + 1
        self._num_needed = max(enough, MIN_WARM_START) if settings.sampler == "cma-es" else enough
        super().__init__(space, seed, num_episodes, settings, settings.batch_size)

    def _forget(self, table: Sequence[Rungs]) -> None:
        # by trial, at every level
        self._observed: list[dict[int, Observed]] = [{} for _ in table]

    def _learn(self, step: Step, trials: Sequence[int]) -> None:
        self._observed[step.level] |= {trial: Observed(self._configs[trial], self._score(trial)) for trial in trials}

    def _new_configs(self, step: Step, trials: range) -> list[Config] | None:
        if step.rung > 0:
            return None
        levels = [k for k, told in enumerate(self._observed) if len(told) >= self._num_needed and _has_score(told)]
        modelled = [trial for trial in trials if levels and not self._is_drawn(trial)]
        proposed = self._propose(levels[-1], trials.start, len(modelled)) if modelled else []
        configs = dict(zip(modelled, proposed, strict=True))
        return [configs[trial] if trial in configs else self._draw(trial) for trial in trials]

    def _propose(self, level: int, start: int, num: int) -> list[Config]:
        told, names = self._observed[level], (self._seed, "tuner", "bohb", start)
        num_good = max(self._num_needed, ceil(GOOD_FRACTION * len(told)))
        stopped = self._stopped_below(level) if self._sampler == "tpe" else []
        return propose(self._sampler, self._space, names, [*told.values(), *stopped], num, num_good)

    def _stopped_below(self, level: int) -> list[Observed]:
        """Who did not come to a level: worse than anybody who did."""
        told = self._observed[level]
        score = nextafter(min(finite([one.score for one in told.values()])), -inf)
        below = {trial: one.config for observed in self._observed[:level] for trial, one in observed.items()}
        return [Observed(config, score) for trial, config in below.items() if trial not in told]

    def _is_drawn(self, trial: int) -> bool:
        return numpy_rng(self._seed, "tuner", "bohb-random", trial).random() < self._random_fraction


def _has_score(observed: Mapping[int, Observed]) -> bool:
    return any(isfinite(one.score) for one in observed.values())
