"""Trajectory sampling: which network moves which particle, with which noise, and what the rollout is worth."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cartwheel.agents.pets import propagation
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.propagation import World
from cartwheel.envs.tasks import Task
from hand_made import POSITION, constant_world, linear_world, with_shape

NUM_NETWORKS, NUM_PARTICLES, NUM_SAMPLES = 3, 12, 50
MEANS = np.asarray([[1.0], [10.0], [100.0]])
FALSE_ALARM = 1e-6
"""With fixed seeds these tests pass or fail for good; a correct program fails one of them with this probability."""


def ensemble_shape(**changes: Any) -> PetsShape:
    sizes = {"num_networks": NUM_NETWORKS, "num_particles": NUM_PARTICLES, "max_horizon": 9}
    return with_shape(**{**sizes, **changes})


def moves(shape: PetsShape, world: World, num_steps: int, num_samples: int = NUM_SAMPLES) -> np.ndarray:
    """By how much every particle moved at every step [T, K, S], and that no particle's state was lost on the way."""
    luck = propagation.draw_luck(shape, 1, jax.random.key(5))
    num_particles = propagation.particles_per_sample(shape)
    states = jnp.asarray(np.arange(num_particles * num_samples).reshape(num_particles, num_samples, 1), jnp.float32)
    actions = jnp.zeros((num_particles, num_samples, 1), jnp.float32)
    step = jax.jit(lambda states, t: propagation.imagine(POSITION, shape, world, states, actions, luck.at(t)).obs)
    found = []
    for t in range(num_steps):
        after = step(states, jnp.int32(t))
        found.append(np.asarray(after - states)[:, :, 0])
        states = after
    return np.stack(found)


def test_tsinf_gives_every_network_its_particles_and_keeps_them() -> None:
    """Under tsinf each network moves exactly K/E particles of every plan sample, the same ones at every step."""
    found = moves(ensemble_shape(propagation="tsinf"), constant_world(ensemble_shape(), MEANS), 4)
    assert np.array_equal(found, np.broadcast_to(found[:1, :, :1], found.shape))
    assert np.array_equal(np.sort(found[0, :, 0]), np.repeat([1.0, 10.0, 100.0], NUM_PARTICLES // NUM_NETWORKS))


def test_ts1_deals_anew_within_every_sample_and_step() -> None:
    """Under ts1 every step of every plan sample is a fresh deal, still K/E particles to each network."""
    found = moves(ensemble_shape(propagation="ts1"), constant_world(ensemble_shape(), MEANS), 6)
    dealt = np.sort(found, axis=1)
    assert np.array_equal(dealt, np.broadcast_to(np.repeat([1.0, 10.0, 100.0], 4)[None, :, None], dealt.shape))
    hands = {found[t, :, s].tobytes() for t in range(6) for s in range(NUM_SAMPLES)}
    # 300 hands out of 34,650: two or three coincide by chance
    assert len(hands) > 290


def test_ts1_particles_meet_all_networks_equally_often() -> None:
    """Over steps and samples, every particle stands at every network equally often (false alarm 1e-6)."""
    found = moves(ensemble_shape(propagation="ts1"), constant_world(ensemble_shape(), MEANS), 9, num_samples=200)
    counts = np.stack([(found == value).sum(axis=(0, 2)) for value in (1.0, 10.0, 100.0)])  # [E, K]
    assert scipy.stats.chi2_contingency(counts).pvalue > FALSE_ALARM


def test_deals_are_uniform_permutations() -> None:
    """All permutations of three particles are equally likely (chi-squared, false alarm 1e-6)."""
    hands = np.asarray(propagation.deal(jax.random.key(0), 3, 6000))
    assert np.array_equal(np.sort(hands, axis=0), np.repeat(np.arange(3)[:, None], 6000, axis=1))
    _, counts = np.unique(hands.T, axis=0, return_counts=True)
    assert len(counts) == 6
    assert scipy.stats.chisquare(counts).pvalue > FALSE_ALARM


def test_e_moves_one_particle_by_the_mean_of_means() -> None:
    """Under e there is one particle and no noise, however unsure the networks are."""
    shape = ensemble_shape(propagation="e")
    found = moves(shape, constant_world(shape, MEANS, log_std=1.0), 3)
    assert found.shape == (3, 1, NUM_SAMPLES)
    np.testing.assert_allclose(found, 37.0, rtol=1e-6)


@pytest.mark.parametrize("name", ["tsinf", "ts1", "e"])
def test_every_particle_is_moved_from_where_it_is(name: Any) -> None:
    """Dealing particles to networks and back gives each its own prediction: here its position, so it doubles."""
    shape = ensemble_shape(propagation=name)
    luck = propagation.draw_luck(shape, 1, jax.random.key(5)).at(jnp.int32(0))
    positions = jnp.arange(1.0, propagation.particles_per_sample(shape) * 7 + 1, dtype=jnp.float32).reshape(-1, 7, 1)
    world = linear_world(shape, [[1.0], [0.0]])
    imagine = jax.jit(lambda states: propagation.imagine(POSITION, shape, world, states, 0.0 * states, luck).obs)
    found = imagine(positions)
    np.testing.assert_allclose(found, 2.0 * positions, rtol=1e-5)


@pytest.mark.parametrize("name", ["tsinf", "ts1"])
def test_noise_is_each_networks_own_spread(name: Any) -> None:
    """A particle moves by its network's mean plus its network's std times its own draw, shared by all samples."""
    shape = ensemble_shape(propagation=name)
    world = constant_world(shape, np.zeros((NUM_NETWORKS, 1)), log_std=float(np.log(0.5)))
    found = moves(shape, world, 2)
    noise = np.asarray(propagation.draw_luck(shape, 1, jax.random.key(5)).noise)[:2, :, :1]
    np.testing.assert_allclose(found, np.broadcast_to(0.5 * noise, found.shape), rtol=1e-3, atol=1e-4)


def returns(task: Task, shape: PetsShape, world: World, actions: np.ndarray, horizons: range, obs: float) -> np.ndarray:
    """Returns [len(horizons), S]; the loop always runs to the maximum, as it does beside a neighbour."""
    luck = propagation.draw_luck(shape, 1, jax.random.key(2))

    @jax.jit
    def rolled(horizon: jax.Array) -> jax.Array:
        start = jnp.full((1,), obs, jnp.float32)
        plans = jnp.asarray(actions, jnp.float32)
        return propagation.plan_returns(task, shape, world, start, plans, horizon, jnp.int32(shape.max_horizon), luck)

    return np.stack([rolled(jnp.int32(horizon)) for horizon in horizons])


@pytest.mark.parametrize(
    ("name", "num_networks", "num_particles"), [("tsinf", 2, 2), ("tsinf", 3, 6), ("ts1", 2, 4), ("e", 5, 1)]
)
def test_returns_of_an_exact_model_are_exact(name: Any, num_networks: int, num_particles: int) -> None:
    """With an integrator as its model, a plan is worth its sum of positions, for every horizon from 1 to 9."""
    shape = ensemble_shape(propagation=name, num_networks=num_networks, num_particles=num_particles)
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 9, 1))
    found = returns(POSITION, shape, linear_world(shape, [[0.0], [1.0]]), actions, range(1, 10), obs=0.25)
    positions = 0.25 + np.cumsum(actions[:, :, 0], axis=1)
    np.testing.assert_allclose(found, np.cumsum(positions, axis=1).T, rtol=1e-5, atol=1e-5)


