"""Statistics against brute force, closed forms and their stated coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from cartwheel.analysis.statistics import (
    Interval,
    bootstrap_interval,
    iqm,
    mean,
    paired_difference,
    probability_of_improvement,
    stratified_bootstrap_interval,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("n", range(1, 20))
def test_iqm_is_the_mean_without_the_lowest_and_highest_quarter(n: int) -> None:
    values = rng().normal(size=n)
    cut = n // 4
    assert float(iqm(values)) == pytest.approx(np.sort(values)[cut : n - cut].mean())


def test_iqm_ignores_outliers_that_the_mean_follows() -> None:
    values = np.array([1.0, 2, 3, 1e9])
    assert float(iqm(values)) == 2.5
    assert float(mean(values)) > 1e8


def test_iqm_reduces_the_last_axis_only() -> None:
    values = rng().normal(size=(3, 8))
    assert iqm(values) == pytest.approx([float(iqm(row)) for row in values])


def test_bootstrap_agrees_with_all_resamples_enumerated() -> None:
    """With 4 values all 4^4 resamples can be listed: the sampled quantiles must lie among theirs."""
    values = [0.0, 1.0, 4.0, 9.0]
    exact = [sum(draw) / 4 for draw in itertools.product(values, repeat=4)]
    low, high = np.quantile(exact, [0.1, 0.9])
    interval = bootstrap_interval(values, rng(), level=0.8, num_resamples=50_000)
    assert interval.point == 3.5
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.26)


def test_bootstrap_of_a_normal_mean_approaches_the_closed_form() -> None:
    values = rng().normal(5, 2, size=400)
    half_width = 1.96 * values.std() / math.sqrt(400)
    interval = bootstrap_interval(list(values), rng())
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.02)


def test_bootstrap_depends_on_the_generator_alone() -> None:
    values = list(rng().normal(size=9))
    assert bootstrap_interval(values, rng()) == bootstrap_interval(values, rng())
    assert bootstrap_interval(values, rng()) != bootstrap_interval(values, np.random.default_rng(8))


def test_strata_are_resampled_within_themselves() -> None:
    """Two strata without spread give an interval without width, however far apart they are."""
    interval = stratified_bootstrap_interval([[0.0, 0, 0], [100.0, 100]], rng())
    assert interval == Interval(40.0, 40.0, 40.0)
    pooled = bootstrap_interval([0.0, 0, 0, 100, 100], rng())
    assert pooled.low < 40 < pooled.high


def test_paired_difference_is_the_one_sample_t_interval() -> None:
    first, second = rng().normal(1, 1, size=(2, 6))
    expected = stats.ttest_1samp(first - second, 0).confidence_interval(0.95)
    interval = paired_difference(list(first), list(second))
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.point == pytest.approx((first - second).mean())


def test_pairing_removes_what_the_seeds_share() -> None:
    seeds = 100 * rng().normal(size=5)
    interval = paired_difference(list(seeds + np.array([1.0, 1.1, 0.9, 1.0, 1.0])), list(seeds))
    assert interval.excludes_zero
    assert interval.point == pytest.approx(1.0)


def test_one_pair_tells_nothing() -> None:
    interval = paired_difference([5.0], [1.0])
    assert interval == Interval(4.0, -math.inf, math.inf)
    assert not interval.excludes_zero


def test_five_pairs_need_student_not_the_bootstrap() -> None:
    """3,000 draws of 5 normal pairs: t covers 95% +- 1.5 points (4 sigma), the percentile bootstrap stays below 90%."""
    draws = np.random.default_rng(1).normal(size=(3_000, 5))
    zeros = [0.0] * 5
    t_covers = [not paired_difference(list(draw), zeros).excludes_zero for draw in draws]
    assert np.mean(t_covers) == pytest.approx(0.95, abs=0.016)
    generator = rng()
    bootstrap_covers = [
        not bootstrap_interval(list(draw), generator, num_resamples=400).excludes_zero for draw in draws
    ]
    assert np.mean(bootstrap_covers) < 0.9


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    first, second = rng().integers(0, 5, size=(2, 7)).astype(float)
    brute = sum((a > b) + 0.5 * (a == b) for a in first for b in second) / 49
    assert probability_of_improvement(list(first), list(second)) == pytest.approx(brute)
    assert brute == pytest.approx(stats.mannwhitneyu(first, second).statistic / 49)
    assert probability_of_improvement([2.0], [1.0]) == 1.0


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_what_is_not_finite_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(bad, rng())
    with pytest.raises(ValueError, match="finite"):
        probability_of_improvement(bad, [1.0])


def test_unequal_numbers_of_runs_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([1.0, 2.0], [1.0])
