import math
import tomllib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Parameter, Space
from random_spaces import SPACES, floats, ints, listed

U = st.floats(0.0, 1.0)


@given(SPACES, st.integers(0, 2**32))
def test_samples_lie_in_the_space_and_are_plain(space: Space, seed: int) -> None:
    config = space.sample(np.random.default_rng(seed))
    space.check(config)
    assert {name: type(value) for name, value in config.items()}.keys() == space.default.keys()
    assert all(type(value) in (float, int, str, bool) for value in config.values())


@given(SPACES, st.data())
def test_decode_of_encode_is_the_config(space: Space, data: st.DataObject) -> None:
    """Exact for integers and choices, to rounding for real numbers."""
    config = space.decode(np.array([data.draw(U) for _ in space.names]))
    u = space.encode(config)
    assert ((u >= 0) & (u <= 1)).all()
    for name, value in space.decode(u).items():
        parameter = space.parameters[name]
        if isinstance(parameter, Float):
            assert abs(value - config[name]) <= 1e-9 * max(abs(parameter.low), abs(parameter.high))
        else:
            assert value == config[name]


@given(floats(), U, U)
def test_float_encoding_keeps_order(parameter: Float, a: float, b: float) -> None:
    assume(a <= b)
    assert parameter.decode(a) <= parameter.decode(b)


@given(st.integers(-50, 50), st.integers(1, 80))
def test_every_integer_round_trips_and_has_an_equal_share(low: int, width: int) -> None:
    parameter = Int(low, low + width, default=low, group="model")
    grid = (np.arange(100 * (width + 1)) + 0.5) / (100 * (width + 1))
    assert Counter(map(parameter.decode, grid.tolist())) == dict.fromkeys(range(low, low + width + 1), 100)
    for value in range(low, low + width + 1):
        assert parameter.decode(parameter.encode(value)) == value


@given(st.integers(1, 100), st.integers(1, 80))
def test_log_integers_share_by_the_logarithm_of_their_cell(low: int, width: int) -> None:
    parameter = Int(low, low + width, log=True, default=low, group="model")
    total = math.log((low + width + 0.5) / (low - 0.5))
    end = 0.0
    for value in range(low, low + width + 1):
        start, stop = parameter.cell(value)
        assert start == pytest.approx(end, abs=1e-12)
        assert stop - start == pytest.approx(math.log((value + 0.5) / (value - 0.5)) / total)
        assert parameter.decode(parameter.encode(value)) == value
        assert {parameter.decode(start + 1e-9), parameter.decode(stop - 1e-9)} == {value}
        end = stop
    assert end == 1.0


@given(st.one_of(ints(), listed()), U)
def test_cell_holds_all_that_decodes_to_the_value(parameter: Parameter, u: float) -> None:
    low, high = parameter.cell(parameter.decode(u))  # type: ignore[arg-type]
    assert low - 1e-9 <= u <= high + 1e-9


def test_log_is_log_in_u() -> None:
    parameter = Float(1e-5, 1e-1, log=True, default=1e-3, group="model")
    assert parameter.encode(1e-3) == pytest.approx(0.5)
    assert parameter.decode(0.25) == pytest.approx(1e-4)
    assert (parameter.decode(0.0), parameter.decode(1.0)) == (pytest.approx(1e-5), pytest.approx(1e-1))


def test_bounds_hold_at_the_ends_to_the_last_bit() -> None:
    parameter = Float(3e-5, 0.07, log=True, default=1e-3, group="model")
    assert parameter.decode(0.0) >= 3e-5
    assert parameter.decode(1.0) <= 0.07


SPACE = Space(
    {
        "rate": Float(1e-4, 1e-1, log=True, default=1e-3, group="model"),
        "horizon": Int(5, 40, default=25, group="planner"),
        "mode": Choice(("mean", "best"), default="mean", group="planner"),
    }
)


