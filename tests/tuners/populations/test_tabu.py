from collections import Counter

import numpy as np
import pytest

from cartwheel.records import segment_id
from cartwheel.spaces.space import Float, Ordinal, Space
from cartwheel.tuners.populations.explore import Explore, Move
from cartwheel.tuners.populations.tabu import Tabu, below, nth_unused
from synthetic import MIXED

A, B = segment_id(0, 1), segment_id(1, 1)


def floats(num: int) -> Space:
    return Space({f"p{k}": Float(0.0, 1.0, default=0.5, group="model") for k in range(num)})


def moves(space: Space, move: Move, num: int, seed: int = 0) -> list[tuple[float, ...]]:
    """Of the middle of the space, ``num`` times from the same checkpoint."""
    tabu = Tabu(space, Explore(move, 0.2, 0.0, 0.0))
    rng = np.random.default_rng(seed)
    return [tuple(float(v) for v in tabu(A, space.default, rng).values()) for _ in range(num)]


@pytest.mark.parametrize(("move", "values"), [("multiply", {0.4, 0.6}), ("add", {0.3, 0.7})])
def test_every_direction_is_taken_once(move: Move, values: set[float]) -> None:
    """All 2^5, and then the prior."""
    found = [tuple(round(v, 9) for v in moved) for moved in moves(floats(5), move, 33)]
    assert len(set(found[:32])) == 32
    assert {value for moved in found[:32] for value in moved} == values
    assert not set(found[32]) & values


def test_each_checkpoint_has_its_own_directions() -> None:
    space = floats(1)
    tabu, rng = Tabu(space, Explore("multiply", 0.2, 0.0, 0.0)), np.random.default_rng(0)
    found = {source: {round(tabu(source, space.default, rng)["p0"], 9) for _ in range(2)} for source in (A, B)}  # type: ignore[arg-type]
    assert found == {A: {0.4, 0.6}, B: {0.4, 0.6}}
    assert tabu.state() == {A: [0, 1], B: [0, 1]}


def test_directions_are_drawn_uniformly() -> None:
    """Of the 4 each is the first 100 times in 400: 63 to 137 is 4.3 standard deviations."""
    counts = Counter(moves(floats(2), "multiply", 1, seed)[0] for seed in range(400))
    assert len(counts) == 4
    assert all(63 <= count <= 137 for count in counts.values())


def test_redraws_use_no_direction_up() -> None:
    """At 0.25, 2000 draws give 500; 420 to 580 is 4 standard deviations."""
    space = floats(30)
    tabu, rng = Tabu(space, Explore("multiply", 0.2, 0.25, 0.0)), np.random.default_rng(1)
    for _ in range(2000):
        tabu(A, space.default, rng)
    assert 420 <= 2000 - len(tabu.state()[A]) <= 580


def test_a_hundred_parameters_are_no_matter() -> None:
    """2^100 directions: no list of them, and no two alike in 100 draws."""
    assert len(set(moves(floats(100), "multiply", 100))) == 100


def test_a_choice_has_no_direction() -> None:
    """Three of the four parameters have one: 8 directions. The choice stays, unless it switches with its own odds."""
    tabu, rng = Tabu(MIXED, Explore("multiply", 0.2, 0.0, 0.0)), np.random.default_rng(0)
    found = [tabu(A, MIXED.default, rng) for _ in range(8)]
    assert tabu.state() == {A: list(range(8))}
    assert {config["propagation"] for config in found} == {MIXED.default["propagation"]}
    switching = Tabu(MIXED, Explore("multiply", 0.2, 0.0, 1.0))
    assert switching(A, MIXED.default, rng)["propagation"] != MIXED.default["propagation"]


def test_an_ordinal_has_a_direction() -> None:
    space = Space({"size": Ordinal((1, 2, 4), default=2, group="model")})
    assert {move[0] for move in moves(space, "multiply", 2)} == {1.0, 4.0}


def test_none_changes_nothing() -> None:
    tabu = Tabu(MIXED, Explore("none", 0.2, 1.0, 1.0))
    assert tabu(A, MIXED.default, np.random.default_rng(0)) == MIXED.default
    assert tabu.state() == {}


def test_nth_unused_skips_what_is_used() -> None:
    used = {0, 2, 3, 7}
    assert [nth_unused(n, used) for n in range(6)] == [1, 4, 5, 6, 8, 9]


def test_below_reaches_everything_below() -> None:
    rng = np.random.default_rng(0)
    assert {below(5, rng) for _ in range(200)} == set(range(5))
    assert below(1, rng) == 0
    assert max(below(2**100, rng) for _ in range(50)) > 2**98
