"""Which parameters act, and that whatever does not act is at its default."""

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Parameter, Space
from cartwheel.tuners.populations.explore import Explore, Move
from cartwheel.tuners.populations.tabu import Tabu
from synthetic import RICH

PLANNER = Choice(("icem", "cem", "random"), default="cem", group="planner")
NOISE = Float(0.0, 4.0, default=2.0, group="planner", active_if={"planner": ("icem",)})
KEPT = Int(1, 5, default=2, group="planner", active_if={"planner": ("icem", "cem"), "size": (2, 4)})
DEEP = Choice(("a", "b"), default="a", group="model", active_if={"kept": (3, 4)})
SIZE = Ordinal((1, 2, 4), default=2, group="model")
SPACE = Space({"planner": PLANNER, "size": SIZE, "noise": NOISE, "kept": KEPT, "deep": DEEP})


def acts(planner: str, size: int, kept: int) -> set[str]:
    """By hand."""
    names = {"planner", "size"}
    names |= {"noise"} if planner == "icem" else set()
    names |= {"kept"} if planner in ("icem", "cem") and size in (2, 4) else set()
    return names | ({"deep"} if "kept" in names and kept in (3, 4) else set())


@pytest.mark.parametrize(("planner", "size", "kept"), list(product(PLANNER.values, SIZE.values, range(1, 6))))
def test_what_acts_follows_from_all_conditions_up_the_chain(planner: Any, size: Any, kept: int) -> None:
    """``deep`` acts with ``kept`` 3, but not if ``kept`` itself does not act."""
    config = {"planner": planner, "size": size, "noise": 1.0, "kept": kept, "deep": "b"}
    names = acts(planner, size, kept)
    assert SPACE.acting(config) == names
    settled = SPACE.clip(config)
    assert settled == {name: config[name] if name in names else SPACE.default[name] for name in config}
    assert SPACE.acting(settled) == names
    assert SPACE.clip(settled) == settled
    SPACE.check(settled)


