"""A mistake in a task's formulas is named before anything runs."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from cartwheel.agents.pets.setup import make_setup
from cartwheel.envs.tasks import LINE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": lambda obs, action, after: float(obs[0])}, "reward cannot be computed with jax.numpy"),
        ({"reward": lambda obs, action, after: obs}, r"reward must give shape \(\), not \(2,\)"),
        ({"planner_reward": lambda obs, action, after: action}, r"planner_reward must give shape \(\), not \(1,\)"),
        ({"encode": lambda obs: np.sin(obs)}, "encode cannot be computed with jax.numpy"),
        ({"next_obs": lambda obs, prediction: prediction[:1]}, r"next_obs must give shape \(2,\), not \(1,\)"),
        ({"terminated": lambda after: after > 1.0}, r"terminated must give shape \(\), not \(2,\)"),
    ],
)
def test_a_formula_that_cannot_work_is_named(change: dict[str, Any], message: str) -> None:
    """Task id and formula stand in the message; nothing is compiled."""
    with pytest.raises(ValueError, match=rf"task 'line': {message}"):
        make_setup(dataclasses.replace(LINE, **change), {}, [], 1)
