"""The agent as a whole: its units, and what it says of its model. Its life is tested with the engine."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.buffer import Transitions
from cartwheel.agents.pets.hypers import PetsShape, hypers_from_configs
from cartwheel.agents.pets.model import predict
from cartwheel.agents.pets.planner import plan_bounds
from cartwheel.envs.tasks import LINE
from hand_made import POSITION, with_shape

LOW, HIGH = (-1.0, 2.0), (3.0, 2.5)
TASK = dataclasses.replace(POSITION, action_low=LOW, action_high=HIGH)


@pytest.mark.parametrize(("plan", "expected"), [(-1.0, LOW), (1.0, HIGH), (0.0, (1.0, 2.25))])
def test_plans_reach_exactly_from_bound_to_bound(plan: float, expected: tuple[float, float]) -> None:
    """-1 is the lower bound, 1 the upper one, 0 the middle, for one action and for many plans."""
    assert pets.to_env_units(TASK, jnp.full(2, plan, jnp.float32)).tolist() == list(expected)
    many = pets.to_env_units(TASK, jnp.full((3, 4, 2), plan, jnp.float32))
    assert np.array_equal(many, np.broadcast_to(np.asarray(expected, np.float32), (3, 4, 2)))


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
        return pets.act(POSITION, shape, sick, memory, one, bounds, obs, no, key)[0]

    assert float(action(1)[0]) != 0.0
    assert float(action(0)[0]) == 0.0  # no plan is any good, so the mean stays where it began


def test_unseen_nll_is_that_of_the_model_before_the_fit() -> None:
    """Rows are the episode's only; the density is scipy's, of every network's Gaussian on its own."""
    shape = PetsShape(num_networks=2, num_particles=2, num_layers=1, width=8, capacity=20)
    state = pets.init(LINE, shape, jax.random.key(3))
    rng = np.random.default_rng(0)
    obs, action, after = (rng.normal(size=(6, size)).astype(np.float32) for size in (2, 1, 2))
    length = 4
    found = pets.unseen_nll(LINE, shape, state, Transitions(*map(jnp.asarray, (obs, action, after))), jnp.int32(length))
    inputs = jnp.asarray(np.concatenate([obs, action], axis=1))
    mean, logvar = predict(state.weights, jnp.stack([inputs, inputs]))
    density = norm.logpdf((after - obs)[None], np.asarray(mean), np.exp(0.5 * np.asarray(logvar)))
    assert float(found) == pytest.approx(-density[:, :length].sum(axis=2).mean(), rel=1e-5)
