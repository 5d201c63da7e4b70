"""Schedules for other budgets: what is scaled, how it is rounded, and that the result says so wherever it goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.schedules.files import schedule_to_text
from cartwheel.schedules.scaling import scaled, scales_in_words
from cartwheel.schedules.schedule import Piece, Schedule

FOUND = Schedule(
    (
        Piece(0, 5, {"num_samples": 500, "alpha": 0.1, "planner": "cem"}),
        Piece(5, 10, {"num_samples": 252, "alpha": 0.1, "planner": "cem"}),
    )
)


def test_whole_numbers_are_rounded_and_nothing_else_changes() -> None:
    """500 and 252 samples at 48/500 are 48 and 24.192."""
    small = scaled(FOUND, {"num_samples": 48 / 500})
    assert [(p.stop, p.config["num_samples"]) for p in small.pieces] == [(5, 48), (10, 24)]
    assert all(p.config["alpha"] == 0.1 for p in small.pieces)
    assert scaled(FOUND, {"alpha": 0.25}).pieces[0].config["alpha"] == 0.025
    assert scaled(FOUND, {}) == FOUND


def test_halves_go_up_and_one_is_the_least() -> None:
    odd = Schedule((Piece(0, 1, {"num_samples": 5}),))
    assert scaled(odd, {"num_samples": 0.5}).pieces[0].config == {"num_samples": 3}
    assert scaled(odd, {"num_samples": 0.01}).pieces[0].config == {"num_samples": 1}


def test_pieces_that_become_equal_are_one() -> None:
    assert [p.stop for p in scaled(FOUND, {"num_samples": 0.001}).pieces] == [10]


def test_a_scaled_schedule_says_so() -> None:
    """Also after it was cut, read again from its file, and scaled once more; a format that cannot say it is refused."""
    small = scaled(FOUND, {"num_samples": 0.2}).first(7)
    again = Schedule.from_text(small.to_text())
    assert again == small
    assert again.scales == {"num_samples": 0.2}
    assert scales_in_words(again) == "num_samples x 0.2"
    assert scales_in_words(scaled(again, {"num_samples": 0.5, "alpha": 2.0})) == "num_samples x 0.1, alpha x 2"
    assert "scales" not in FOUND.to_text()
    with pytest.raises(ValueError, match="cannot say that values were scaled"):
        schedule_to_text(scaled(Schedule((Piece(0, 2, {"alpha": 0.1}),)), {"alpha": 2.0}), "aistats2021")


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ({"num_sample": 0.1}, "did you mean 'num_samples'"),
        ({"planner": 0.1}, "planner is 'cem', which cannot be scaled"),
        ({"num_samples": 0.0}, "positive and finite, got 0 for num_samples"),
        ({"num_samples": -1.0}, "positive and finite, got -1"),
        ({"alpha": float("inf")}, "positive and finite, got inf"),
        ({"num_samples": 1e308}, "num_samples 500 times 1e[+]308 is too large"),
    ],
)
def test_what_cannot_be_scaled_is_named(factors: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        scaled(FOUND, factors)


@pytest.mark.parametrize("scales", ['"x"', '{"alpha": "2"}', "[1]", '{"alpha": true}'])
def test_scales_of_a_file_are_numbers(scales: str) -> None:
    text = FOUND.to_text().replace('"pieces"', f'"scales": {scales}, "pieces"')
    with pytest.raises(ValueError, match="scales must be an object of numbers"):
        Schedule.from_text(text)


@given(st.integers(1, 10_000), st.floats(1e-3, 1e3))
def test_scaling_there_and_back_is_off_by_rounding_only(value: int, factor: float) -> None:
    schedule = Schedule((Piece(0, 1, {"num_samples": value}),))
    there = scaled(schedule, {"num_samples": factor}).pieces[0].config["num_samples"]
    assert isinstance(there, int)
    assert there == 1 or abs(there / factor - value) <= 0.5 / factor * (1 + 1e-9)
