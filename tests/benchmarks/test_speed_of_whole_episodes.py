"""What the benchmark of whole episodes times is the same work on both sides."""

import pytest

from benchmarks.speed.whole_episodes import player
from one_program import SETTINGS


def test_both_ways_play_the_same_episode() -> None:
    """A tiny agent's, to float32's rounding, and the same again whenever it is called."""
    stepped, whole = (player(way, 1, "line", **SETTINGS) for way in ("stepped", "whole"))
    first, second, third = stepped(), whole(), whole()
    assert second == third
    assert first == pytest.approx(second, rel=1e-3)
    assert first[0] < 0.0
