"""Hyperparameters: what is legal, what is derived from them, and an agent built from names and numbers."""

import dataclasses
import math
from fractions import Fraction
from typing import Any, get_args

import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets import hypers as lines
from cartwheel.agents.pets.hypers import CEM_HYPERS, ModelHypers, PetsShape, PlannerName
from cartwheel.agents.pets.setup import make_setup
from cartwheel.envs.tasks import LINE
from cartwheel.spaces.named import SPACES, get_space
from hand_made import planner_hypers


def names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_every_field_has_its_line() -> None:
    """The line of a hyperparameter and the field that holds its value go together, in the same order."""
    assert names(ModelHypers) == list(lines.MODEL_HYPERS)
    for planner in get_args(PlannerName):
        assert names(type(planner_hypers(planner))) == list(lines.PLANNER_HYPERS[planner])


@pytest.mark.parametrize("planner", get_args(PlannerName))
def test_defaults_are_legal(planner: PlannerName) -> None:
    """The default config passes its own check."""
    lines.check_config(lines.default_config(planner), planner)


@pytest.mark.parametrize("value", [-1, 2.5, math.nan, math.inf, -math.inf, "3", None, True, 1001])
def test_illegal_values_are_named(value: Any) -> None:
    """Whatever is wrong with a value, the message says which hyperparameter and what would be right."""
    with pytest.raises(ValueError, match=r"agent\.num_epochs: must be an integer in \[0, 1000\]"):
        lines.check_config({"num_epochs": value}, "icem")


def test_unknown_names_are_named() -> None:
    """A hyperparameter of another planner is not one of this planner."""
    with pytest.raises(ValueError, match=r"agent\.noise_exponent.*planner 'cem'"):
        lines.check_config({"noise_exponent": 1.0}, "cem")


@pytest.mark.parametrize("ratio", ["0.04", "0.05", "0.1", "0.15", "0.2", "0.29", "0.3", "0.35", "0.4", "0.5", "1.0"])
def test_elites_are_the_floor_of_ratio_times_samples(ratio: str) -> None:
    """floor(ratio * samples), at least one, as in exact arithmetic: 0.1 * 30 is 3 and 0.29 * 100 is 29."""
    samples = range(2, 701)
    host = planner_hypers("cem", elite_ratio=float(ratio))
    host = dataclasses.replace(host, num_samples=np.asarray(samples, np.int32), elite_ratio=np.float32(ratio))
    expected = [max(1, math.floor(Fraction(ratio) * n)) for n in samples]
    assert lines.num_elites(host, np).tolist() == expected


def test_icem_samples_shrink_to_twice_the_elites() -> None:
    """48, 38, 30, 24, ... samples, not below 2 * 12; CEM's stay the same."""
    icem = planner_hypers("icem", num_samples=48, elite_ratio=0.25, sample_decay=1.25)
    assert [int(lines.samples_at(icem, jnp.int32(i))) for i in range(6)] == [48, 38, 30, 24, 24, 24]
    cem = planner_hypers("cem", num_samples=48)
    assert [int(lines.samples_at(cem, jnp.int32(i))) for i in range(3)] == [48, 48, 48]


def test_particles_must_be_shared_out_evenly() -> None:
    """Trajectory sampling needs a multiple of the networks; under e there is nothing to share."""
    with pytest.raises(ValueError, match=r"agent\.num_particles: ts1 .* 7 must be a multiple of 5, the number of"):
        PetsShape(num_particles=7, propagation="ts1")
    assert PetsShape(num_particles=7, propagation="e").num_particles == 7
    with pytest.raises(ValueError, match="5 must be a multiple of 2, the number of networks that plan"):
        PetsShape(num_best_networks=2, holdout_ratio=0.1)


@pytest.mark.parametrize(
    ("networks", "particles"),
    [
        ({"num_networks": 1}, 5),
        ({"num_networks": 2}, 6),
        ({"num_networks": 3}, 6),
        ({"num_networks": 7}, 7),
        ({"num_networks": 7, "num_best_networks": 5}, 5),
        ({}, 5),
    ],
)
def test_particles_follow_the_networks(networks: dict[str, int], particles: int) -> None:
    """Where nobody sets them, particles are as many as usual, rounded up to a multiple of the networks that plan."""
    assert make_setup(LINE, networks, [], num_episodes=1).shape.num_particles == particles


