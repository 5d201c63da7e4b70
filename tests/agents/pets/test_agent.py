"""The agent as a whole: its units. Its life is tested with the engine."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from hand_made import POSITION

LOW, HIGH = (-1.0, 2.0), (3.0, 2.5)
TASK = dataclasses.replace(POSITION, action_low=LOW, action_high=HIGH)


@pytest.mark.parametrize(("plan", "expected"), [(-1.0, LOW), (1.0, HIGH), (0.0, (1.0, 2.25))])
def test_plans_reach_exactly_from_bound_to_bound(plan: float, expected: tuple[float, float]) -> None:
    """-1 is the lower bound, 1 the upper one, 0 the middle, for one action and for many plans."""
    assert pets.to_env_units(TASK, jnp.full(2, plan, jnp.float32)).tolist() == list(expected)
    many = pets.to_env_units(TASK, jnp.full((3, 4, 2), plan, jnp.float32))
    assert np.array_equal(many, np.broadcast_to(np.asarray(expected, np.float32), (3, 4, 2)))