def test_clip_moves_to_the_nearest_value() -> None:
    assert SPACE.clip({"rate": 3, "horizon": 4.6, "mode": "best"}) == {"rate": 0.1, "horizon": 5, "mode": "best"}
    assert SPACE.clip({"rate": 1e-9, "horizon": 11.6, "mode": "best"}) == {"rate": 1e-4, "horizon": 12, "mode": "best"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 0.5}, "parameter 'rate': 0.5 is not between"),
        ({"rate": math.nan}, "parameter 'rate': the value must be a finite number"),
        ({"rate": True}, "parameter 'rate': the value must be a finite number"),
        ({"horizon": 12.0}, "parameter 'horizon': the value must be a whole number"),
        ({"mode": "men"}, "parameter 'mode': 'men' is not one of"),
        ({"horizn": 3}, "no parameter 'horizn' in the space: did you mean 'horizon'"),
    ],
)
def test_check_names_parameter_and_cause(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SPACE.check({**SPACE.default, **change})


def test_defaults_may_be_others() -> None:
    """Ranges stay; what is not named stays; types and ranges are held."""
    changed = SPACE.with_default({"horizon": 7, "mode": "best"})
    assert changed.default == {"rate": 1e-3, "horizon": 7, "mode": "best"}
    assert changed.with_default(SPACE.default) == SPACE
    with pytest.raises(ValueError, match="parameter 'horizon': default 41 is not between 5 and 40"):
        SPACE.with_default({"horizon": 41})
    with pytest.raises(ValueError, match="parameter 'mode': 'men' is not one of"):
        SPACE.with_default({"mode": "men"})
    with pytest.raises(ValueError, match="no parameter 'horizn' in the space: did you mean 'horizon'"):
        SPACE.with_default({"horizn": 7})


def test_choices_tell_true_from_one() -> None:
    choice = Choice((1, 2), default=1, group="model")
    choice.check(1)
    for alike in (True, 1.0):
        with pytest.raises(ValueError, match="is not one of 1, 2"):
            choice.check(alike)


def test_an_ordinal_keeps_the_order_of_its_values() -> None:
    widths = Ordinal((64, 128, 256, 512), default=128, group="model")
    assert [widths.decode(u) for u in (0.0, 0.3, 0.6, 1.0)] == [64, 128, 256, 512]
    assert [widths.neighbour(value, 1) for value in widths.values] == [128, 256, 512, 512]
    assert [widths.neighbour(value, -1) for value in widths.values] == [64, 64, 128, 256]
    with pytest.raises(ValueError, match="200 is not one of 64, 128"):
        widths.clip(200)
    assert widths != Choice(widths.values, default=128, group="model")


def test_static_parameters_are_known() -> None:
    space = Space({**SPACE.parameters, "width": Int(10, 20, default=10, group="model", is_static=True)})
    assert space.static_names == ("width",)
    assert SPACE.static_names == ()


def test_missing_values_are_named() -> None:
    with pytest.raises(ValueError, match="no value for horizon, mode"):
        SPACE.encode({"rate": 1e-3})


@pytest.mark.parametrize("u", [[0.5, 0.5], [0.5, 0.5, 1.1], [0.5, 0.5, math.nan]])
def test_decode_refuses_what_is_outside(u: list[float]) -> None:
    with pytest.raises(ValueError, match="3 coordinates between 0 and 1"):
        SPACE.decode(np.array(u))


def test_groups_and_names_select_in_the_order_of_the_space() -> None:
    assert SPACE.select("model").names == ("rate",)
    assert SPACE.select("planner").names == ("horizon", "mode")
    assert SPACE.select("joint") == SPACE
    assert SPACE.only(["mode", "rate"]).names == ("rate", "mode")
    with pytest.raises(ValueError, match="did you mean 'horizon'"):
        SPACE.only(["horison"])
    with pytest.raises(ValueError, match="did you mean 'planner'"):
        SPACE.select("planer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one parameter"):
        SPACE.select("model").select("planner")


def test_the_order_of_parameters_counts() -> None:
    backwards = Space(dict(reversed(SPACE.parameters.items())))
    assert backwards != SPACE
    assert Space(SPACE.parameters) == SPACE
    assert hash(Space(SPACE.parameters)) == hash(SPACE)


@given(SPACES)
def test_tables_round_trip(space: Space) -> None:
    assert Space.from_dict(space.to_dict()) == space


def test_a_toml_table_is_a_space() -> None:
    text = """
    plan_horizon = {low=5, high=40, kind="int", log=false, default=25, group="planner"}
    alpha = {low=0, high=0.4, kind="float", default=0.1, group="planner"}
    mode = {values=["mean", "best"], kind="choice", default="best", group="planner"}
    """
    space = Space.from_dict(tomllib.loads(text))
    assert space.default == {"plan_horizon": 25, "alpha": 0.1, "mode": "best"}
    assert type(space.parameters["alpha"].low) is float  # type: ignore[union-attr]


LETTERS = {"kind": "ordinal", "values": ["a", "b"], "default": "b", "group": "model"}
GOOD = {"kind": "float", "low": 1.0, "high": 2.0, "default": 1.5, "group": "model"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"low": 2.0}, "low 2.0 must be below high 2.0"),
        ({"low": "1"}, "low must be a finite number, got '1'"),
        ({"high": math.inf}, "high must be a finite number, got inf"),
        ({"high": True}, "high must be a finite number, got True"),
        ({"low": 0.0, "log": True}, "log needs low above 0, got 0.0"),
        ({"log": "yes"}, "log must be true or false, got 'yes'"),
        ({"default": 3.0}, "default 3.0 is not between 1.0 and 2.0"),
        ({"prior_std": 0}, "prior_std must be above 0 and at most 10, got 0"),
        ({"prior_std": "wide"}, "prior_std must be a finite number, got 'wide'"),
        ({"active_if": "icem"}, "active_if must be a table such as"),
        ({"active_if": {"planner": []}}, r"active_if must list values for each name, got \[\]"),
        ({"is_static": 1}, "is_static must be true or false, got 1"),
        ({"group": "modle"}, "group must be one of model, planner, got 'modle'"),
        ({"hgih": 3.0}, "unknown key 'hgih': did you mean 'high'"),
        ({"kind": "real"}, "kind must be one of float, int, choice, ordinal, got 'real'"),
        ({"kind": "int"}, "low must be a whole number, got 1.0"),
        ({"kind": "int", "low": 1, "high": 2**31, "default": 1}, "high 2147483648 does not fit into 32 bits"),
        ({"low": -1e308, "high": 1e308, "default": 0.0}, "too narrow or too wide"),
        ({"low": 1e300, "high": math.nextafter(1e300, 2e300), "default": 1e300, "log": True}, "too narrow or too wide"),
    ],
)
def test_a_bad_table_is_refused_with_parameter_and_cause(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match="^parameter 'x': .*" + cause):
        Space.from_dict({"x": {**GOOD, **change}})


