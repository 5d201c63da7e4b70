"""Numbers as words."""

import math

import pytest

from cartwheel.analysis.wording import compact, decimals_for, duration, fixed, listed, number, percent, plural


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (152.34, "152.3"), (-0.0051234, "-0.005123"), (12345.6, "12,346"), (0, "0"), (9.99999, "10.000"),
        (math.nan, "not a number"), (-math.inf, "-infinity"),
    ],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_numbers_read_together_share_their_decimals() -> None:
    decimals = decimals_for([142.71, 3.2, math.nan, 0])
    assert [fixed(value, decimals, signed=True) for value in (142.71, -3.2)] == ["+142.7", "-3.2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"), (1e-5, "1e-5"), (3.2e-4, "3.2e-4"), (30, "30"), (0, "0"), (1500, "1500"), (12500, "12.5k"),
        (2e6, "2M"), (4.21e8, "421M"), (0.4, "0.4"), (-2.5, "-2.5"), (math.inf, "infinity"),
    ],
)  # fmt: skip
def test_ticks_are_short(value: float, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.95, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (365, "6 min 05 s"), (12000, "3 h 20 min"),
     (math.nan, "unknown")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plurals_lists_and_percentages() -> None:
    assert [plural(1, "copy"), plural(2, "copy"), plural(1200, "member")] == ["1 copy", "2 copies", "1,200 members"]
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [percent(0), percent(0.0004), percent(0.0123), percent(0.5)] == ["0.0%", "under 0.1%", "1.2%", "50%"]
