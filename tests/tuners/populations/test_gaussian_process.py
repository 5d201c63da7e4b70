"""The process is checked against closed forms, brute force and finite differences; the bound against a fine grid."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from cartwheel.tuners.populations.gaussian_process import (
    BEGIN,
    LOWER,
    UPPER,
    Array,
    Kernel,
    Posterior,
    UpperBound,
    fit,
    negative_log_likelihood,
)

KERNEL = Kernel(variance=1.5, length=0.4, omega=0.1, noise=0.05)


def made_up(num: int, num_coordinates: int = 2, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, num).astype(float), rng.random((num, num_coordinates)), rng.standard_normal(num)


def slow_kernel(t: float, u: Array, other_t: float, other_u: Array) -> float:
    """The paper's formula, one pair at a time, with its epsilon."""
    epsilon = 1.0 - math.exp(-2.0 * KERNEL.omega)
    squared = sum((a - b) ** 2 for a, b in zip(u, other_u, strict=True))
    smooth = KERNEL.variance * math.exp(-squared / (2.0 * KERNEL.length**2))
    return float(smooth * (1.0 - epsilon) ** (abs(t - other_t) / 2.0))


def slow_covariance(times: Array, units: Array) -> Array:
    every = range(len(times))
    return np.array([[slow_kernel(times[i], units[i], times[j], units[j]) for j in every] for i in every])


def test_the_kernel_is_the_papers() -> None:
    times, units, _ = made_up(6)
    np.testing.assert_allclose(KERNEL(times, units, times, units), slow_covariance(times, units), rtol=1e-12)


def test_one_observation_has_the_closed_form() -> None:
    """mean = k y / (s^2 + noise), variance = s^2 - k^2 / (s^2 + noise)."""
    posterior = Posterior(KERNEL, np.array([1.0]), np.array([[0.2]]), np.array([3.0]))
    k = slow_kernel(2.0, np.array([0.5]), 1.0, np.array([0.2]))
    total = KERNEL.variance + KERNEL.noise
    assert posterior.mean(2.0, np.array([[0.5]]))[0] == pytest.approx(k * 3.0 / total)
    assert posterior.std(2.0, np.array([[0.5]]))[0] ** 2 == pytest.approx(KERNEL.variance - k * k / total)


def test_the_posterior_is_the_conditional_of_the_joint_normal() -> None:
    """By brute force: the joint covariance of data and points is inverted, and its blocks are read off."""
    times, units, targets = made_up(12)
    points = np.random.default_rng(1).random((5, 2))
    joint = slow_covariance(np.concatenate([times, np.full(5, 3.0)]), np.vstack([units, points]))
    joint[:12, :12] += KERNEL.noise * np.eye(12)
    precision = np.linalg.inv(joint)
    covariance = np.linalg.inv(precision[12:, 12:])
    posterior = Posterior(KERNEL, times, units, targets)
    np.testing.assert_allclose(posterior.mean(3.0, points)[0], -covariance @ precision[12:, :12] @ targets, rtol=1e-8)
    np.testing.assert_allclose(posterior.std(3.0, points)[0], np.sqrt(np.diag(covariance)), rtol=1e-8)