@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ({key: value for key, value in GOOD.items() if key != "default"}, "missing key 'default'"),
        (3, "must be a table"),
        ({"kind": "choice", "values": ["a"], "default": "a", "group": "model"}, "at least two different"),
        ({"kind": "choice", "values": ["a", "a"], "default": "a", "group": "model"}, "at least two different"),
        ({"kind": "choice", "values": [["a"], ["b"]], "default": "a", "group": "model"}, "numbers, strings or boole"),
        ({"kind": "choice", "values": "ab", "default": "a", "group": "model"}, "must be a list"),
        ({"kind": "choice", "values": ["a", "b"], "default": "c", "group": "model"}, "'c' is not one of"),
        ({"kind": "choice", "values": ["a", "b"], "default": "b", "group": "x"}, "group must be one of"),
        ({**LETTERS, "weights": [1.0]}, "weights must be a list of 2 numbers, one per value"),
        ({**LETTERS, "weights": [1.0, 0.0]}, "weights must be above 0, .* leave out a value that is never drawn"),
        ({**LETTERS, "weights": [1e308, 1e308]}, "weights are too large"),
    ],
)
def test_a_bad_choice_or_no_table_is_refused(table: Any, cause: str) -> None:
    with pytest.raises(ValueError, match="^parameter 'x': .*" + cause):
        Space.from_dict({"x": table})


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one parameter"):
        Space.from_dict({})
