"""Rank correlations between fidelities against their definition, and from studies with a known order."""

import math

import numpy as np
import pytest

from cartwheel.analysis.correlation import (
    FidelityScores,
    correlation,
    correlations,
    fidelity_scores,
    spread_fidelities,
    together,
)
from made_up_study import made_up_study
from whole_studies import tuned


def test_it_is_the_correlation_of_ranks() -> None:
    """Spearman's definition: Pearson's coefficient of the ranks; without ties 1 - 6 sum d^2 / (n (n^2 - 1))."""
    rng = np.random.default_rng(0)
    low, high = rng.normal(size=12), rng.normal(size=12)
    found = correlation(FidelityScores([{1: a, 9: b} for a, b in zip(low, high, strict=True)]), 1, 9)
    d = low.argsort().argsort() - high.argsort().argsort()
    assert found.correlation == pytest.approx(1 - 6 * (d**2).sum() / (12 * (12**2 - 1)))
    assert found.num_configs == 12
    t = found.correlation * math.sqrt(10 / (1 - found.correlation**2))
    assert found.p_value == pytest.approx(2 * np.mean(rng.standard_t(10, 200_000) > abs(t)), abs=0.01)


def test_only_configs_that_have_both_scores_count() -> None:
    of = FidelityScores([{1: 1.0, 2: 1.0}, {1: 2.0}, {1: 3.0, 2: 2.0}, {1: 4.0, 2: 3.0}, {2: 9.0}])
    found = correlation(of, 1, 2)
    assert (found.correlation, found.num_configs) == (pytest.approx(1.0), 3)


def test_what_has_no_order_has_no_correlation() -> None:
    """Two configs, or scores that are all equal: NaN, and no warning."""
    assert math.isnan(correlation(FidelityScores([{1: 0.0, 2: 1.0}, {1: 1.0, 2: 0.0}]), 1, 2).correlation)
    assert math.isnan(correlation(FidelityScores([{1: 0.0, 2: float(k)} for k in range(5)]), 1, 2).correlation)


def test_every_two_fidelities_are_compared() -> None:
    of = FidelityScores([{1: 1.0 * k, 4: 2.0 * k, 8: -1.0 * k} for k in range(5)])
    assert [(c.low, c.high, round(c.correlation)) for c in correlations(of)] == [(1, 4, 1), (1, 8, -1), (4, 8, -1)]


def test_scores_are_read_from_full_random_search_curves() -> None:
    """Every config has its score at every fidelity: the mean of the last three returns up to there."""
    tables = tuned({"name": "random-search", "num_trials": 6}, num_episodes=8)
    found = fidelity_scores(tables, spread_fidelities(8))
    assert found.fidelities == [1, 2, 4, 8]
    assert not found.is_censored
    returns = [episode.return_ for episode in tables.episodes[next(iter(tables.segments))]]
    assert found.scores[0] == pytest.approx(
        {1: returns[1], 2: sum(returns[1:3]) / 2, 4: sum(returns[2:5]) / 3, 8: sum(returns[6:9]) / 3}
    )


def test_scores_of_hyperband_are_censored() -> None:
    """It stops the worse ones, so fewer configs have the higher scores, and the table says censored."""
    found = fidelity_scores(tuned({"name": "hyperband"}, num_episodes=9), [1, 3, 9])
    assert found.is_censored
    assert len(found.pairs(1, 9)) < len(found.pairs(1, 3)) < len(found.scores)
    assert together([found, found]).is_censored


def test_studies_whose_configs_change_are_refused() -> None:
    with pytest.raises(ValueError, match="keeps its config"):
        fidelity_scores(made_up_study(), [1, 12])
