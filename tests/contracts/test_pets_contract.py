"""What anyone may rely on in a PETS agent's parts, whatever the sizes: propagation, returns, buffer, scaling, sampling.

The list is that of mbrl-lib's core tests (Pineda et al. 2021), written anew and tried at every size of a grid. Programs
are compiled once for each number of particles, with traced horizons.

    E networks   K particles   S plan samples   H plan horizon
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from cartwheel.agents.pets import buffer as buffers
from cartwheel.agents.pets import propagation
from cartwheel.agents.pets.buffer import Transitions
from cartwheel.agents.pets.fit import bootstrap
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import fit_normaliser, normalise
from cartwheel.agents.pets.plan_samplers import Turn
from cartwheel.agents.pets.plan_search import begin_warm, init_plan
from cartwheel.agents.pets.planner import METHODS
from hand_made import POSITION, constant_world, linear_world, planner_hypers, with_shape

MAX_HORIZON, NUM_SAMPLES = 9, 7
SIZES = range(1, 10)


def shape_of(propagation_name: Any, num_networks: int, num_particles: int) -> PetsShape:
    return with_shape(
        propagation=propagation_name,
        num_networks=num_networks,
        num_particles=num_particles,
        max_horizon=MAX_HORIZON,
    )


def ensemble_moves(shape: PetsShape, means: np.ndarray) -> np.ndarray:
    """Which prediction every particle got [H, K, S] from an ensemble whose network e predicts ``means[e]``."""
    world = constant_world(shape, means[:, None])
    luck = propagation.draw_luck(shape, 1, random.key(3))
    states = jnp.zeros((propagation.particles_per_sample(shape), NUM_SAMPLES, 1), jnp.float32)

    @jax.jit
    def all_steps() -> jax.Array:
        return jax.lax.map(
            lambda t: propagation.imagine(POSITION, shape, world, states, states, luck.at(t)).obs,
            jnp.arange(MAX_HORIZON),
        )

    return np.asarray(all_steps())[..., 0]


@pytest.mark.parametrize("num_networks", [1, 2, 3, 5])
@pytest.mark.parametrize("share", [1, 3])
def test_each_network_moves_exactly_its_share(num_networks: int, share: int) -> None:
    """At every step of every plan sample each network moves K/E particles: under tsinf the same ones, under ts1 others.

    Under e there is one particle, and it moves by the networks' average.
    """
    means = 2.0 ** np.arange(num_networks)
    for name in ("tsinf", "ts1"):
        found = ensemble_moves(shape_of(name, num_networks, share * num_networks), means)
        expected = np.repeat(means, share)[None, :, None]
        np.testing.assert_allclose(np.sort(found, axis=1), np.broadcast_to(expected, found.shape), rtol=1e-6)
        is_fixed = bool(np.all(np.abs(found - found[:1]) < 1e-3))
        assert is_fixed == (name == "tsinf" or num_networks == 1)
    found = ensemble_moves(shape_of("e", num_networks, share * num_networks), means)
    assert found.shape == (MAX_HORIZON, 1, NUM_SAMPLES)
    np.testing.assert_allclose(found, means.mean(), rtol=1e-6)


@functools.cache
def rolled(shape: PetsShape) -> Any:
    """Returns [S] of a deterministic integrator, for any plans, start, horizon and loop bound, in one program."""
    world, luck = linear_world(shape, [[0.0], [1.0]]), propagation.draw_luck(shape, 1, random.key(2))

    @jax.jit
    def returns(plans: jax.Array, start: jax.Array, horizon: jax.Array, bound: jax.Array) -> jax.Array:
        return propagation.plan_returns(POSITION, shape, world, start, plans, horizon, bound, luck)

    return returns


@pytest.mark.parametrize("num_particles", SIZES)
@pytest.mark.parametrize("name", ["tsinf", "ts1", "e"])
def test_an_integrators_return_is_exact(name: Any, num_particles: int) -> None:
    """x' = x + a with reward x': the sum of the running sums of the actions, for horizons from 1 to 9.

    With one network for every particle, where they are shared out at all. The loop's bound, as long as it covers the
    horizon, changes no bit.
    """
    shape = shape_of(name, num_particles, num_particles)
    plans = np.random.default_rng(num_particles).uniform(-1, 1, (NUM_SAMPLES, MAX_HORIZON, 1)).astype(np.float32)
    start = np.asarray([0.25], np.float32)
    positions = 0.25 + np.cumsum(plans[:, :, 0].astype(np.float64), axis=1)
    for horizon in SIZES:
        found = rolled(shape)(plans, start, np.int32(horizon), np.int32(MAX_HORIZON))
        np.testing.assert_allclose(found, positions[:, :horizon].sum(axis=1), rtol=1e-5, atol=1e-5)
        exactly = rolled(shape)(plans, start, np.int32(horizon), np.int32(horizon))
        assert np.array_equal(found, exactly)


def rows(first: int, length: int) -> Transitions:
    """Rows whose numbers are first, first + 1, ..."""
    numbers = jnp.arange(first, first + length, dtype=jnp.float32)[:, None]
    return Transitions(numbers, -numbers, numbers + 0.5)


def test_a_buffer_holds_every_row_in_order_up_to_its_last() -> None:
    """Episodes of every length fill a buffer to the brim: no row is lost, moved or overwritten.

    Ours does not wrap around: it is sized for the whole study, and the engine refuses an episode that would not fit.
    """
    append, capacity, longest = jax.jit(buffers.append), 45, 9
    for order in (list(SIZES), list(reversed(SIZES))):
        # room for the whole last episode, of which only a part may be real
        buffer, written = buffers.init_buffer(capacity + longest, POSITION), 0
        for length in order:
            buffer = append(buffer, rows(written, longest), jnp.int32(length))
            written += length
            assert int(buffer.num_rows) == written
        assert written == capacity
        found = np.asarray(buffer.rows.obs)[:capacity, 0]
        assert found.tolist() == list(range(capacity))
        assert np.array_equal(buffer.rows.action[:capacity, 0], -found)
        assert np.array_equal(buffer.rows.next_obs[:capacity, 0], found + 0.5)


def test_a_buffer_is_filled_exactly() -> None:
    """An episode that ends with the buffer's last row is written whole."""
    buffer = jax.jit(buffers.append)(buffers.init_buffer(9, POSITION), rows(0, 5), jnp.int32(5))
    buffer = jax.jit(buffers.append)(buffer, rows(5, 4), jnp.int32(4))
    assert np.asarray(buffer.rows.obs)[:, 0].tolist() == list(range(9))


