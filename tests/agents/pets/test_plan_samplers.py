"""What planners sample: noise within the bounds, coloured or smoothed over time, elites and means among it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import random

from cartwheel.agents.pets import plan_samplers
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.plan_samplers import Turn
from cartwheel.agents.pets.plan_search import Search
from cartwheel.agents.pets.planner import METHODS
from hand_made import planner_hypers, with_shape

A = 2
NUM_CHUNKS = 250
FALSE_ALARM = 1e-6


def shape_of(planner: Any, **choices: Any) -> PetsShape:
    return with_shape(planner=planner, max_horizon=5, max_samples=64, sample_chunk=16, **choices)


def search_of(shape: PetsShape, mean: float, std: float, num_elites: int = 0) -> Search:
    """A search whose mean is constant, and whose elites are 1/128, 2/128, ..."""
    flat = jnp.full((shape.max_horizon, A), mean, jnp.float32)
    elites = jnp.arange(1.0, shape.padded_samples + 1.0, dtype=jnp.float32)[:, None, None] / 128.0
    elites = jnp.broadcast_to(elites, (shape.padded_samples, *flat.shape))
    best_score = jnp.float32(-jnp.inf)
    return Search(flat, jnp.full_like(flat, std), elites, jnp.int32(num_elites), flat, best_score)


def samples(shape: PetsShape, search: Search, first: bool = False, last: bool = False, **hypers: Any) -> np.ndarray:
    """Many chunks of plans [S, H, A], all taken for the first chunk of 16 samples of an iteration."""
    values = planner_hypers(shape.planner, **{"plan_horizon": 5, **hypers})
    turn = Turn(jnp.arange(16), jnp.int32(16), jnp.asarray(first), jnp.asarray(last))
    sample = jax.jit(METHODS[shape.planner].sampler(values, shape))
    return np.stack([np.asarray(sample(random.key(c), search, turn)) for c in range(NUM_CHUNKS)])


@pytest.mark.parametrize("mean", [0.0, 0.9, -0.98, 1.0])
def test_truncated_samples_stay_within_the_bounds(mean: float) -> None:
    """Two sigma of a spread capped by half the distance to the nearer bound end at that bound."""
    shape = shape_of("cem")
    found = samples(shape, search_of(shape, mean, 0.5))
    reach = min(1.0, 1.0 - abs(mean))  # 2 * min(0.5, distance / 2)
    assert np.abs(found - mean).max() <= reach + 1e-6
    assert np.abs(found - mean).max() >= 0.99 * reach
    assert found.std() == pytest.approx(0.8796 * reach / 2, rel=0.03)  # of a normal truncated at two sigma


@pytest.mark.parametrize("std", [0.1, 0.3])
def test_truncated_samples_have_the_truncated_normal_distribution(std: float) -> None:
    """Away from the bounds: SciPy's normal truncated at two sigma (Kolmogorov-Smirnov, false alarm 1e-6)."""
    shape = shape_of("cem")
    found = samples(shape, search_of(shape, 0.2, std)).ravel()
    assert scipy.stats.kstest(found, scipy.stats.truncnorm(-2, 2, loc=0.2, scale=std).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("planner", ["cem", "icem", "mppi"])
def test_clipped_samples_lie_on_the_bound(planner: Any) -> None:
    """Clipping puts plans on the bound itself: P(z > 0.2) = 0.42 of them at mean 0.9 and deviation 0.5."""
    choices = {"sampling": "clipped"} if planner == "cem" else {}
    shape = shape_of(planner, **choices)
    found = samples(shape, search_of(shape, 0.9, 0.5))
    assert np.abs(found).max() == 1.0
    assert np.mean(found == 1.0) == pytest.approx(scipy.stats.norm.sf(0.2), abs=0.03)


@pytest.mark.parametrize("planner", ["cem", "icem", "mppi"])
def test_clipped_noise_has_the_searchs_spread(planner: Any) -> None:
    """Far from the bounds the deviation of every step is the search's, however coloured the noise is."""
    choices = {"sampling": "clipped"} if planner == "cem" else {}
    shape = shape_of(planner, **choices)
    found = samples(shape, search_of(shape, 0.1, 0.15)).reshape(-1, 5, A)
    np.testing.assert_allclose(found.std(axis=0), 0.15, rtol=0.06)  # 4000 numbers: 1.1% standard error


def test_random_shooting_is_uniform() -> None:
    """Every action of every step is anywhere between the bounds, wherever the search stands (false alarm 1e-6)."""
    shape = shape_of("random-shooting")
    found = samples(shape, search_of(shape, 0.9, 0.1))
    assert scipy.stats.kstest(found.ravel(), scipy.stats.uniform(-1, 2).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("first", "expected"), [(True, 2), (False, 6)])
def test_elites_take_the_first_places(first: bool, expected: int) -> None:
    """Of 10 elites, 20% enter the next env step's first iteration and 60% each later iteration."""
    shape = shape_of("icem")
    hypers = {"num_samples": 20, "elite_ratio": 0.5, "shifted_elite_ratio": 0.2, "kept_elite_ratio": 0.6}
    found = samples(shape, search_of(shape, 0.0, 0.5, num_elites=10), first=first, **hypers)
    is_elite = np.all(found == np.arange(1, 17, dtype=np.float32)[:, None, None] / np.float32(128), axis=(0, 2, 3))
    assert is_elite.tolist() == [place < expected for place in range(16)]


def test_no_more_elites_than_there_are() -> None:
    """Where only one plan of the last iteration had a finite score, one elite is kept."""
    shape = shape_of("icem")
    hypers = {"num_samples": 20, "elite_ratio": 0.5, "kept_elite_ratio": 1.0}
    found = samples(shape, search_of(shape, 0.0, 0.5, num_elites=1), **hypers)
    assert np.all(found[:, 0] == np.float32(1 / 128))
    assert not np.any(np.all(found[:, 1:] == found[:1, 1:], axis=(0, 2, 3)))


@pytest.mark.parametrize(
    ("last_sample", "last", "expected"), [("mean", True, True), ("mean", False, False), ("random", True, False)]
)
def test_the_mean_is_the_last_sample_of_the_last_iteration(last_sample: str, last: bool, expected: bool) -> None:
    """Only there, and only if that is chosen."""
    shape = shape_of("icem", last_sample=last_sample)
    found = samples(shape, search_of(shape, 0.25, 0.5), last=last)
    is_mean = np.all(found == 0.25, axis=(0, 2, 3))
    assert is_mean.tolist() == [False] * 15 + [expected]


@pytest.mark.parametrize("planner", ["cem", "icem", "mppi", "random-shooting"])
def test_samples_do_not_depend_on_the_programs_maxima(planner: Any) -> None:
    """A program for longer plans and more samples draws the same first steps."""
    small = shape_of(planner)
    large = with_shape(planner=planner, max_horizon=11, max_samples=128, sample_chunk=16)
    one = samples(small, search_of(small, 0.1, 0.4))
    two = samples(large, search_of(large, 0.1, 0.4))[:, :, :5]
    np.testing.assert_allclose(one, two, atol=2e-6)


colour = jax.jit(plan_samplers.colour_matrix, static_argnums=2)


@pytest.mark.parametrize("horizon", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0, 10.0])
def test_coloured_noise_has_unit_variance_at_every_step(horizon: int, exponent: float) -> None:
    """Within the plan's horizon every step varies by one; behind it there is nothing."""
    matrix = np.asarray(colour(jnp.float32(exponent), jnp.int32(horizon), 30), np.float64)
    variance = (matrix**2).sum(axis=1)
    np.testing.assert_allclose(variance[:horizon], 1.0, rtol=1e-5)
    assert not np.any(variance[horizon:])