@given(st.integers(0, 10**6), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_configs_that_behave_alike_are_equal(seed: int, u: list[float]) -> None:
    """Draws and decoded configs hold at its default what does not act."""
    for config in (SPACE.sample(np.random.default_rng(seed)), SPACE.decode(np.array(u))):
        assert config.keys() == SPACE.default.keys()
        assert SPACE.clip(config) == config


def test_a_value_that_does_not_act_is_refused_unless_it_is_the_default() -> None:
    with pytest.raises(ValueError, match=r"parameter 'noise': it does not act here, so it must be 2\.0, got 1\.0"):
        SPACE.check({**SPACE.default, "noise": 1.0})


def test_every_coordinate_of_what_does_not_act_decodes_to_the_same_config() -> None:
    low, high = SPACE.cells(SPACE.default)
    assert (low[2], high[2]) == (0.0, 1.0)
    assert SPACE.decode(np.array([0.5, 0.5, 0.9, 0.3, 0.9])) == SPACE.decode(np.array([0.5, 0.5, 0.1, 0.3, 0.2]))


def test_a_fixed_parent_decides_and_is_gone() -> None:
    icem = SPACE.select("planner", fixed={"planner": "icem", "size": 4})
    assert icem.names == ("noise", "kept")
    assert not any(parameter.active_if for parameter in icem.parameters.values())
    assert SPACE.select("planner", fixed={"planner": "cem", "size": 4}).names == ("kept",)
    with pytest.raises(ValueError, match="at least one parameter"):
        SPACE.select("planner", fixed={"planner": "random", "size": 4})


def test_the_conditions_of_a_fixed_parent_are_inherited() -> None:
    """Whether ``kept`` acts is still open, so whether ``deep`` does is too."""
    space = SPACE.select("joint", fixed={"kept": 3})
    assert space.parameters["deep"].active_if == {"planner": ("icem", "cem"), "size": (2, 4)}
    assert "deep" not in SPACE.select("joint", fixed={"kept": 1}).names


def test_a_parent_that_is_neither_selected_nor_fixed_is_named() -> None:
    with pytest.raises(ValueError, match="parameter 'kept': it depends on 'size': select that too, or fix its value"):
        SPACE.select("planner")
    assert SPACE.only(["planner", "noise"]).names == ("planner", "noise")


def conditional(condition: dict[str, Any], **changes: Any) -> dict[str, Parameter]:
    return {**SPACE.parameters, "last": dataclasses.replace(NOISE, active_if=condition, **changes)}


@pytest.mark.parametrize(
    ("parameters", "cause"),
    [
        (conditional({"planer": ("icem",)}), "no parameter 'planer' in the space: did you mean 'planner'"),
        (conditional({"last": (1.0,)}), "'last' must come before"),
        (conditional({"noise": (1.0,)}), "'noise' is a real number"),
        (conditional({"planner": ("mppi",)}), "'mppi' is not one of"),
        (conditional({"kept": (9,)}), "9 is not between 1 and 5"),
        (conditional({"planner": ("icem",)}, is_static=True), "'planner' must be static too"),
        (dict(reversed(SPACE.parameters.items())), "must come before"),
    ],
)
def test_conditions_that_cannot_be_decided_are_refused(parameters: dict[str, Parameter], cause: str) -> None:
    with pytest.raises(ValueError, match=f"^parameter '.*': active_if: .*{cause}"):
        Space(parameters)


def test_a_single_value_and_a_list_mean_the_same() -> None:
    table = {"kind": "float", "low": 0, "high": 4, "default": 2, "group": "planner"}
    planner = {"kind": "choice", "values": ["icem", "cem"], "default": "cem", "group": "planner"}
    one, same = ({"planner": planner, "noise": {**table, "active_if": {"planner": v}}} for v in ("icem", ["icem"]))
    assert Space.from_dict(one) == Space.from_dict(same)
    assert Space.from_dict(one).to_dict()["noise"]["active_if"] == {"planner": ["icem"]}


MOVES = st.sampled_from(["add", "multiply", "scale"])


@given(MOVES, st.integers(0, 10**6), st.sampled_from(["all", "each"]))
def test_explored_configs_hold_what_does_not_act_at_its_default(move: Move, seed: int, redraw: Any) -> None:
    rng = np.random.default_rng(seed)
    config = RICH.sample(rng)
    RICH.check(Explore(move, 0.3, 0.2, 0.5, redraw)(config, RICH, rng))
    RICH.check(Tabu(RICH, Explore(move, 0.3, 0.2, 0.5))("0.0", config, rng))  # type: ignore[arg-type]


@pytest.mark.parametrize("move", ["add", "multiply", "scale"])
def test_what_begins_to_act_is_drawn_from_its_prior(move: Move) -> None:
    """From a switch to iCEM on, noise is uniform: of some 400 draws a quarter of the range holds 100, within 35."""
    space = SPACE.only(["planner", "noise"])
    explore = Explore(move, 0.01, 0.0, 1.0)
    found = [explore({"planner": "cem", "noise": 2.0}, space, np.random.default_rng(seed)) for seed in range(800)]
    values = [float(config["noise"]) for config in found if config["planner"] == "icem"]
    assert {config["noise"] for config in found if config["planner"] != "icem"} == {2.0}
    quarters, _ = np.histogram(values, bins=4, range=(0.0, 4.0))
    assert quarters == pytest.approx([len(values) / 4] * 4, abs=35)


def test_what_goes_on_acting_moves_from_where_it_is() -> None:
    space = SPACE.only(["planner", "noise"])
    found = [
        Explore("multiply", 0.2, 0.0, 0.0)({"planner": "icem", "noise": 1.0}, space, np.random.default_rng(seed))
        for seed in range(20)
    ]
    assert {round(float(config["noise"]), 9) for config in found} == {0.8, 1.2}


def test_directions_are_of_what_acts() -> None:
    """Under CEM only size and kept have a direction: 4 of them, and then the prior."""
    tabu, rng = Tabu(SPACE.only(["planner", "size", "noise", "kept"]), Explore("add", 0.1, 0.0, 0.0)), np.random
    for _ in range(6):
        tabu("0.0", {"planner": "cem", "size": 2, "noise": 2.0, "kept": 3}, rng.default_rng(1))  # type: ignore[arg-type]
    assert tabu.state() == {"0.0": [0, 1, 2, 3]}
