"""CEM, iCEM and MPPI against a second implementation: plain NumPy, float64, no masks, no bounds.

It shares nothing with the planner but the standard normal numbers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from cartwheel.agents.pets import planner
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.plan_search import PlanState, init_plan
from hand_made import planner_hypers, with_shape

A = 2
SHAPE = with_shape(max_horizon=6, max_iterations=5, max_samples=24, sample_chunk=4)
SHAPE_CEM = dataclasses.replace(SHAPE, planner="cem")
SHAPE_MPPI = dataclasses.replace(SHAPE, planner="mppi")
TARGET = np.random.default_rng(1).uniform(-1.2, 1.2, (6, A))
Score = Callable[[np.ndarray], np.ndarray]


def draws(shape: PetsShape, key: Any, iteration: int) -> np.ndarray:
    """The normal numbers [S, H, A] of an iteration: addressed by iteration and chunk, drawn step by step."""
    sample_key, _ = random.split(random.fold_in(key, iteration))
    size = (shape.max_horizon, shape.sample_chunk, A)
    chunks = range(shape.padded_samples // shape.sample_chunk)
    if shape.planner == "cem":
        parts = [random.truncated_normal(random.fold_in(sample_key, c), -2.0, 2.0, size) for c in chunks]
    else:
        parts = [random.normal(random.fold_in(sample_key, c), size) for c in chunks]
    return np.concatenate([np.asarray(part, np.float64).swapaxes(0, 1) for part in parts])


def coloured(white: np.ndarray, exponent: float) -> np.ndarray:
    """Noise of power 1/frequency^exponent from white noise [S, H, A]: waves added up one by one."""
    length = white.shape[1]
    t = np.arange(length)
    waves, powers = [np.full(length, length**-0.5)], [1.0]
    for cycles in range(1, length // 2 + 1):
        for wave in (np.cos(2 * np.pi * cycles * t / length), np.sin(2 * np.pi * cycles * t / length)):
            if np.linalg.norm(wave) > 1e-9:
                waves.append(wave / np.linalg.norm(wave))
                powers.append(float(cycles) ** -exponent)
    scales = np.sqrt(np.asarray(powers) / np.mean(powers))
    return np.einsum("sja,jt->sta", white, np.asarray(waves) * scales[:, None])


def reference_cem(score: Score, mean: np.ndarray, hypers: dict[str, Any], key: Any) -> tuple[np.ndarray, int]:
    """The next mean [H, A] and the iterations taken (Chua et al. 2018, released code)."""
    horizon, num_samples = mean.shape[0], hypers["num_samples"]
    variance = np.full(mean.shape, hypers["initial_std"] ** 2)
    num_elites, alpha, taken = int(hypers["elite_ratio"] * num_samples), hypers["alpha"], 0
    while taken < hypers["num_iterations"] and variance.max() > hypers["min_variance"]:
        constrained = np.minimum(np.minimum(((mean + 1) / 2) ** 2, ((1 - mean) / 2) ** 2), variance)
        noise = draws(SHAPE_CEM, key, taken)[:num_samples, :horizon]
        samples = mean + np.sqrt(constrained) * noise
        elites = samples[np.argsort(-score(samples), kind="stable")][:num_elites]
        mean = alpha * mean + (1 - alpha) * elites.mean(axis=0)
        variance = alpha * variance + (1 - alpha) * elites.var(axis=0)
        taken += 1
    return mean, taken


def reference_icem(
    score: Score, mean: np.ndarray, kept: list[np.ndarray], hypers: dict[str, Any], key: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The next mean [H, A] and the kept elites (Pinneri et al. 2020)."""
    horizon, alpha = mean.shape[0], hypers["alpha"]
    num_elites = int(hypers["elite_ratio"] * hypers["num_samples"])
    std = np.full(mean.shape, float(hypers["initial_std"]))
    kept = kept[: int(hypers["shifted_elite_ratio"] * num_elites)]
    for i in range(hypers["num_iterations"]):
        num_samples = max(int(hypers["num_samples"] * hypers["sample_decay"] ** -i), 2 * num_elites)
        white = draws(SHAPE, key, i)[:num_samples, :horizon]
        samples = np.clip(mean + std * coloured(white, hypers["noise_exponent"]), -1, 1)
        for place, elite in enumerate(kept):
            samples[place] = elite
        if i == hypers["num_iterations"] - 1:
            samples[-1] = mean
        elites = samples[np.argsort(-score(samples), kind="stable")][:num_elites]
        mean = alpha * mean + (1 - alpha) * elites.mean(axis=0)
        std = alpha * std + (1 - alpha) * elites.std(axis=0)
        kept = list(elites[: int(hypers["kept_elite_ratio"] * num_elites)])
    return mean, list(elites)