def test_a_bootstrap_draws_each_networks_own_rows_with_replacement() -> None:
    """Only real rows; another draw for every network and key; on average 1 - 1/e of the rows are met at all."""
    resample = jax.jit(bootstrap, static_argnums=(1, 2))
    for num_rows in SIZES:
        drawn = np.asarray(resample(random.key(0), 5, 20, jnp.int32(num_rows), num_rows))
        assert drawn.shape == (5, 20)
        assert drawn.min() >= 0
        assert drawn.max() < num_rows
    drawn = np.asarray(resample(random.key(0), 5, 2000, jnp.int32(2000), 2000))
    met = [len(np.unique(network)) / 2000 for network in drawn]
    np.testing.assert_allclose(met, 1 - np.exp(-1), atol=0.05)  # standard error 0.007
    assert len({network.tobytes() for network in drawn}) == 5
    assert not np.array_equal(drawn, resample(random.key(1), 5, 2000, jnp.int32(2000), 2000))


@pytest.mark.parametrize("constant", [0.0, 1.0, -3e4, 1e-20, 12345.678])
def test_a_constant_dimension_is_shifted_and_not_scaled(constant: float) -> None:
    """It becomes 0; the others get mean 0 and deviation 1, and rows behind the last do not count."""
    rng = np.random.default_rng(0)
    inputs = np.stack([np.full(60, constant), rng.normal(5.0, 3.0, 60), rng.normal(-1e3, 1e-1, 60)], axis=1)
    inputs[50:] = np.nan
    fitted = jax.jit(fit_normaliser)(jnp.asarray(inputs, jnp.float32), jnp.arange(60) < 50)
    assert float(fitted.std[0]) == 1.0
    scaled = np.asarray(jax.jit(normalise)(fitted, jnp.asarray(inputs[:50], jnp.float32)), np.float64)
    assert not np.any(scaled[:, 0])
    np.testing.assert_allclose(scaled[:, 1:].mean(axis=0), 0.0, atol=2e-3)
    np.testing.assert_allclose(scaled[:, 1:].std(axis=0), 1.0, atol=2e-3)


@functools.cache
def truncated_samples(shape: PetsShape) -> Any:
    """Plans [C, H, A] of CEM around any mean, with any deviation."""
    hypers = planner_hypers("cem", plan_horizon=shape.max_horizon)

    @jax.jit
    def draw(mean: jax.Array, std: jax.Array, key: jax.Array) -> jax.Array:
        search = begin_warm(init_plan(shape, 3), dataclasses.replace(hypers, initial_std=std))
        search = search._replace(mean=jnp.broadcast_to(mean, search.mean.shape))
        turn = Turn(jnp.arange(shape.sample_chunk), jnp.int32(shape.sample_chunk), jnp.bool_(True), jnp.bool_(False))
        return METHODS["cem"].sampler(hypers, shape)(key, search, turn)

    return draw


@pytest.mark.parametrize("std", [1e-3, 0.5, 10.0])
def test_truncated_samples_keep_to_two_sigma_and_to_the_bounds(std: float) -> None:
    """Whatever the deviation and wherever the mean is, also on a bound."""
    shape = with_shape(planner="cem", sample_chunk=256, max_samples=256)
    for mean in np.linspace(-1.0, 1.0, 21):
        found = np.asarray(truncated_samples(shape)(jnp.float32(mean), jnp.float32(std), random.key(0)), np.float64)
        reach = min(2.0 * std, 1.0 - abs(mean))
        assert np.abs(found - np.float32(mean)).max() <= reach + 1e-6
        assert np.abs(found).max() <= 1.0 + 1e-6
        assert np.abs(found - np.float32(mean)).max() >= 0.95 * reach - 1e-6
