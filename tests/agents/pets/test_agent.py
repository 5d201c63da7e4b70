"""The agent as a whole: its units, and what it says of its model. Its life is tested with the engine."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.hypers import hypers_from_configs
from cartwheel.agents.pets.planner import plan_bounds
from cartwheel.agents.pets.propagation import World
from hand_made import POSITION, with_shape

LOW, HIGH = (-1.0, 2.0), (3.0, 2.5)
TASK = dataclasses.replace(POSITION, action_low=LOW, action_high=HIGH)


@pytest.mark.parametrize(("plan", "expected"), [(-1.0, LOW), (1.0, HIGH), (0.0, (1.0, 2.25))])
def test_plans_reach_exactly_from_bound_to_bound(plan: float, expected: tuple[float, float]) -> None:
    """-1 is the lower bound, 1 the upper one, 0 the middle, for one action and for many plans."""
    assert pets.to_env_units(TASK, jnp.full(2, plan, jnp.float32)).tolist() == list(expected)
    many = pets.to_env_units(TASK, jnp.full((3, 4, 2), plan, jnp.float32))
    assert np.array_equal(many, np.broadcast_to(np.asarray(expected, np.float32), (3, 4, 2)))


def test_shrink_perturb_mixes_weights_and_keeps_what_was_seen() -> None:
    """w <- 0.2 w + 0.1 w'; bounds of the log-variance and the optimiser are new, normaliser and replay are old."""
    shape = with_shape()
    old, fresh = (pets.init(POSITION, shape, jax.random.key(seed)) for seed in (1, 2))
    seen = jax.tree.map(lambda leaf: leaf + jnp.ones((), leaf.dtype), old)
    mixed = pets.shrink_perturb(seen, fresh, 0.2, 0.1)
    for name in ("weights", "biases"):
        arrays = (getattr(state.weights, name) for state in (seen, fresh, mixed))
        for before, other, after in zip(*arrays, strict=True):
            assert after.dtype == before.dtype
            np.testing.assert_allclose(after, 0.2 * before + 0.1 * other, rtol=1e-6)
    assert eqx.tree_equal(mixed.weights.max_logvar, fresh.weights.max_logvar)
    assert eqx.tree_equal(mixed.weights.min_logvar, fresh.weights.min_logvar)
    assert eqx.tree_equal(mixed.optimizer, fresh.optimizer)
    assert eqx.tree_equal((mixed.normaliser, mixed.replay), (seen.normaliser, seen.replay))


def test_only_the_best_networks_plan() -> None:
    """Networks behind the best ones may predict what they like: the action is the same; a best one decides it."""
    shape = with_shape(num_best_networks=1, num_particles=2)
    hypers = hypers_from_configs([{"plan_horizon": 3, "num_iterations": 2, "num_samples": 8}], shape.planner)
    bounds = jax.tree.map(jnp.asarray, plan_bounds(hypers.planner, shape))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), hypers)
    state, memory = pets.init(POSITION, shape, jax.random.key(1)), pets.begin_episode(POSITION, shape)
    key, obs, no = jax.random.key(2), jnp.zeros(1, jnp.float32), jnp.zeros((), bool)

    @jax.jit
    def action(worst: int) -> jax.Array:
        weights = jax.tree.map(lambda leaf: leaf.at[worst].set(jnp.nan), state.weights.weights)
        sick = dataclasses.replace(state, weights=dataclasses.replace(state.weights, weights=weights))
        model = World(sick.weights, sick.normaliser)
        return pets.act(POSITION, shape, model, memory, one, bounds, obs, no, key)[0]

    assert float(action(1)[0]) != 0.0
    assert float(action(0)[0]) == 0.0  # no plan is any good, so the mean stays where it began