def reference_mppi(score: Score, mean: np.ndarray, hypers: dict[str, Any], key: Any) -> np.ndarray:
    """The next mean [H, A] (Williams et al. 2017; noise as Nagabandi et al. 2019 filter it, at unit variance)."""
    horizon, num_samples, smoothing = mean.shape[0], hypers["num_samples"], hypers["noise_smoothing"]
    for i in range(hypers["num_iterations"]):
        white = draws(SHAPE_MPPI, key, i)[:num_samples, :horizon]
        noise, state = np.zeros_like(white), np.zeros_like(white[:, 0])
        for t in range(horizon):
            state = (1 - smoothing) * white[:, t] + smoothing * state
            noise[:, t] = state / ((1 - smoothing) * sum(smoothing ** (2 * j) for j in range(t + 1)) ** 0.5)
        samples = np.clip(mean + hypers["initial_std"] * noise, -1, 1)
        found = score(samples)
        lead = found.max() - np.sort(found)[::-1][num_samples // 2]
        weights = np.exp((found - found.max()) / (hypers["temperature"] * lead))
        mean = hypers["alpha"] * mean + (1 - hypers["alpha"]) * np.average(samples, axis=0, weights=weights)
    return mean


CEM = {
    "plan_horizon": 4,
    "num_iterations": 4,
    "num_samples": 21,
    "elite_ratio": 0.2,
    "alpha": 0.3,
    "initial_std": 0.4,
    "min_variance": 1e-3,
    "warm_start_fraction": 0.75,
    "tail_fraction": 0.5,
}
ICEM = {
    "plan_horizon": 5,
    "num_iterations": 4,
    "num_samples": 22,
    "elite_ratio": 0.2,
    "alpha": 0.3,
    "initial_std": 0.4,
    "noise_exponent": 1.5,
    "sample_decay": 1.3,
    "kept_elite_ratio": 0.5,
    "shifted_elite_ratio": 0.75,
}
MPPI = {
    "plan_horizon": 5,
    "num_iterations": 3,
    "num_samples": 21,
    "temperature": 0.4,
    "alpha": 0.2,
    "initial_std": 0.4,
    "noise_smoothing": 0.6,
    "warm_start_fraction": 0.9,
    "tail_fraction": 0.5,
}


def scores(samples: np.ndarray) -> np.ndarray:
    """Closeness to a target, of which some lies out of reach. Works for NumPy and JAX."""
    horizon = samples.shape[1]
    return -((samples - TARGET[None, :horizon].astype(samples.dtype)) ** 2).sum(axis=(1, 2))


def plan_twice(shape: PetsShape, hypers: dict[str, Any]) -> list[tuple[np.ndarray, PlanState]]:
    """Two env steps in a row, the second with the memory of the first: [(action, memory)]."""
    arrays, bounds = planner_hypers(shape.planner, **hypers), no_smaller_than_maxima(shape)

    def objective(_: Any) -> Callable[[jax.Array], jax.Array]:
        return lambda plans: scores(plans[:, : hypers["plan_horizon"]])

    @jax.jit
    def step(memory: PlanState, key: Any) -> Any:
        plan, after, score = planner.plan(objective, memory, arrays, bounds, shape, key)
        return plan[0], after, score

    memory, found = init_plan(shape, A), []
    for t in range(2):
        action, memory, _ = step(memory, random.key(t))
        found.append((np.asarray(action), memory))
    return found


def no_smaller_than_maxima(shape: PetsShape) -> planner.PlanBounds:
    """The bounds of a neighbour that uses everything there is."""
    chunks = np.full(shape.max_iterations, shape.padded_samples // shape.sample_chunk)
    return jax.tree.map(jnp.int32, planner.PlanBounds(shape.max_iterations, chunks, shape.max_horizon))


@pytest.mark.parametrize(("min_variance", "expected"), [(1e-3, 4), (0.07, 3)])
def test_cem_is_the_reference(min_variance: float, expected: int) -> None:
    """Sampling, cap at the bounds, elites, mixing of variances, early stop, warm start: as written plainly."""
    hypers = {**CEM, "min_variance": min_variance}
    found = plan_twice(SHAPE_CEM, hypers)
    mean = np.zeros((4, A))
    for t, (action, memory) in enumerate(found):
        mean, taken = reference_cem(scores, mean, hypers, random.key(t))
        assert t > 0 or taken == expected
        np.testing.assert_allclose(action, mean[0], atol=2e-5)
        mean = np.concatenate([mean[1:], 0.5 * mean[-1:]])
        np.testing.assert_allclose(memory.mean[:4], mean, atol=2e-5)
        mean = 0.75 * mean


def test_icem_is_the_reference() -> None:
    """Coloured noise, shrinking samples, kept elites, the mean as last sample, mixing of deviations, shift."""
    mean, kept = np.zeros((5, A)), list[np.ndarray]()
    for t, (action, memory) in enumerate(plan_twice(SHAPE, ICEM)):
        mean, kept = reference_icem(scores, mean, kept, ICEM, random.key(t))
        np.testing.assert_allclose(action, mean[0], atol=2e-5)
        mean, kept = np.concatenate([mean[1:], mean[-1:]]), [np.concatenate([k[1:], k[-1:]]) for k in kept]
        np.testing.assert_allclose(memory.mean[:5], mean, atol=2e-5)
        assert int(memory.num_elites) == len(kept) == 4
        np.testing.assert_allclose(memory.elites[:4, :5], kept, atol=2e-5)


def test_mppi_is_the_reference() -> None:
    """Filtered noise, clipping, softmax weights, mixing of means, warm start: all as written plainly."""
    mean = np.zeros((5, A))
    for t, (action, memory) in enumerate(plan_twice(SHAPE_MPPI, MPPI)):
        mean = reference_mppi(scores, mean, MPPI, random.key(t))
        np.testing.assert_allclose(action, mean[0], atol=2e-5)
        mean = np.concatenate([mean[1:], 0.5 * mean[-1:]])
        np.testing.assert_allclose(memory.mean[:5], mean, atol=2e-5)
        mean = 0.9 * mean


def test_reference_noise_is_what_it_claims() -> None:
    """The reference itself: waves are orthonormal, so exponent 0 gives back noise of the same size."""
    white = np.random.default_rng(0).normal(size=(3, 7, 2))
    np.testing.assert_allclose((coloured(white, 0.0) ** 2).sum(axis=1), (white**2).sum(axis=1))
