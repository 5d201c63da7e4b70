import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import Config
from cartwheel.schedules.fitting import FitError, average, simplify
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spaces.space import Choice, Float, Int, Space

LINE = Space({"x": Float(0.0, 1.0, default=0.5, group="model")})
MODES = Space({"mode": Choice(("a", "b", "c"), default="a", group="model"), **LINE.parameters})


def schedule(*rows: tuple[int, Config]) -> Schedule:
    """Rows of (stop, config)."""
    starts = [0, *(stop for stop, _ in rows)]
    return Schedule(tuple(Piece(start, stop, config) for start, (stop, config) in zip(starts, rows, strict=False)))


def of_line(*values: float) -> Schedule:
    return schedule(*((i + 1, {"x": value}) for i, value in enumerate(values)))


def test_the_mean_of_every_episode() -> None:
    one = schedule((2, {"rate": 1e-3, "horizon": 10, "mode": "a"}), (4, {"rate": 1e-4, "horizon": 11, "mode": "b"}))
    two = schedule((3, {"rate": 3e-3, "horizon": 13, "mode": "b"}), (4, {"rate": 4e-4, "horizon": 12, "mode": "b"}))
    assert average([one, two]) == schedule(
        (2, {"rate": 2e-3, "horizon": 12, "mode": "a"}),
        (3, {"rate": (1e-4 + 3e-3) / 2, "horizon": 12, "mode": "b"}),
        (4, {"rate": 2.5e-4, "horizon": 12, "mode": "b"}),
    )


def test_past_the_end_of_one_the_others_count() -> None:
    assert average([of_line(0.0), of_line(1.0, 0.7)]) == of_line(0.5, 0.7)


def test_whole_numbers_stay_whole_and_halves_go_up() -> None:
    means = [average([schedule((1, {"n": n})) for n in ns]).config_at(1)["n"] for ns in ([1, 2], [2, 3], [-1, -2])]
    assert means == [2, 3, -1]
    assert all(type(mean) is int for mean in means)


def test_switches_are_voted_on() -> None:
    assert average([schedule((1, {"on": on})) for on in (True, False, False)]).config_at(1) == {"on": False}


def test_the_average_of_one_is_itself_and_of_none_an_error() -> None:
    assert average([of_line(0.1, 0.2)]) == of_line(0.1, 0.2)
    with pytest.raises(ValueError, match="at least one schedule"):
        average([])


def test_two_levels_are_found_and_the_error_is_stated() -> None:
    """0.1 0.3 | 0.8 0.9 1.0: means 0.2 and 0.9, squares 0.01 + 0.01 + 0.01 + 0 + 0.01 over 5 episodes."""
    simple = simplify(of_line(0.1, 0.3, 0.8, 0.9, 1.0), LINE, 2)
    found = [(piece.start, piece.stop, round(float(piece.config["x"]), 9)) for piece in simple.schedule.pieces]
    assert found == [(0, 2, 0.2), (2, 5, 0.9)]
    assert simple.rms_error == pytest.approx((0.04 / 5) ** 0.5)


def test_long_pieces_weigh_more() -> None:
    simple = simplify(schedule((9, {"x": 0.0}), (10, {"x": 1.0})), LINE, 1)
    assert simple.schedule.config_at(1)["x"] == pytest.approx(0.1)


def test_few_pieces_are_returned_as_they_are() -> None:
    found = of_line(0.1, 0.7, 0.3)
    assert simplify(found, LINE, 3).schedule is found
    assert simplify(found, LINE, 3).rms_error == 0.0


def test_choices_are_voted_on_and_count_in_the_error() -> None:
    """One of four episodes has another mode: a distance of 1 in one of 8 coordinates."""
    modes = schedule(*((i + 1, {"mode": mode, "x": 0.5}) for i, mode in enumerate("aaba")))
    simple = simplify(modes, MODES, 1)
    assert simple.schedule.config_at(1) == {"mode": "a", "x": 0.5}
    assert simple.rms_error == pytest.approx((1 / 8) ** 0.5)


def test_the_error_counts_the_rounding_of_whole_numbers() -> None:
    space = Space({"n": Int(0, 9, default=0, group="model")})
    simple = simplify(schedule((1, {"n": 1}), (2, {"n": 2})), space, 1)
    assert simple.schedule.config_at(1) == {"n": 2}
    assert simple.rms_error == pytest.approx((0.1**2 / 2) ** 0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(1, 4))
