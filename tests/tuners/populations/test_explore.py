import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Space
from cartwheel.tuners.populations.explore import Explore, Move, add, multiplied, multiply, reflected
from synthetic import MIXED

RATE = Space({"rate": Float(1e-5, 4e-2, log=True, default=1e-3, group="model")})
COARSE = Space({"iterations": Int(2, 4, default=3, group="planner"), "horizon": Int(5, 40, default=9, group="planner")})


@pytest.mark.parametrize(("sign", "rate"), [(1.0, 2.5119e-3), (-1.0, 3.9811e-4)])
def test_the_papers_learning_rate_moves_as_published(sign: float, rate: float) -> None:
    """1e-3 in [1e-5, 4e-2], logarithmic: u = 0.5552 becomes 0.6663 or 0.4442."""
    u = multiplied(RATE.encode({"rate": 1e-3}), np.array([sign]), 0.2)
    assert RATE.decode(u)["rate"] == pytest.approx(rate, rel=2e-5)


def test_multiply_takes_both_signs_and_no_other() -> None:
    moved = {round(float(multiply(RATE, {"rate": 1e-3}, 0.2, np.random.default_rng(seed))[0]), 6) for seed in range(20)}
    assert moved == {0.666285, 0.44419}


def test_multiply_is_clipped_above_and_stuck_at_zero() -> None:
    assert multiplied(np.array([0.9, 0.0]), np.array([1.0, 1.0]), 0.2).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("x", "expected"), [(0.3, 0.3), (1.2, 0.8), (-0.1, 0.1), (2.3, 0.3), (-1.4, 0.6), (-1e-18, 0.0), (1.0, 1.0)]
)
def test_steps_are_reflected_at_both_ends(x: float, expected: float) -> None:
    assert reflected(np.array([x]))[0] == pytest.approx(expected, abs=1e-15)


