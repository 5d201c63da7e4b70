"""Statistics over tuner seeds and test seeds: what would other runs of the tuner, tested on other seeds, have given?

The scores of one arm on one task are a matrix: row t holds what the tuner found under its seed t, column s how that
did on test seed s. All arms of a task share the columns, so arms are paired. The bootstrap first draws rows with
replacement, for each arm its own, then columns, for all arms the same: Owen's pigeonhole bootstrap (2007, "The
pigeonhole bootstrap", Annals of Applied Statistics 1), which for two crossed factors errs to the wide side, where
drawing single scores errs to the narrow one. Tasks are strata, as in Agarwal et al. 2021, "Deep RL at the Edge of the
Statistical Precipice", whose aggregates these are: IQM, probability of improvement, performance profiles.

Of few tuner seeds the percentile interval is too narrow: a resample of n rows varies less than n rows do. So its ends
are those of Hesterberg's expanded percentile interval (2015, "What teachers should know about the bootstrap", The
American Statistician 69): as far out as Student's t with n - 1 degrees of freedom is beyond the normal distribution.
Of fewer than five tuner seeds that is further than resamples reach in any number worth drawing, and how far a given
number of them reaches is luck. Then the interval goes to the most extreme resamples there are: of one row of every arm
and one column.

A training that failed has the score -inf: it is worse than any other, in every statistic.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy import stats

from cartwheel.analysis.statistics import LEVEL, Array, Interval, iqm

Strata: TypeAlias = Sequence[Sequence[Array]]
"""``strata[task][arm]``: the scores, shape (tuner seeds, test seeds)."""

Resampled: TypeAlias = Sequence[Sequence[Array]]
"""``resampled[task][arm]``: shape (resamples, scores)."""

Aggregate: TypeAlias = Callable[[Resampled], Array]
"""Reduces the scores; the resamples stay the first axis."""

NUM_RESAMPLES = 5_000
"""Of which, for five tuner seeds, the five lowest and highest lie outside the interval."""


def resamples(
    strata: Strata, rng: np.random.Generator, num_resamples: int = NUM_RESAMPLES, *, extreme: bool = False
) -> Resampled:
    """Bootstrap samples of all scores; ``extreme``: of a single row of every arm and a single column of every task.

    Raises ValueError unless the arms of a task share their test seeds.
    """
    return [_resampled_task(arms, rng, num_resamples, extreme) for arms in strata]


def aggregate_interval(
    strata: Strata,
    aggregate: Aggregate,
    rng: np.random.Generator,
    level: float = LEVEL,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval:
    """An aggregate of the scores with its expanded percentile interval."""
    draws, level = aggregate(resamples(strata, rng, num_resamples)), expanded_level(num_independent(strata), level)
    if (1 - level) / 2 * num_resamples < 1:
        draws = np.concatenate([draws, aggregate(resamples(strata, rng, num_resamples, extreme=True))])
    low, high = ends(draws, level)
    return Interval(float(aggregate(as_drawn(strata))[0]), float(low), float(high))


def num_independent(strata: Strata) -> int:
    """How many independent things the scores rest on: tuner seeds of the smallest arm, summed over tasks.

    An arm with a single row was not tuned, or once: then its test seeds count, and nothing is said about other tunings.
    """
    return sum(min(len(scores) if len(scores) > 1 else scores.shape[1] for scores in arms) for arms in strata)


def expanded_level(n: int, level: float = LEVEL) -> float:
    """The level whose percentile interval covers as ``level`` should, of ``n`` independent values. 1 for a single one:
    the interval is then all that was drawn."""
    if n < 2:
        return 1.0
    return float(1 - 2 * stats.norm.sf(math.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)))


def as_drawn(strata: Strata) -> Resampled:
    """The scores themselves, as a single resample."""
    return [[scores.reshape(1, -1) for scores in arms] for arms in strata]


def ends(draws: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """The ends of the percentile interval along the first axis: observed values, so that -inf may be among them.

    NaN, as the difference of two arms that both failed, may be anything: it widens the interval on both sides.
    """
    low = np.quantile(np.where(np.isnan(draws), -math.inf, draws), (1 - level) / 2, axis=0, method="lower")
    high = np.quantile(np.where(np.isnan(draws), math.inf, draws), (1 + level) / 2, axis=0, method="higher")
    return np.asarray(low), np.asarray(high)


def iqm_of(arm: int) -> Aggregate:
    """The interquartile mean of an arm's scores on all tasks together."""
    return lambda samples: iqm(np.concatenate([arms[arm] for arms in samples], axis=-1))


def iqm_difference(first: int, second: int) -> Aggregate:
    """The IQM of one arm minus that of another."""

    def difference(samples: Resampled) -> Array:
        with np.errstate(invalid="ignore"):  # -inf - -inf: nobody knows
            return np.asarray(iqm_of(first)(samples) - iqm_of(second)(samples))

    return difference


def improvement(first: int, second: int) -> Aggregate:
    """Chance that a run of one arm beats a run of another on the same task, ties counting half; mean over tasks."""

    def chance(samples: Resampled) -> Array:
        return np.asarray(np.mean([_wins(arms[first], arms[second]) for arms in samples], axis=0))

    return chance


def profile_of(arm: int, thresholds: Array) -> Aggregate:
    """The performance profile of an arm: per threshold the fraction of runs above it, mean over tasks."""

    def fractions(samples: Resampled) -> Array:
        per_task = [_above(arms[arm], thresholds) for arms in samples]
        return np.asarray(np.mean(per_task, axis=0))

    return fractions


def _resampled_task(arms: Sequence[Array], rng: np.random.Generator, num_resamples: int, extreme: bool) -> list[Array]:
    num_seeds = {scores.shape[1] for scores in arms}
    if len(num_seeds) != 1 or any(scores.size == 0 for scores in arms):
        raise ValueError(f"arms need common test seeds, at least one each, got {[scores.shape for scores in arms]}")
    size = num_seeds.pop()

    def drawn(of: int) -> Array:
        """So many of ``of`` with replacement, or one, so many times."""
        return np.broadcast_to(rng.integers(of, size=(num_resamples, 1 if extreme else of)), (num_resamples, of))

    rows, columns = [drawn(len(scores)) for scores in arms], drawn(size)
    return [
        scores[own[:, :, None], columns[:, None, :]].reshape(num_resamples, -1)
        for scores, own in zip(arms, rows, strict=True)
    ]


def _wins(first: Array, second: Array) -> Array:
    """Mann-Whitney's U / (n m) by ranks along the last axis; ties have mean ranks."""
    n, m = first.shape[-1], second.shape[-1]
    ranks = stats.rankdata(np.concatenate([first, second], axis=-1), axis=-1)
    return np.asarray((ranks[..., :n].sum(axis=-1) - n * (n + 1) / 2) / (n * m))


def _above(scores: Array, thresholds: Array) -> Array:
    """Shape (resamples, thresholds)."""
    ordered = np.sort(scores, axis=-1)
    return np.stack([1 - np.searchsorted(row, thresholds, side="right") / len(row) for row in ordered])
