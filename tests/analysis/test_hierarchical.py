"""The bootstrap over tuner seeds and test seeds against brute force, closed forms and its stated coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from cartwheel.analysis.hierarchical import (
    Resampled,
    aggregate_interval,
    as_drawn,
    ends,
    expanded_level,
    improvement,
    iqm_difference,
    iqm_of,
    profile_of,
    resamples,
)
from cartwheel.analysis.statistics import Array, iqm, probability_of_improvement


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def mean_of_first(samples: Resampled) -> Array:
    return np.asarray(samples[0][0].mean(axis=-1))


def test_rows_then_columns_are_drawn_as_if_all_draws_were_listed() -> None:
    """Of 2 x 3 scores all 2^2 * 3^3 pairs of draws can be listed: sampled means have the listed distribution."""
    scores = np.array([[0.0, 1.0, 5.0], [10.0, 30.0, 70.0]])
    listed = [
        scores[np.ix_(rows, columns)].mean()
        for rows in itertools.product(range(2), repeat=2)
        for columns in itertools.product(range(3), repeat=3)
    ]
    drawn = mean_of_first(resamples([[scores]], rng(), 50_000))
    for quantile in (0.05, 0.3, 0.6, 0.95):
        # the listed distribution is discrete: compare how much of it lies at or below the sampled quantile
        at = np.quantile(drawn, quantile, method="lower")
        below, including = np.mean(np.array(listed) < at - 1e-9), np.mean(np.array(listed) <= at + 1e-9)
        assert below - 0.02 <= quantile <= including + 0.02


def test_arms_share_their_test_seeds_and_tasks_do_not() -> None:
    """Arms that differ by a constant on every test seed differ by it in every resample, so their interval has no width;
    a difference taken over another task's arm has one."""
    one = np.tile(rng().normal(size=(1, 6)), (4, 1))
    paired = aggregate_interval([[one + 2.0, one]], iqm_difference(0, 1), rng())
    assert (paired.low, paired.high) == pytest.approx((2.0, 2.0))
    other = resamples([[one], [one]], rng(), 100)
    assert not np.allclose(other[0][0].mean(axis=-1), other[1][0].mean(axis=-1))


@pytest.mark.parametrize(("row_std", "column_std"), [(1.0, 0.0), (0.0, 1.0), (0.7, 0.7)])
def test_intervals_cover_the_truth_when_seeds_have_effects_of_their_own(row_std: float, column_std: float) -> None:
    """Means of 8 x 10 scores with row, column and single effects: about 95% of intervals hold 0; a bootstrap of single
    scores would hold it in under 70%."""
    world, held, single = np.random.default_rng(3), 0, 0
    for _ in range(200):
        rows, columns = row_std * world.normal(size=(8, 1)), column_std * world.normal(size=(1, 10))
        scores = rows + columns + world.normal(size=(8, 10)) / 2
        interval = aggregate_interval([[scores]], mean_of_first, world, num_resamples=400)
        held += interval.low <= 0 <= interval.high
        half = 1.96 * scores.std() / math.sqrt(scores.size)
        single += abs(scores.mean()) <= half
    assert 0.86 <= held / 200 <= 0.995
    assert single / 200 < 0.8


def test_levels_are_expanded_as_students_t_is_beyond_the_normal() -> None:
    """Hesterberg's table for 95%: n = 5 needs 0.1% on each side, n = 100 hardly more than the 2.5% asked for."""
    assert (1 - expanded_level(5)) / 2 == pytest.approx(0.001, abs=0.0005)
    assert (1 - expanded_level(100)) / 2 == pytest.approx(0.0229, abs=0.0005)
    assert expanded_level(1) == 1.0


def test_of_three_tuner_seeds_the_interval_is_all_that_could_be_drawn() -> None:
    """The ends are those of every choice of a row of each arm and a column, listed; another stream of random numbers
    gives the same. With five tuner seeds resamples reach far enough, and do not go to these extremes."""
    world = np.random.default_rng(5)
    first, second = world.normal(1.0, 1.0, size=(3, 5)), world.normal(size=(3, 5))
    rows, columns = range(3), range(5)
    listed = [first[i, c] - second[j, c] for i, j, c in itertools.product(rows, rows, columns)]
    for seed in range(3):
        found = aggregate_interval([[first, second]], iqm_difference(0, 1), np.random.default_rng(seed))
        assert (found.low, found.high) == pytest.approx((min(listed), max(listed)))
    more = [world.normal(size=(5, 5)) for _ in range(2)]
    apart = [(a - b) for a, b in itertools.product(*more)]
    found = aggregate_interval([more], iqm_difference(0, 1), world)
    assert np.min(apart) < found.low < found.high < np.max(apart)