def test_far_in_time_nothing_is_known() -> None:
    times, units, targets = made_up(12)
    posterior = Posterior(KERNEL, times, units, targets)
    np.testing.assert_allclose(posterior.mean(1e4, units)[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(posterior.std(1e4, units)[0], math.sqrt(KERNEL.variance))


def test_the_likelihood_is_that_of_a_normal_and_its_gradient_is_right() -> None:
    times, units, targets = made_up(9)
    parameters = np.array([1.3, 0.6, 0.2, 0.07])
    value, gradient = negative_log_likelihood(parameters, times, units, targets)
    kernel = Kernel(*parameters.tolist())
    covariance = kernel(times, units, times, units) + 0.07 * np.eye(9)
    exact = -multivariate_normal(np.zeros(9), covariance).logpdf(targets) - 4.5 * math.log(2.0 * math.pi)
    assert value == pytest.approx(exact)
    for i in range(4):
        step = np.eye(4)[i] * 1e-6
        ends = [negative_log_likelihood(parameters + sign * step, times, units, targets)[0] for sign in (1, -1)]
        assert gradient[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_the_gradients_of_mean_and_std_are_right() -> None:
    times, units, targets = made_up(10, 3)
    posterior, point = Posterior(KERNEL, times, units, targets), np.array([[0.3, 0.6, 0.9]])
    for ask in (posterior.mean, posterior.std):
        gradient = ask(2.0, point)[1][0]
        for i in range(3):
            step = np.eye(3)[i] * 1e-6
            slope = (ask(2.0, point + step)[0] - ask(2.0, point - step)[0]) / 2e-6
            assert gradient[i] == pytest.approx(slope[0], rel=1e-5)


def test_the_fit_is_at_least_as_likely_as_every_start_and_a_coarse_grid() -> None:
    """The data are drawn from a known kernel; what is found lies within the bounds."""
    times, units, _ = made_up(40, seed=3)
    true = Kernel(1.0, 0.3, 0.05, 0.05)
    covariance = true(times, units, times, units) + true.noise * np.eye(40)
    targets = np.linalg.cholesky(covariance) @ np.random.default_rng(4).standard_normal(40)
    found = fit(times, units, targets, np.random.default_rng(0))
    values = np.array([found.variance, found.length, found.omega, found.noise])
    assert ((values >= LOWER) & (values <= UPPER)).all()
    likelihood = negative_log_likelihood(values, times, units, targets)[0]
    grid = np.stack(np.meshgrid([0.3, 1.0, 3.0], [0.1, 0.3, 1.0], [0.0, 0.05, 0.3], [1e-3, 0.05, 0.5]), -1).reshape(
        -1, 4
    )
    others = [negative_log_likelihood(point, times, units, targets)[0] for point in [BEGIN, *map(np.array, grid)]]
    assert likelihood <= min(others) + 1e-6


def test_equal_targets_and_equal_points_do_no_harm() -> None:
    """Constant gains are no information, coinciding points are no singularity."""
    times, units = np.zeros(8), np.tile([[0.25, 0.75]], (8, 1))
    kernel = fit(times, units, np.zeros(8), np.random.default_rng(0))
    mean, _ = Posterior(kernel, times, units, np.zeros(8)).mean(0.0, units)
    assert np.isfinite(mean).all()
    assert (mean == 0.0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_chosen_point_maximises_the_bound(seed: int) -> None:
    """Against a grid of 201 x 201 points."""
    times, units, targets = made_up(15, seed=seed)
    known = Posterior(KERNEL, times, units, targets)
    bound = UpperBound(known, known, 0.7, 5.0)
    chosen = bound.maximise(2, np.random.default_rng(seed))
    axis = np.linspace(0.0, 1.0, 201)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert ((chosen >= 0) & (chosen <= 1)).all()
    assert bound(chosen[None])[0][0] >= bound(grid)[0].max() - 1e-6


def test_a_pending_point_is_not_chosen_again() -> None:
    """It lowers the spread around it, and not the mean; so the next choice lies elsewhere."""
    times, units = np.zeros(2), np.array([[0.0], [1.0]])
    targets = np.array([-1.0, -1.0])
    known = Posterior(KERNEL, times, units, targets)
    first = UpperBound(known, known, 1.0, 0.0).maximise(1, np.random.default_rng(0))
    assert first[0] == pytest.approx(0.5, abs=1e-3)
    expected = Posterior(KERNEL, np.zeros(3), np.vstack([units, first]), np.zeros(3))
    second = UpperBound(known, expected, 1.0, 0.0).maximise(1, np.random.default_rng(0))
    assert abs(second[0] - first[0]) > 0.1
