"""The agent as a whole, where its parts meet: units and random actions. Its life is tested with the engine."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.hypers import PetsHypers, hypers_from_configs
from cartwheel.agents.pets.planner import no_bounds
from hand_made import POSITION, TINY, planner_hypers

LOW, HIGH = (-1.0, 2.0), (3.0, 2.5)
TASK = dataclasses.replace(POSITION, action_low=LOW, action_high=HIGH)


@pytest.mark.parametrize(("plan", "expected"), [(-1.0, LOW), (1.0, HIGH), (0.0, (1.0, 2.25))])
def test_plans_reach_exactly_from_bound_to_bound(plan: float, expected: tuple[float, float]) -> None:
    """-1 is the lower bound, 1 the upper one, 0 the middle, for one action and for many plans."""
    assert pets.to_env_units(TASK, jnp.full(2, plan, jnp.float32)).tolist() == list(expected)
    many = pets.to_env_units(TASK, jnp.full((3, 4, 2), plan, jnp.float32))
    assert np.array_equal(many, np.broadcast_to(np.asarray(expected, np.float32), (3, 4, 2)))


def test_random_actions_are_uniform_between_the_bounds() -> None:
    """The first episode's actions fill the whole range evenly, whatever the model says (false alarm 1e-6)."""
    state = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.nan) if leaf.dtype == jnp.float32 else leaf,
        pets.init(TASK, TINY, jax.random.key(0)),
    )
    model = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), hypers_from_configs([{}], "icem").model)
    act = functools.partial(pets.act, TASK, TINY, state, pets.begin_episode(TASK, TINY))
    hypers, bounds = PetsHypers(model, planner_hypers("icem")), jax.tree.map(jnp.asarray, no_bounds(TINY))

    def one(key: jax.Array) -> jax.Array:
        return act(hypers, bounds, jnp.zeros(1), jnp.asarray(True), key)[0]

    actions = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 3000)))
    for column, low, high in zip(actions.T, LOW, HIGH, strict=True):
        assert scipy.stats.kstest(column, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-6