def test_no_cut_into_as_many_pieces_is_nearer(values: list[float], num_pieces: int) -> None:
    """Against all of them."""
    simple = simplify(of_line(*values), LINE, num_pieces)
    assert len(simple.schedule.pieces) <= num_pieces

    def error(cuts: tuple[int, ...]) -> float:
        parts = np.split(np.array(values), cuts)
        return sum(float(((part - part.mean()) ** 2).sum()) for part in parts)

    least = min(error(cuts) for cuts in itertools.combinations(range(1, len(values)), min(num_pieces, len(values)) - 1))
    assert simple.rms_error == pytest.approx((least / len(values)) ** 0.5, abs=1e-7)


def test_no_pieces_are_refused() -> None:
    with pytest.raises(ValueError, match="num_pieces must be at least 1, got 0"):
        simplify(of_line(0.1), LINE, 0)


def test_the_error_is_stated_for_each_parameter() -> None:
    """x: 0.1 0.3 | 0.8 0.9 1.0 becomes 0.2 | 0.9; the mode of one in five episodes is voted down."""
    rows = zip("aabcc", (0.1, 0.3, 0.8, 0.9, 1.0), strict=True)
    found = schedule(*((i + 1, {"mode": mode, "x": x}) for i, (mode, x) in enumerate(rows)))
    simple = simplify(found, MODES, 2)
    assert simple.stops == (2, 5)
    assert simple.errors["mode"] == FitError(mean=pytest.approx(1 / 5), largest=pytest.approx(1.0))
    assert simple.errors["x"] == FitError(mean=pytest.approx(0.4 / 5), largest=pytest.approx(0.1))
    assert simple.rms_error == pytest.approx(((1.0 + 0.04) / (5 * 2)) ** 0.5)


RATE = Space({"rate": Float(1e-5, 1e-1, log=True, default=1e-3, group="model")})


def test_a_decay_and_a_plateau_are_two_lines() -> None:
    """In the logarithm; nothing is left over."""
    values = [10 ** (-1 - 0.5 * episode) for episode in range(5)] + [1e-4] * 4
    simple = simplify(schedule(*((i + 1, {"rate": v}) for i, v in enumerate(values))), RATE, 2, "linear")
    assert [simple.schedule.config_at(i + 1)["rate"] for i in range(9)] == pytest.approx(values)
    assert simple.errors["rate"].largest == pytest.approx(0.0, abs=1e-12)


def test_stairs_become_their_line_of_least_squares() -> None:
    """Worked out by NumPy's polynomial fit."""
    values = [0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9]
    simple = simplify(of_line(*values), LINE, 1, "linear")
    line = np.polynomial.Polynomial.fit(np.arange(12), values, 1)(np.arange(12))
    assert [simple.schedule.config_at(i + 1)["x"] for i in range(12)] == pytest.approx(np.clip(line, 0, 1))
    assert simple.stops == (12,)


def test_lines_may_part_inside_a_piece_of_the_original() -> None:
    """Up and down again: the top is one piece of the original, and half of it belongs to either line."""
    simple = simplify(of_line(0.0, 0.25, 0.5, 0.5, 0.25, 0.0), LINE, 2, "linear")
    assert simple.stops == (3, 6)
    assert simple.rms_error == pytest.approx(0.0, abs=1e-12)


def test_lines_round_whole_numbers_and_vote_on_choices() -> None:
    space = Space({"n": Int(0, 9, default=0, group="model"), "mode": MODES.parameters["mode"]})
    rows = [(0, "a"), (3, "a"), (3, "b"), (9, "a")]
    found = schedule(*((i + 1, {"n": n, "mode": mode}) for i, (n, mode) in enumerate(rows)))
    simple = simplify(found, space, 1, "linear")
    # the line through 0 3 3 9 is -0.3 + 2.7 t
    assert [simple.schedule.config_at(i + 1) for i in range(4)] == [{"n": n, "mode": "a"} for n in (0, 2, 5, 8)]
    assert simple.errors["n"].largest == pytest.approx(0.2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(1, 3))
def test_no_cut_into_as_many_lines_is_nearer(values: list[float], num_pieces: int) -> None:
    """Against all of them; a line that leaves the range is clipped, which only brings it nearer."""
    simple = simplify(of_line(*values), LINE, num_pieces, "linear")

    def error(part: np.ndarray) -> float:
        if len(part) < 3:
            return 0.0
        line = np.polynomial.Polynomial.fit(np.arange(len(part)), part, 1)(np.arange(len(part)))
        return float(((part - line) ** 2).sum())

    least = min(
        sum(map(error, np.split(np.array(values), cuts)))
        for cuts in itertools.combinations(range(1, len(values)), min(num_pieces, len(values)) - 1)
    )
    assert simple.rms_error <= (least / len(values)) ** 0.5 + 1e-7
    assert simple.rms_error <= simplify(of_line(*values), LINE, num_pieces).rms_error + 1e-7
