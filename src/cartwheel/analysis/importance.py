"""Which hyperparameters matter? fANOVA and PED-ANOVA as Optuna has them; of a study, and over its time.

- ``fanova`` (Hutter et al. 2014): the share of the variance of the score, over the whole space, that a hyperparameter
  explains on its own, by a random forest.
- ``ped-anova`` (Watanabe et al. 2023): how far the best tenth's values of a hyperparameter differ from all values.
  Cheap, and about what makes a config good rather than bad.

Both find something in noise too, and more in fewer configs. So each share comes with ``chance``: what the same method
finds, 19 times in 20, when the scores are dealt to the configs at random.
"""

import importlib.util
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cartwheel.analysis.tables import StudyTables, learning_curve, segment_score
from cartwheel.records import Segment, score
from cartwheel.seeds import numpy_rng, seed_integer
from cartwheel.spaces.space import Space
from cartwheel.tuners.models.optuna_samplers import MissingPackage, Observed, past_study

if TYPE_CHECKING:
    from optuna.importance._base import BaseImportanceEvaluator

Method: TypeAlias = Literal["fanova", "ped-anova"]
NEEDED: Mapping[Method, Mapping[str, str]] = {
    "fanova": {"optuna": "'cartwheel[optuna]'", "sklearn": "'cartwheel[optuna]'"},
    "ped-anova": {"optuna": "'cartwheel[optuna]'"},
}
"""The packages that a method imports, and what to install for each."""
NUM_DEALS = 20
"""Random deals of the scores; the largest share but one of them is the level that chance stays below 19 times in 20."""
MIN_CONFIGS = 8
"""Fewer configs have no best tenth worth the name."""


@dataclass(frozen=True, slots=True)
class Importance:
    """A hyperparameter's share of all importance; ``chance``: the 95% level of its share if nothing mattered."""

    name: str
    share: float
    chance: float


def require_packages(method: Method) -> None:
    """Raises MissingPackage, saying what to install."""
    for package, step in NEEDED[method].items():
        if importlib.util.find_spec(package) is None:
            raise MissingPackage(f"{method} needs the package {package}, which is not installed; pip install {step}")


def importances(space: Space, observed: Sequence[Observed], method: Method) -> list[Importance]:
    """In the order of the space; empty for fewer than ``MIN_CONFIGS`` finite scores. Raises MissingPackage."""
    require_packages(method)
    sound = [one for one in observed if math.isfinite(one.score)]
    if len(sound) < MIN_CONFIGS:
        return []
    shares = _shares(space, sound, method)
    rng = numpy_rng("importance", method)
    deals = [_shares(space, _dealt(sound, rng), method) for _ in range(NUM_DEALS)]
    chance = {name: sorted(deal[name] for deal in deals)[-2] for name in space.names}
    return [Importance(name, shares[name], chance[name]) for name in space.names]


def final_scores(tables: StudyTables) -> list[Observed]:
    """The config and the final score of every trial of a static tuner that came to its end."""
    ends = {segment.trial: segment for segment in tables.segments.values()}
    full = max((segment.stop for segment in ends.values()), default=0)
    return [Observed(s.config, segment_score(tables, s.id)) for s in ends.values() if s.stop == full]


def over_time(studies: Sequence[StudyTables], num_windows: int = 3) -> dict[int, list[Observed]]:
    """By the last episode of each window of the training: what was observed of configs in it.

    Where configs change while agents train, the gain of every segment, less the mean gain of its generation; else the
    score that every trial had by then.
    """
    full = max(segment.stop for tables in studies for segment in tables.segments.values())
    windows = sorted({math.ceil(full * k / num_windows) for k in range(1, num_windows + 1)})
    found: dict[int, list[Observed]] = {window: [] for window in windows}
    for tables in studies:
        for episode, observed in (_gains(tables) if _is_dynamic(tables) else _scores(tables, windows)).items():
            found[min(window for window in windows if episode <= window)] += observed
    return found


def _is_dynamic(tables: StudyTables) -> bool:
    return any(
        segment.parent is not None and tables.segments[segment.parent].config != segment.config
        for segment in tables.segments.values()
    )


def _gains(tables: StudyTables) -> dict[int, list[Observed]]:
    """By the episode in which segments ended. An agent from nothing begins at 0, as do all others beside it."""
    generations: dict[int, list[tuple[Segment, float]]] = defaultdict(list)
    for segment in tables.segments.values():
        before = 0.0 if segment.parent is None else segment_score(tables, segment.parent)
        gain = (segment_score(tables, segment.id) - before) / (segment.stop - segment.start)
        if math.isfinite(gain):
            generations[segment.stop].append((segment, gain))
    means = {stop: math.fsum(gain for _, gain in ended) / len(ended) for stop, ended in generations.items()}
    return {
        stop: [Observed(segment.config, gain - means[stop]) for segment, gain in ended]
        for stop, ended in generations.items()
    }


def _scores(tables: StudyTables, windows: Sequence[int]) -> dict[int, list[Observed]]:
    found: dict[int, list[Observed]] = {window: [] for window in windows}
    for segment in {segment.trial: segment for segment in tables.segments.values()}.values():
        returns = learning_curve(tables, segment.id).returns[1:]
        for window in windows:
            if len(returns) >= window:
                found[window].append(Observed(segment.config, score(returns[:window])))
    return found


def _shares(space: Space, observed: Sequence[Observed], method: Method) -> dict[str, float]:
    with past_study(space, [(one.config, one.score) for one in observed]) as study:
        found = _evaluator(method).evaluate(study)
    total = math.fsum(found.values())
    return {name: found[name] / total if total > 0 else 0.0 for name in space.names}


def _evaluator(method: Method) -> "BaseImportanceEvaluator":
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    evaluators: dict[Method, Any] = {
        "fanova": lambda: FanovaImportanceEvaluator(seed=seed_integer("importance", method)),
        "ped-anova": PedAnovaImportanceEvaluator,
    }
    made: BaseImportanceEvaluator = evaluators[method]()
    return made


def _dealt(observed: Sequence[Observed], rng: np.random.Generator) -> list[Observed]:
    order = rng.permutation(len(observed))
    return [Observed(one.config, observed[k].score) for one, k in zip(observed, order, strict=True)]