def test_shapes_hash_whatever_their_lists_came_from() -> None:
    """A list of a file and a tuple are the same shape."""
    shapes = {PetsShape(layer_decays=decays) for decays in ([1, 2.5, 3], (1, 2.5, 3))}  # type: ignore[arg-type]
    assert len(shapes) == 1


def test_a_setup_covers_every_reachable_config() -> None:
    """Sizes are the largest of what can be reached, the buffer holds all episodes and the random one."""
    reachable = [{"plan_horizon": 7, "num_samples": 100}, {"plan_horizon": 31, "num_iterations": 6}]
    setup = make_setup(LINE, {"num_samples": 20, "width": 8}, reachable, num_episodes=9)
    shape = setup.shape
    assert (shape.max_horizon, shape.max_iterations, shape.max_samples, shape.width) == (31, 6, 100, 8)
    assert shape.capacity == 10 * LINE.episode_length
    assert setup.under({"alpha": 0.2}).base == {**setup.base, "alpha": 0.2}
    assert setup.base["num_samples"] == 20
    assert setup.base["num_epochs"] == LINE.defaults["num_epochs"]


@pytest.mark.parametrize("name", ["plan_horizon", "num_iterations", "num_samples"])
def test_a_config_beyond_the_program_is_refused(name: str) -> None:
    """A size that the compiled program does not cover would be cut silently: it is an error instead."""
    setup = make_setup(LINE, {}, [], num_episodes=1)
    value = setup.base[name]
    assert setup.under({name: value}).base[name] == value
    with pytest.raises(ValueError, match=rf"agent\.{name}: {value + 1} exceeds this agent's maximum {value}"):
        setup.under({name: value + 1})


def test_a_config_may_choose_the_shape() -> None:
    """Choices of shape in a config are not hyperparameters of the agent that they make."""
    setup = make_setup(LINE, {}, [{"width": 8, "num_samples": 200}], num_episodes=1)
    own = setup.under({"width": 8, "num_layers": 3, "alpha": 0.2})
    assert (own.shape.width, own.shape.num_layers, own.base["alpha"]) == (8, 3, 0.2)
    assert own.base.keys() == setup.base.keys()
    assert own.shape.max_samples == setup.shape.max_samples == 200
    assert setup.under({"num_networks": 2}).shape.num_particles == 6
    with pytest.raises(ValueError, match="num_particles"):
        setup.under({"num_networks": 2, "num_particles": 5})


