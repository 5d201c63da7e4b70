"""Whatever is chosen, an agent trains: ten shapes, and for each twenty configs from all over the ranges."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fragile
from cartwheel.agents.pets.hypers import PetsShape, hyper_lines
from cartwheel.engines.engine import Engine, EpisodeJob
from hand_made import TINY, with_shape

SHAPES: dict[str, dict[str, Any]] = {
    "mbrl-lib": {
        "num_networks": 7,
        "num_best_networks": 5,
        "num_particles": 5,
        "logvar_bounds": "fixed",
        "holdout_ratio": 0.3,
        "propagation": "ts1",
        "planner": "cem",
    },
    "deterministic": {
        "is_probabilistic": False,
        "propagation": "e",
        "holdout_ratio": 0.5,
        "patience": 1,
        "optimizer": "sgd",
        "planner": "mppi",
    },
    "plain": {},
    "one-network": {"num_networks": 1, "num_particles": 3, "activation": "relu", "optimizer": "sgd", "planner": "cem"},
    "three-networks": {"num_networks": 3, "num_particles": 6, "activation": "tanh", "optimizer": "rmsprop"},
    "sigmoid": {"activation": "sigmoid", "optimizer": "adadelta", "planner": "mppi", "propagation": "ts1"},
    "decays": {"layer_decays": (1.0, 20.0), "optimizer": "adagrad", "planner": "random-shooting"},
    "without-noise": {"is_probabilistic": False, "planner": "cem", "sampling": "clipped", "executes": "best"},
    "deep": {"num_layers": 4, "width": 5, "layer_decays": (0.0, 1.0, 1.0, 2.0, 4.0), "temperature_unit": "return"}
    | {"planner": "mppi", "activation": "relu", "batch_size": 1},
    "one-particle": {"num_networks": 1, "num_particles": 1, "last_sample": "random", "batch_size": 64, "width": 1},
}
FAST = ("mbrl-lib", "deterministic")

RANGES = {
    # as far as any search space goes; farther out, a model may well diverge
    "learning_rate": (1e-5, 4e-2),
    "weight_decay": (1e-7, 1e-1),
    "num_epochs": (0, 8),
    "plan_horizon": (1, TINY.max_horizon),
    "num_iterations": (1, TINY.max_iterations),
    "num_samples": (2, TINY.max_samples),
}


def configs(shape: PetsShape) -> st.SearchStrategy[dict[str, Any]]:
    """A value for every hyperparameter of this planner: within these ranges, or anything legal."""
    values: dict[str, st.SearchStrategy[Any]] = {}
    for name, line in hyper_lines(shape.planner).items():
        low, high = RANGES.get(name, (line.low, line.high))
        values[name] = st.integers(int(low), int(high)) if line.is_int else st.floats(low, high)
    return st.fixed_dictionaries(values)


def train(choices: dict[str, Any], num_configs: int) -> None:
    """Two episodes under each config, a random one and a planned one."""
    shape = with_shape(**choices)
    with contextlib.closing(Engine(fragile.TASK, shape, 1)) as engine:

        @settings(max_examples=num_configs)
        @given(configs(shape))
        def lives(config: dict[str, Any]) -> None:
            engine.load(0, engine.fresh(("fuzz",)))
            for index in (0, 1):
                result = engine.run_episode({0: EpisodeJob(config, ("fuzz",), index, is_random=index == 0)})[0]
                assert not result.failure
                assert np.isfinite(result.episode.return_)
                assert np.isfinite(list(result.episode.metrics.values())).all()
                assert np.isfinite(result.transitions.action).all()

        lives()


@pytest.mark.parametrize("name", FAST)
def test_unusual_agents_train(name: str) -> None:
    """Under three configs each: no crash, and no number that is none."""
    train(SHAPES[name], 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_every_agent_trains_under_every_config(name: str) -> None:
    """Under twenty configs each."""
    train(SHAPES[name], 20)


def test_the_shapes_cover_the_choices() -> None:
    """Every value of every choice of the model is among them."""
    shapes = [with_shape(**choices) for choices in SHAPES.values()]
    for name, least in (("activation", 4), ("optimizer", 5), ("logvar_bounds", 2), ("planner", 4), ("propagation", 3)):
        assert len({getattr(shape, name) for shape in shapes}) == least
