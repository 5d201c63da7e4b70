"""Importances on functions of known shape, and response maps against the mean that they are."""

import importlib.util
import math

import numpy as np
import pytest

from cartwheel.analysis.importance import Method, final_scores, importances, over_time
from cartwheel.analysis.response import local_mean, response
from cartwheel.spaces.named import SMALL
from cartwheel.tuners.models.optuna_samplers import MissingPackage, Observed
from whole_studies import tuned

METHODS: tuple[Method, ...] = ("fanova", "ped-anova")
SPACE = SMALL.only(["learning_rate", "plan_horizon", "alpha"])


def observed(num: int = 60) -> list[Observed]:
    """The score depends on the learning rate alone."""
    rng = np.random.default_rng(1)
    configs = [SPACE.sample(rng) for _ in range(num)]
    return [Observed(config, -((math.log10(float(config["learning_rate"])) + 3) ** 2)) for config in configs]


def require(method: Method) -> None:
    if method == "fanova":
        pytest.importorskip("sklearn")
    pytest.importorskip("optuna")


@pytest.mark.parametrize("method", METHODS)
def test_what_decides_the_score_has_most_of_the_importance(method: Method) -> None:
    """Shares sum to 1, and only the deciding hyperparameter is above what chance gives."""
    require(method)
    found = {one.name: one for one in importances(SPACE, observed(), method)}
    assert list(found) == list(SPACE.names)
    assert sum(one.share for one in found.values()) == pytest.approx(1.0)
    assert found["learning_rate"].share > 0.7
    assert [name for name, one in found.items() if one.share > one.chance] == ["learning_rate"]


def test_the_same_results_give_the_same_importances() -> None:
    require("ped-anova")
    assert importances(SPACE, observed(), "ped-anova") == importances(SPACE, observed(), "ped-anova")


def test_failures_and_too_few_configs_have_no_say() -> None:
    require("ped-anova")
    spoiled = [*observed(), Observed(SPACE.default, -math.inf), Observed(SPACE.default, math.nan)]
    assert importances(SPACE, spoiled, "ped-anova") == importances(SPACE, observed(), "ped-anova")
    assert importances(SPACE, observed(7), "ped-anova") == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install"):
        importances(SPACE, observed(), "fanova")


def test_windows_of_a_static_study_hold_the_scores_of_that_age() -> None:
    tables = tuned({"name": "random-search", "num_trials": 5}, 9)
    found = over_time([tables])
    assert {window: len(of) for window, of in found.items()} == {3: 5, 6: 5, 9: 5}
    assert [one.score for one in found[9]] == pytest.approx([one.score for one in final_scores(tables)])


def test_windows_of_a_dynamic_study_hold_gains_less_their_generations_mean() -> None:
    """So a generation's gains sum to zero, and late small gains count as much as early large ones."""
    pbt = {"name": "pbt", "population": 6, "first_interval_episodes": 2, "interval_episodes": 2}
    found = over_time([tuned(pbt, 8)], num_windows=4)
    assert {window: len(of) for window, of in found.items()} == {2: 6, 4: 6, 6: 6, 8: 6}
    for of in found.values():
        assert sum(one.score for one in of) == pytest.approx(0.0, abs=1e-9)


def test_a_local_mean_is_the_weighted_mean_and_silent_far_from_all() -> None:
    points, scores = np.array([[0.2], [0.4]]), np.array([1.0, 5.0])
    at = np.array([[0.3], [0.2], [1.0]])
    weights = np.exp(-0.5 * ((at - points.T) / 0.15) ** 2)
    assert local_mean(at, points, scores)[:2] == pytest.approx((weights @ scores / weights.sum(axis=1))[:2])
    assert math.isnan(local_mean(at, points, scores)[2])


def test_maps_show_the_shape_of_the_score() -> None:
    """One hyperparameter: highest near a learning rate of 1e-3; two: the other changes nothing much."""
    one = response(SPACE, observed(200), ["learning_rate"])
    best = one.grid[np.nanargmax(one.values)]
    assert best == pytest.approx(SPACE.parameters["learning_rate"].encode(1e-3), abs=0.1)
    two = response(SPACE, observed(200), ["learning_rate", "alpha"])
    assert two.values.shape == (len(two.grid),) * 2
    assert np.nanstd(two.values, axis=0).mean() > 3 * np.nanstd(two.values, axis=1).mean()
    with pytest.raises(ValueError, match="one or two"):
        response(SPACE, observed(), SPACE.names)
