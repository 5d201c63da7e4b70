"""A file that Ray 2.60 wrote, and what its replay scheduler made of it: observed, in ``benchmarks/ray_agreement``."""

import json
from pathlib import Path
from typing import Any

import pytest

from cartwheel.schedules.ray_policies import RayPolicy, is_ray_policy
from cartwheel.schedules.schedule import Schedule

FILE = Path(__file__).parents[1] / "data" / "ray" / "pbt_policy_ab12_00001.txt"
NAMES = {"lr": "learning_rate", "epochs": "num_epochs", "env": "", "optim/decay": ""}

REPLAYED = (
    (7, {"learning_rate": 1.572485240186487e-05, "num_epochs": 1}),
    (12, {"learning_rate": 0.001191935493448239, "num_epochs": 1}),
    (16, {"learning_rate": 0.0014303225921378866, "num_epochs": 1}),
    (24, {"learning_rate": 0.0001230317349094023, "num_epochs": 16}),
)
"""(Last iteration, config) that ``PopulationBasedTrainingReplay`` of Ray 2.60 trained in 24 iterations."""


def row(copier: str, copied: str, iteration: Any, old: Any, new: Any) -> str:
    return json.dumps([copier, copied, 99, iteration, old, new]) + "\n"


def read(text: str, num_episodes: int = 20) -> list[tuple[int, Any]]:
    return [(p.stop, p.config) for p in RayPolicy.from_text(text, {}).schedule(num_episodes).pieces]


def test_what_ray_would_replay() -> None:
    """Iteration by iteration."""
    schedule = RayPolicy.from_text(FILE.read_text(encoding="utf-8"), NAMES).schedule(24)
    assert tuple((piece.stop, piece.config) for piece in schedule.pieces) == REPLAYED


@pytest.mark.parametrize("num_episodes", [1, 7, 8, 16, 17, 400])
def test_the_length_is_the_readers(num_episodes: int) -> None:
    """The file says when configs change and not when the training ended."""
    policy = RayPolicy.from_text(FILE.read_text(encoding="utf-8"), NAMES)
    schedule = policy.schedule(num_episodes)
    assert schedule.num_episodes == num_episodes
    whole = policy.schedule(400)
    assert all(schedule.config_at(e) == whole.config_at(e) for e in range(num_episodes + 1))


def test_what_a_copy_overwrote_does_not_count() -> None:
    """C copied B, which had copied A; what C itself had done before is gone, though its line is still there."""
    text = (
        row("C", "D", 2, {"x": 8}, {"x": 9})
        + row("B", "A", 4, {"x": 1}, {"x": 2})
        + row("C", "B", 6, {"x": 2}, {"x": 3})
    )
    assert read(text) == [(4, {"x": 1}), (6, {"x": 2}), (20, {"x": 3})]


def test_one_change_per_iteration_as_in_ray() -> None:
    """Its replay looks at one change per result, so what was logged too early waits for the next iteration."""
    text = (
        row("B", "A", 0, {"x": 1}, {"x": 2})
        + row("C", "B", 0, {"x": 2}, {"x": 3})
        + row("D", "C", 9, {"x": 3}, {"x": 4})
    )
    assert read(text) == [(1, {"x": 1}), (2, {"x": 2}), (9, {"x": 3}), (20, {"x": 4})]


def test_nested_names_are_joined() -> None:
    """As Ray joins them; without new names they stay."""
    text = row("B", "A", 4, {"loop": {"lr": 1.0, "on": True}}, {"loop": {"lr": 2.0, "on": True}})
    assert read(text) == [(4, {"loop/lr": 1.0, "loop/on": True}), (20, {"loop/lr": 2.0, "loop/on": True})]


def test_formats_are_told_apart() -> None:
    """By the first line."""
    text = FILE.read_text(encoding="utf-8")
    assert is_ray_policy(text)
    assert is_ray_policy("\n" + text)
    schedule = RayPolicy.from_text(text, NAMES).schedule(20)
    for other in (schedule.to_text(), '[{"plan_hor": 3}, {"plan_hor": 3}]', "[]", "[\n]", "", "{", "[" * 100_000):
        assert not is_ray_policy(other)
    assert Schedule.from_text(schedule.to_text()) == schedule


GOOD = row("B", "A", 4, {"x": 1}, {"x": 2})


@pytest.mark.parametrize(
    ("text", "names", "cause"),
    [
        ("\n", {}, "holds no line"),
        (GOOD + "[1, 2", {}, "line 2: not JSON"),
        (GOOD + "[1, 2]", {}, "line 2: must be a list of 6 entries"),
        (row("B", "A", -1, {}, {}), {}, "line 1: the fourth entry must be an iteration, got -1"),
        (row("B", "A", "4", {}, {}), {}, "line 1: the fourth entry must be an iteration, got '4'"),
        (row("B", "A", 4, 1, {}), {}, "line 1: must be two tags, two iterations and two configs"),
        (row("B", "A", 4, {"x": [1]}, {"x": [2]}), {}, "line 1: x must be a finite number"),
        (GOOD + row("C", "B", 5, {"x": 2}, {"y": 2}), {}, "line 2: has other hyperparameters"),
        (GOOD, {"xx": "y"}, "line 1: no hyperparameter 'xx': did you mean 'x'?|line 1: no hyperparameter 'xx'"),
        (
            row("B", "A", 4, {"x": 1, "y": 1}, {"x": 1, "y": 1}),
            {"x": "y"},
            "line 1: two hyperparameters get the same name",
        ),
        ('["B", "A", 9, 4, {"x": NaN}, {"x": 1}]', {}, "line 1: NaN is not a number"),
    ],
)
def test_bad_files_are_named_by_line(text: str, names: dict[str, str], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        RayPolicy.from_text(text, names)