def test_a_config_may_choose_the_planner() -> None:
    """Each planner takes its own hyperparameters of a space for both, and its own defaults for the others."""
    setup = make_setup(LINE, {}, [], num_episodes=1)
    config = {"planner": "cem", "noise_exponent": 1.0, "min_variance": 0.1, "num_samples": 9, "num_iterations": 2}
    cem, icem = setup.under(config), setup.under({**config, "planner": "icem"})
    assert (cem.shape.planner, icem.shape.planner) == ("cem", "icem")
    assert cem.base["min_variance"] == 0.1
    assert icem.base["noise_exponent"] == 1.0
    assert "noise_exponent" not in cem.base
    assert cem.base["alpha"] == CEM_HYPERS["alpha"].default
    with pytest.raises(ValueError, match="no_such_hyper"):
        setup.under({**config, "no_such_hyper": 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widht": 3}, r"agent\.widht: unknown; known: .*width"),
        ({"propagation": "ts2"}, r"agent\.propagation: must be one of tsinf, ts1, e, got 'ts2'"),
        ({"width": 0}, r"agent\.width: must be a positive integer, got 0"),
        ({"num_layers": True}, r"agent\.num_layers: must be a positive integer, got True"),
        ({"max_samples": 7}, r"agent\.max_samples: unknown"),
        ({"activation": "gelu"}, r"agent\.activation: must be one of swish, relu, tanh, sigmoid, got 'gelu'"),
        ({"optimizer": "lion"}, r"agent\.optimizer: must be one of adam, adadelta, adagrad, sgd, rmsprop, got"),
        ({"logvar_bounds": 3}, r"agent\.logvar_bounds: must be one of learned, fixed, got 3"),
        ({"is_probabilistic": 1}, r"agent\.is_probabilistic: must be true or false, got 1"),
        ({"layer_decays": 2.0}, r"agent\.layer_decays: must be a list of numbers, got 2\.0"),
        ({"layer_decays": [1, 2]}, r"agent\.layer_decays: must be 3 numbers, none negative, one for every"),
        ({"layer_decays": [1, 2, -1]}, r"agent\.layer_decays: must be 3 numbers, none negative"),
        ({"holdout_ratio": "0.1"}, r"agent\.holdout_ratio: must be a number, got '0\.1'"),
        ({"holdout_ratio": 0.9}, r"agent\.holdout_ratio: must be in \[0, 0\.5\], got 0\.9"),
        ({"patience": 0}, r"agent\.patience: must be a positive integer, got 0"),
        ({"num_best_networks": 6}, r"agent\.num_best_networks: must be in \[1, num_networks = 5\], got 6"),
        ({"sampling": "normal"}, r"agent\.sampling: must be one of truncated, clipped, got 'normal'"),
        ({"sampling": "clipped"}, r"agent\.sampling: not for planner 'icem', only for cem; leave it out"),
        ({"planner": "random-shooting", "executes": "mean"}, r"agent\.executes: not for planner 'random-shooting'"),
        ({"planner": "mppi", "elite_ratio": 0.1}, r"agent\.elite_ratio: unknown; known: .*temperature"),
        ({"learning_rate": 2.0}, r"agent\.learning_rate: must be a number in \[0, 1\], got 2\.0"),
    ],
)
def test_settings_that_make_no_agent_are_named(settings: dict[str, Any], message: str) -> None:
    """A study file's mistake is met with its name and what would be right."""
    with pytest.raises(ValueError, match=message):
        make_setup(LINE, settings, [], num_episodes=1)


@pytest.mark.parametrize(
    ("planner", "table", "expected"),
    [
        ("cem", {"num_samples": (20, 50), "num_iterations": (2, 4)}, 4 * 50),
        ("icem", {"num_samples": (20, 50), "sample_decay": (1.5, 1.5)}, 50 + 33 + 22),
        ("mppi", {"num_samples": (20, 50), "temperature": (0.01, 1.0), "num_iterations": (1, 2)}, 2 * 50),
        ("random-shooting", {"num_samples": (20, 50)}, 50),
    ],
)
def test_every_planner_can_be_tuned_in_a_space_of_its_own(planner: Any, table: Any, expected: int) -> None:
    """Own ranges become a program that covers their corners, and the cost of a config is counted as it is sampled."""
    corner_values = [{name: ends[end] for name, ends in table.items()} for end in (0, 1)]
    settings = {"planner": planner, "plan_horizon": 7, "num_samples": 20, "num_particles": 10}
    setup = make_setup(LINE, settings, corner_values, num_episodes=1)
    assert setup.shape.max_samples == 50
    assert setup.shape.max_iterations == {"cem": 5, "icem": 3, "mppi": 3, "random-shooting": 1}[planner]
    assert setup.network_evaluations(corner_values[1]) == expected * 10 * 7
    with pytest.raises(ValueError, match="num_samples: 51 exceeds this agent's maximum 50"):
        setup.under({"num_samples": 51})


@pytest.mark.parametrize("name", SPACES)
def test_every_named_space_fits_a_planner(name: str) -> None:
    """Its names are hyperparameters of that planner or choices; the small spaces' defaults are the planner's own."""
    planner: Any = {"small": "icem", "small-mppi": "mppi", "small-random-shooting": "random-shooting"}.get(name, "cem")
    space = get_space(name)
    setup = make_setup(LINE, {"planner": planner}, [space.default], num_episodes=1)
    chosen = setup.under(space.default)
    assert {**dataclasses.asdict(chosen.shape), **chosen.base}.items() >= space.default.items()
    if planner != "cem":
        assert lines.default_config(planner).items() >= space.default.items()
