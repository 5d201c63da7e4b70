"""Full-length trials whose configs come from a model of the results so far: TPE, a Gaussian process, CMA-ES.

Optuna's samplers decide (``optuna_samplers``): multivariate TPE (Bergstra et al. 2011; Falkner et al. 2018), a Gaussian
process with expected improvement, and CMA-ES (Hansen 2016).

The first ``num_startup_trials`` are those of Random Search with the same seed. The others are decided in batches of
``batch_size``, each when all trials before it have ended, from their scores in the order of age. So nothing depends on
workers or on the order of completion; the price is that lanes wait at the end of a batch. A larger batch keeps more
lanes busy and knows less.

A trial that failed, diverged or scores no finite return counts as the worst that did score. As long as there is none, a
batch is drawn at random.

Of CMA-ES a batch is a generation, and the first one starts from the middle of the space. Choices are drawn at random,
for it knows numbers only.

With more episodes than a study was begun with, its trials go on; a batch that was begun stays as it was decided, and
later ones are decided when all have come to the new end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

from cartwheel.records import Config, Event, Issued, Reported, Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.draws import fresh_config
from cartwheel.tuners.models.optuna_samplers import (
    MIN_GENERATION,
    Observed,
    SamplerName,
    next_generation,
    propose,
    require_packages,
)
from cartwheel.tuners.planned import PlannedTuner, continued, first

Decide: TypeAlias = Callable[[Sequence[Observed]], list[Config]]
"""(what all trials so far scored, in the order of age) -> the configs of the next batch."""


@dataclass(frozen=True, slots=True)
class ModelBasedSettings:
    """``num_trials`` in all, of which ``num_startup_trials`` are drawn at random (Optuna: 10; here for small budgets).

    ``batch_size`` trials are decided together. ``default_first``: trial 0 gets the default config instead of a draw.
    """

    num_trials: int = 8
    num_startup_trials: int = 4
    batch_size: int = 2
    default_first: bool = False

    def __post_init__(self) -> None:
        _check(self, {"num_trials": 1, "num_startup_trials": 1, "batch_size": 1})


@dataclass(frozen=True, slots=True)
class CmaEsSettings(ModelBasedSettings):
    """``batch_size``: the population, at least 4. ``num_startup_trials`` tell CMA-ES nothing, so there are none."""

    num_startup_trials: int = 0
    batch_size: int = MIN_GENERATION

    def __post_init__(self) -> None:
        _check(self, {"num_trials": 1, "num_startup_trials": 0, "batch_size": MIN_GENERATION})
        if self.default_first and not self.num_startup_trials:
            raise ValueError("default_first needs num_startup_trials of at least 1")


def _check(settings: ModelBasedSettings, least: Mapping[str, int]) -> None:
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise ValueError(f"{name} must be at least {low}, got {getattr(settings, name)}")


def tpe(space: Space, seed: int, num_episodes: int, settings: ModelBasedSettings) -> Tuner:
    """Tree-structured Parzen Estimator. Raises MissingPackage without Optuna."""
    return _modelled("tpe", space, seed, num_episodes, settings)


def gp(space: Space, seed: int, num_episodes: int, settings: ModelBasedSettings) -> Tuner:
    """A Gaussian process. Raises MissingPackage without Optuna and torch."""
    return _modelled("gp", space, seed, num_episodes, settings)


def cma_es(space: Space, seed: int, num_episodes: int, settings: CmaEsSettings) -> Tuner:
    """Covariance matrix adaptation. Raises MissingPackage without Optuna and cmaes."""
    require_packages("cma-es")

    def decide(observed: Sequence[Observed]) -> list[Config]:
        scores = [one.score for one in observed[settings.num_startup_trials :]]
        size = settings.batch_size
        generations = [scores[i : i + size] for i in range(0, len(scores), size)]
        return next_generation(space, (seed, "tuner", "cma-es"), generations, size)

    return BatchedTrials(space, seed, num_episodes, settings, decide)


def _modelled(sampler: SamplerName, space: Space, seed: int, num_episodes: int, settings: ModelBasedSettings) -> Tuner:
    require_packages(sampler)

    def decide(observed: Sequence[Observed]) -> list[Config]:
        trials = range(len(observed), len(observed) + settings.batch_size)
        if not any(one.score > -inf for one in observed):
            return [fresh_config(space, seed, trial) for trial in trials]
        return propose(sampler, space, (seed, "tuner", sampler, len(observed)), observed, settings.batch_size)

    return BatchedTrials(space, seed, num_episodes, settings, decide)


class BatchedTrials(PlannedTuner):
    """``settings`` has the fields of ``ModelBasedSettings``; ``decide`` gives ``batch_size`` configs."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: Any, decide: Decide) -> None:
        super().__init__(space, seed, num_episodes, settings)
        self._decide = decide
        # of all trials of the batches that were decided
        self._configs: list[Config] = [self._draw(trial) for trial in range(settings.num_startup_trials)]
        if not self._configs:
            self._configs += self._next_batch()

    def _next(self, trial: int) -> Segment | None:
        if not 0 <= trial < self._settings.num_trials:
            return None
        newest = self._history.newest(trial)
        if newest is not None:
            last = newest.segment
            return continued(last, last.config, self._num_episodes) if newest.goes_on(self._num_episodes) else None
        configs = self._configs
        if trial >= len(configs) and self._have_ended():
            # a log from when the study had fewer episodes, and the trials before this one were at their end
            configs = [*configs, *self._next_batch()]
        return first(trial, configs[trial], self._num_episodes) if trial < len(configs) else None

    def _waiting(self) -> Iterable[Segment]:
        planned = (self._next(trial) for trial in range(len(self._configs)))
        return (segment for segment in planned if segment is not None)

    def _heed(self, event: Event) -> None:
        is_old = isinstance(event, Issued) and event.segment.trial >= len(self._configs)
        is_due = isinstance(event, Reported) and self._have_ended() and not any(self._waiting())
        if is_old or (is_due and len(self._configs) < self._settings.num_trials):
            self._configs += self._next_batch()

    def _have_ended(self) -> bool:
        """Whether every trial of the batches so far has begun, and none runs."""
        newest = (self._history.newest(trial) for trial in range(len(self._configs)))
        return all(entry is not None and entry.status != "running" for entry in newest)

    def _next_batch(self) -> list[Config]:
        entries = [self._history.newest(trial) for trial in range(len(self._configs))]
        return self._decide(
            [Observed(e.segment.config, self._history.score(e.segment.id)) for e in entries if e is not None]
        )