def test_five_tuner_seeds_of_equal_arms_seldom_look_different() -> None:
    """The rate of false alarms at 95% is at most 5%, give or take what 200 comparisons can tell."""
    world, alarms = np.random.default_rng(8), 0
    for _ in range(200):
        tests = world.normal(size=(1, 10))
        first, second = (tests + world.normal(size=(5, 1)) + world.normal(size=(5, 10)) for _ in range(2))
        alarms += aggregate_interval([[first, second]], iqm_difference(0, 1), world, num_resamples=2_000).excludes_zero
    assert alarms <= 18


def test_improvement_is_mann_whitney_in_every_resample() -> None:
    """Against the pairwise definition, with ties and a failure in it, and against scipy's U."""
    first, second = np.array([[1.0, 2.0, 2.0], [4.0, -math.inf, 0.0]]), np.array([[2.0, 2.0, 1.0]])
    value = improvement(0, 1)(as_drawn([[first, second]]))[0]
    pairs = [(a > b) + 0.5 * (a == b) for a in first.ravel() for b in second.ravel()]
    assert value == pytest.approx(np.mean(pairs))
    sound = first[first > -math.inf]
    u = stats.mannwhitneyu(sound, second.ravel()).statistic
    assert probability_of_improvement(list(sound), list(second.ravel())) == pytest.approx(u / (5 * 3))
    assert improvement(0, 1)(as_drawn([[sound.reshape(1, -1), second]]))[0] == pytest.approx(u / (5 * 3))


def test_improvement_over_tasks_is_the_mean_of_the_tasks() -> None:
    better, worse = np.array([[2.0]]), np.array([[1.0]])
    tasks = as_drawn([[better, worse], [worse, better], [better, worse], [better, better]])
    assert improvement(0, 1)(tasks)[0] == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_profiles_count_runs_above_a_threshold() -> None:
    """Against counting; strictly above, as published; the mean over tasks of unequal numbers of runs."""
    tasks = as_drawn([[np.array([[0.0, 1.0, 2.0, -math.inf]])], [np.array([[1.0], [3.0]])]])
    thresholds = np.array([-1.0, 1.0, 2.5, 9.0])
    counted = [np.mean([np.mean(scores[0][0] > t) for scores in tasks]) for t in thresholds]
    assert profile_of(0, thresholds)(tasks)[0] == pytest.approx(counted)


def test_a_failed_training_is_worse_than_any_other() -> None:
    """A few failures are trimmed from the IQM as its worst values; where more than a quarter failed it is -inf."""
    one = np.array([[-math.inf, 1.0, 2.0, 3.0]])
    assert iqm_of(0)(as_drawn([[one]]))[0] == 1.5
    many = np.array([[-math.inf, -math.inf, 2.0, 3.0]])
    assert iqm_of(0)(as_drawn([[many]]))[0] == -math.inf
    both = aggregate_interval([[many, many]], iqm_difference(0, 1), rng(), num_resamples=50)
    assert (both.low, both.high) == (-math.inf, math.inf)


def test_iqm_pools_the_runs_of_all_tasks() -> None:
    first, second = rng().normal(size=(3, 4)), rng().normal(5, 1, size=(2, 4))
    pooled = iqm(np.concatenate([first.ravel(), second.ravel()]))
    assert iqm_of(0)(as_drawn([[first], [second]]))[0] == pytest.approx(float(pooled))


def test_ends_are_observed_values() -> None:
    """No interpolation, which would turn -inf into NaN."""
    low, high = ends(np.array([-math.inf, *np.arange(99.0)]), level=0.98)
    assert (low, high) == (-math.inf, 98.0)


def test_arms_without_common_test_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="common test seeds"):
        resamples([[np.zeros((2, 3)), np.zeros((2, 4))]], rng())