def test_exponent_zero_is_white() -> None:
    """Without colour, steps are independent: M M' is the identity."""
    matrix = np.asarray(colour(jnp.float32(0.0), jnp.int32(12), 30))[:12, :12]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(12), atol=1e-5)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_power_falls_with_frequency(exponent: float) -> None:
    """The periodogram of 4,000 noises has the slope -exponent in log-log (false alarm below 1e-6)."""
    length = 32
    matrix = np.asarray(colour(jnp.float32(exponent), jnp.int32(length), 40))[:length, :length]
    noise = np.random.default_rng(0).normal(size=(4000, length)) @ matrix.T
    power = np.mean(np.abs(np.fft.rfft(noise, axis=1)) ** 2, axis=0)[1:-1]
    slope, _ = np.polyfit(np.log(np.arange(1, length // 2)), np.log(power), 1)
    # each mean power is exact to 1 / sqrt(4000) = 1.6%: the slope's standard error is 0.006
    assert slope == pytest.approx(-exponent, abs=0.04)


@pytest.mark.parametrize("horizon", [7, 30])
def test_noise_does_not_depend_on_the_programs_maximum(horizon: int) -> None:
    """The colour is that of the plan's own horizon, however long the plans are that the program could make."""
    small = colour(jnp.float32(2.0), jnp.int32(horizon), 30)[:horizon, :horizon]
    large = colour(jnp.float32(2.0), jnp.int32(horizon), 40)[:horizon, :horizon]
    np.testing.assert_allclose(small, large, rtol=1e-6)


smooth = jax.jit(plan_samplers.smoothing_matrix, static_argnums=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 0.9, 1.0])
def test_smoothed_noise_is_the_published_filter_at_unit_variance(smoothing: float) -> None:
    """n_t = (1 - s) u_t + s n_(t-1), step by step, divided by that step.s deviation."""
    white = np.random.default_rng(0).normal(size=8)
    found = np.asarray(smooth(jnp.float32(smoothing), 8), np.float64) @ white
    state, variance, expected = 0.0, 0.0, []
    for u in white:
        # (1 - s) is a factor of all terms alike, and cancels in the division (it is 0 at s = 1)
        state, variance = u + smoothing * state, 1.0 + smoothing**2 * variance
        expected.append(state / variance**0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_smoothing_zero_is_white() -> None:
    """Without smoothing, every step is its own draw."""
    np.testing.assert_array_equal(smooth(jnp.float32(0.0), 8), np.eye(8))