@given(st.sampled_from(["add", "multiply", "scale", "none"]), st.integers(0, 10**6), st.floats(0.01, 1.0))
def test_explored_configs_stay_in_the_space(move: Move, seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    explored = Explore(move, step, 0.2, 0.3)(MIXED.sample(rng), MIXED, rng)
    MIXED.check(explored)


def test_none_changes_nothing() -> None:
    config = MIXED.sample(np.random.default_rng(1))
    assert Explore("none", 0.2, 1.0, 1.0)(config, MIXED, np.random.default_rng(2)) == config


def test_a_redraw_replaces_all_values() -> None:
    config = {"learning_rate": 1e-5, "num_epochs": 20, "num_samples": 16, "propagation": "e"}
    always = [Explore("multiply", 0.2, 1.0, 0.0)(config, MIXED, np.random.default_rng(seed)) for seed in range(300)]
    assert len({explored["learning_rate"] for explored in always}) == 300
    assert {explored["num_epochs"] for explored in always} == set(range(1, 21))
    assert {explored["propagation"] for explored in always} == {"tsinf", "ts1", "e"}


def test_scale_multiplies_values_and_keeps_them_in_their_range() -> None:
    """1e-3 times 1.2 or 0.8; 5 becomes 6 or 4; 20 of at most 20 becomes 20 or 16; a choice is left alone."""
    config = {"learning_rate": 1e-3, "num_epochs": 5, "num_samples": 90, "propagation": "e"}
    found = [Explore("scale", 0.2, 0.0, 0.0)(config, MIXED, np.random.default_rng(seed)) for seed in range(100)]
    assert {float(f"{explored['learning_rate']:.6g}") for explored in found} == {1.2e-3, 0.8e-3}
    assert {explored["num_epochs"] for explored in found} == {4, 6}
    assert {explored["num_samples"] for explored in found} == {72, 96}
    assert {explored["propagation"] for explored in found} == {"e"}
    assert len({tuple(explored.values()) for explored in found}) == 8


def test_each_value_may_be_redrawn_on_its_own() -> None:
    """At 0.25 each of 4 is redrawn: of 400 configs 0.75^4 = 32% keep all values; 25% to 39% is 3 deviations."""
    explore = Explore("scale", 0.2, 0.25, 0.0, "each")
    config = {"learning_rate": 1e-3, "num_epochs": 5, "num_samples": 48, "propagation": "e"}
    found = [explore(config, MIXED, np.random.default_rng(seed)) for seed in range(400)]
    rates = [round(float(explored["learning_rate"]) / 1e-3, 6) in (0.8, 1.2) for explored in found]
    others = [explored["propagation"] == "e" for explored in found]
    assert 0.68 <= np.mean(rates) <= 0.82
    # a redrawn choice is the old one in a third of the cases
    assert 0.77 <= np.mean(others) <= 0.89
    assert any(rate and not other for rate, other in zip(rates, others, strict=True))


def test_redraws_are_as_frequent_as_set() -> None:
    """At 0.25, 1000 draws give 250; beyond 205 to 295 lies less than 1 in 900 by chance (3.3 standard deviations)."""
    values = [
        Explore("multiply", 0.2, 0.25, 0.0)({"rate": 1e-3}, RATE, np.random.default_rng(seed))["rate"]
        for seed in range(1000)
    ]
    redrawn = sum(min(abs(float(v) / 2.5119e-3 - 1), abs(float(v) / 3.9811e-4 - 1)) > 1e-3 for v in values)
    assert 205 <= redrawn <= 295


def test_choices_switch_with_their_own_probability_and_never_to_themselves() -> None:
    space = Space({"mode": Choice(("a", "b", "c"), default="a", group="model")})
    for move in ("add", "multiply"):
        seeds = range(300)
        never = {Explore(move, 1.0, 0.0, 0.0)({"mode": "a"}, space, np.random.default_rng(s))["mode"] for s in seeds}
        always = {Explore(move, 1.0, 0.0, 1.0)({"mode": "a"}, space, np.random.default_rng(s))["mode"] for s in seeds}
        assert never == {"a"}
        assert always == {"b", "c"}


SIZES = Space({"size": Ordinal((1, 2, 4, 8), default=2, group="model")})


@pytest.mark.parametrize("move", ["multiply", "scale"])
def test_an_ordinal_steps_to_a_neighbour_and_stays_at_an_end(move: Move) -> None:
    explore = Explore(move, 0.2, 0.0, 0.0)
    found = {
        size: {explore({"size": size}, SIZES, np.random.default_rng(seed))["size"] for seed in range(40)}
        for size in (1, 2, 4, 8)
    }
    assert found == {1: {1, 2}, 2: {1, 4}, 4: {2, 8}, 8: {4, 8}}


def test_additive_steps_move_an_ordinal_as_they_move_integers() -> None:
    places = Space({"size": Int(1, 4, default=2, group="model")})
    for seed in range(40):
        size = Explore("add", 0.2, 0.0, 0.0)({"size": 2}, SIZES, np.random.default_rng(seed))["size"]
        place = Explore("add", 0.2, 0.0, 0.0)({"size": 2}, places, np.random.default_rng(seed))["size"]
        assert (1, 2, 4, 8)[int(place) - 1] == size


def test_small_additive_steps_move_coarse_integers_at_times() -> None:
    """A step of 0.05 is a sixth of the cell of one of three values: from its middle it would hardly ever leave."""
    moved = [
        COARSE.decode(add(COARSE, {"iterations": 3, "horizon": 9}, 0.05, np.random.default_rng(seed)))["iterations"]
        for seed in range(2000)
    ]
    # expected share: 2 * 0.05 / sqrt(2 pi) / (1/3) = 0.12; 3.5 standard deviations of 2000 draws are 0.025
    assert np.mean([value != 3 for value in moved]) == pytest.approx(0.12, abs=0.025)
    assert {2, 4} <= set(moved)


def test_additive_steps_alone_leave_the_prior_as_it_is() -> None:
    """After 5 steps from the prior u is still uniform: mean 1/2, variance 1/12, and no integer is favoured.

    4000 lineages; each bound is about 4 standard errors.
    """
    explore, rng = Explore("add", 0.15, 0.0, 0.0), np.random.default_rng(5)
    space = Space({**MIXED.parameters, **COARSE.parameters})
    configs = [space.sample(rng) for _ in range(4000)]
    for _ in range(5):
        configs = [explore(config, space, rng) for config in configs]
    u = np.array([space.encode(config)[0] for config in configs])
    assert u.mean() == pytest.approx(0.5, abs=0.018)
    assert u.var() == pytest.approx(1 / 12, abs=0.005)
    shares = np.bincount([int(config["iterations"]) for config in configs])[2:] / 4000
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)


def test_multiplicative_steps_drift_down() -> None:
    """The known artefact that the additive step avoids."""
    explore, rng = Explore("multiply", 0.2, 0.0, 0.0), np.random.default_rng(5)
    configs = [RATE.sample(rng) for _ in range(1000)]
    for _ in range(5):
        configs = [explore(config, RATE, rng) for config in configs]
    assert np.mean([RATE.encode(config)[0] for config in configs]) < 0.46


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mul", 0.2, 0.1, 0.1), "explore must be one of add, multiply, scale, none"),
        (("add", 0.0, 0.1, 0.1), "step must be above 0"),
        (("add", 1.5, 0.1, 0.1), "step must be above 0 and at most 1"),
        (("add", 0.2, -0.1, 0.1), "redraw_probability must be between 0 and 1"),
        (("add", 0.2, 0.1, float("nan")), "choice_probability must be between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(arguments: tuple[Move, float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Explore(*arguments)