def test_nothing_is_earned_after_termination() -> None:
    """The step that ends the episode still pays; later ones do not, also where the horizon is longer."""
    shape = ensemble_shape()
    task = dataclasses.replace(
        POSITION,
        reward=lambda obs, action, next_obs: jnp.ones(()) + 0.0 * next_obs[0],
        terminated=lambda next_obs: next_obs[0] > 2.5,
    )
    actions = np.stack([np.ones((9, 1)), np.full((9, 1), 0.5), np.zeros((9, 1))])  # past 2.5 after 3, 6, never
    found = returns(task, shape, linear_world(shape, [[0.0], [1.0]]), actions, range(1, 10), obs=0.0)
    assert found.tolist() == [[min(h, 3), min(h, 6), h] for h in range(1, 10)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_plan_that_leaves_the_numbers_returns_minus_infinity(value: float) -> None:
    """One particle that is not finite spoils its plan, even if the reward does not look at it; no other plan."""
    shape = ensemble_shape(num_networks=2, num_particles=2)
    world = linear_world(shape, [[0.0], [1.0]])
    breaks = dataclasses.replace(POSITION, next_obs=lambda obs, step: jnp.where(step > 0.9, value, obs + step))
    careless = dataclasses.replace(breaks, reward=lambda obs, action, next_obs: action[0])
    actions = np.full((2, 9, 1), 0.1)
    actions[1, 3] = 1.0
    found = returns(careless, shape, world, actions, range(1, 10), obs=0.0)
    assert np.all(np.isfinite(found[:, 0]))
    assert np.all(np.isfinite(found[:3, 1]))  # what happens behind the horizon does not matter
    assert np.all(found[3:, 1] == -np.inf)


def test_each_propagation_imagines_differently(key: Any) -> None:
    """Choosing tsinf, ts1 or e changes what plans are worth, and so does the number of particles."""
    from cartwheel.agents.pets.model import init_ensemble, init_normaliser

    base = ensemble_shape(num_networks=2, num_particles=2)
    world = World(init_ensemble(key, 2, 1, base), init_normaliser(2))
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 9, 1))
    choices = [{"propagation": "tsinf"}, {"propagation": "ts1"}, {"propagation": "e"}, {"num_particles": 4}]
    shapes = [dataclasses.replace(base, **choice) for choice in choices]
    found = [returns(POSITION, shape, world, actions, range(9, 10), obs=0.0) for shape in shapes]
    assert len({values.tobytes() for values in found}) == len(choices)
