"""Ablation paths on functions whose best order is known, and the schedules between default and found."""

from itertools import permutations

import pytest

from cartwheel.analysis.ablation import ablation_path, differing, mixed
from cartwheel.schedules.schedule import Piece, Schedule

DEFAULT = {"a": 1, "b": 2, "c": 3}
FOUND = Schedule((Piece(0, 2, {"a": 5, "b": 2, "c": 7}), Piece(2, 4, {"a": 6, "b": 2, "c": 7})))


def test_with_independent_gains_the_path_goes_from_the_largest_to_the_smallest() -> None:
    gains = {"a": 1.0, "b": 5.0, "c": -2.0}
    path = ablation_path(list(gains), lambda changed: sum(gains[name] for name in changed))
    assert [step.name for step in path] == ["b", "a", "c"]
    assert [step.score for step in path] == [5.0, 6.0, 4.0]
    assert [len(step.tried) for step in path] == [3, 2, 1]


def test_every_round_is_the_best_of_what_was_left() -> None:
    """Against brute force: of all orders, the path is the one whose scores come first in lexical order."""
    values = {frozenset(s): float(hash(("x", *sorted(s))) % 97) for k in range(4) for s in permutations("abc", k)}
    path = ablation_path("abc", values.__getitem__)
    best = max(tuple(values[frozenset(order[: k + 1])] for k in range(3)) for order in permutations("abc"))
    assert tuple(step.score for step in path) == best


def test_schedules_between_default_and_found() -> None:
    """All found is the schedule itself, none the default; what never leaves the default is not on the path."""
    assert differing(FOUND, DEFAULT) == ["a", "c"]
    assert mixed(FOUND, DEFAULT, ["a", "b", "c"]) == FOUND
    assert mixed(FOUND, DEFAULT, []).pieces == (Piece(0, 4, DEFAULT),)
    assert [piece.config for piece in mixed(FOUND, DEFAULT, ["a"]).pieces] == [{**DEFAULT, "a": 5}, {**DEFAULT, "a": 6}]


@pytest.mark.parametrize("names", [[], ["a"]])
def test_short_paths(names: list[str]) -> None:
    assert [step.name for step in ablation_path(names, lambda changed: 0.0)] == names
