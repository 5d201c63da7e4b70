"""What Optuna's samplers would try next (Akiba et al. 2019). Optuna is imported only when asked.

A study of Optuna's is made anew, in memory, for every decision, from results in a stated order, and its sampler's seed
is addressed by names. So what is proposed is a function of the arguments; nothing is kept.

A choice is told to the sampler as a category, every other parameter as its coordinate between 0 and 1. A config without
a finite score is told with the worst finite one: a model that never hears of failures keeps returning to them.
"""

import importlib.util
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cartwheel.records import Config
from cartwheel.seeds import seed_integer
from cartwheel.spaces.space import Choice, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

SamplerName: TypeAlias = Literal["tpe", "gp", "cma-es"]
Names: TypeAlias = tuple[int | str, ...]

NEEDED: Mapping[SamplerName, Sequence[str]] = {
    "tpe": ("optuna",),
    "gp": ("optuna", "torch"),
    "cma-es": ("optuna", "cmaes"),
}
"""The packages that a sampler imports."""
EXTRA = "'cartwheel[optuna]'"
"""What to install for these packages; torch is in no extra, for nothing else of Cartwheel needs it."""

MIN_GENERATION = 4
"""Of CMA-ES: the weights of its update are not defined for fewer."""
MIN_WARM_START = 10
"""CMA-ES is warm-started from the best tenth of what was observed (Nomura et al. 2021), which must be somebody."""


class MissingPackage(ValueError):
    """A sampler's package is not installed."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A config and its score, -inf if there is none."""

    config: Config
    score: float


def require_packages(sampler: SamplerName) -> None:
    """Raises MissingPackage, saying what to install."""
    for package in NEEDED[sampler]:
        if importlib.util.find_spec(package) is None:
            step = f"pip install {package if package == 'torch' else EXTRA}"
            raise MissingPackage(f"sampler {sampler!r} needs the package {package}, which is not installed; {step}")


def propose(
    sampler: SamplerName,
    space: Space,
    names: Names,
    observed: Sequence[Observed],
    num: int,
    num_good: int | None = None,
) -> list[Config]:
    """``num`` configs to try side by side, from a model of what was observed, at least one with a finite score.

    TPE compares the density of the best ``num_good`` of them, by default Optuna's tenth, with that of the others.
    CMA-ES draws from the normal distribution that its warm start fits, and needs ``MIN_WARM_START`` of them.
    """
    told = list(zip((one.config for one in observed), finite([one.score for one in observed]), strict=True))
    seed = seed_integer(*names)
    with past_study(space, told) as study:
        if sampler == "tpe":
            study.sampler = _tpe(seed, num_good)
        else:
            study.sampler = _gp(seed) if sampler == "gp" else _cma_es(seed, source=_past(space, told, False))
        # those asked for before are still running to Optuna, which keeps away from them
        return [_config(space, study.ask(_distributions(space)).params) for _ in range(num)]


def next_generation(space: Space, names: Names, generations: Sequence[Sequence[float]], num: int) -> list[Config]:
    """The next ``num`` configs of CMA-ES, after generations of as many, of which the scores are given.

    Its whole course is run again. Choices are none of its coordinates: they are drawn at random.
    """
    # from a trial of the past Optuna learns what the parameters are, and here nothing else
    with past_study(space, [(space.default, 0.0)]) as study:
        study.sampler = _cma_es(seed_integer(*names), population=num)
        for scores in generations:
            asked = [study.ask(_distributions(space)) for _ in range(num)]
            for trial, score in zip(asked, finite(scores), strict=True):
                study.tell(trial, score)
        return [_config(space, study.ask(_distributions(space)).params) for _ in range(num)]


def finite(scores: Sequence[float]) -> list[float]:
    """The scores, with the worst finite one in place of those that are not finite; 0 if none is."""
    worst = min(filter(math.isfinite, scores), default=0.0)
    return [score if math.isfinite(score) else worst for score in scores]


@contextmanager
def past_study(space: Space, told: Sequence[tuple[Config, float]]) -> Iterator["Study"]:
    """A study that has been told all this, quiet inside."""
    import optuna

    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        study.add_trials(_past(space, told))
        yield study


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Inside, Optuna neither logs nor warns that something is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _tpe(seed: int, num_good: int | None) -> "BaseSampler":
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        # how many are good is BOHB's business, and cannot be said to Optuna in another way
        warnings.filterwarnings("ignore", "`gamma`", FutureWarning)
        gamma = None if num_good is None else lambda num: min(num, num_good)
        return TPESampler(n_startup_trials=1, multivariate=True, constant_liar=True, gamma=gamma, seed=seed)


def _gp(seed: int) -> "BaseSampler":
    from optuna.samplers import GPSampler

    return GPSampler(n_startup_trials=1, seed=seed)


def _cma_es(seed: int, population: int | None = None, source: Sequence[Any] = ()) -> "BaseSampler":
    from optuna.samplers import CmaEsSampler

    return CmaEsSampler(
        popsize=population, source_trials=list(source) or None, warn_independent_sampling=False, seed=seed
    )


def _past(space: Space, told: Sequence[tuple[Config, float]], has_choices: bool = True) -> list[Any]:
    from optuna.trial import create_trial

    kept = {
        name: distribution
        for name, distribution in _distributions(space).items()
        if has_choices or not isinstance(space.parameters[name], Choice)
    }
    past = []
    for config, score in told:
        params = _params(space, config)
        past.append(create_trial(params={name: params[name] for name in kept}, distributions=kept, value=score))
    return past if kept else []


def _distributions(space: Space) -> dict[str, "BaseDistribution"]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        name: CategoricalDistribution(range(len(p.values))) if isinstance(p, Choice) else FloatDistribution(0.0, 1.0)
        for name, p in space.parameters.items()
    }


def _params(space: Space, config: Config) -> dict[str, float | int]:
    """Coordinates; of a choice the number of its value."""
    u = dict(zip(space.names, space.encode(config).tolist(), strict=True))
    return {name: int(u[name] * len(p.values)) if isinstance(p, Choice) else u[name] for name, p in _items(space)}


def _config(space: Space, params: Mapping[str, float]) -> Config:
    u = [(params[name] + 0.5) / len(p.values) if isinstance(p, Choice) else params[name] for name, p in _items(space)]
    return space.decode(np.array(u))


def _items(space: Space) -> Any:
    return space.parameters.items()
