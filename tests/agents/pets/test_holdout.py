"""Which rows are held out: a share of any stretch, for ever."""

import numpy as np
import pytest

from cartwheel.agents.pets.holdout import count_below, is_held_out, judging_rows, training_rows
from hand_made import with_shape


@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.1, 0.2, 0.5])
def test_every_stretch_gives_its_share(ratio: float) -> None:
    """Of any n rows in a row, ratio * n are held out, give or take two."""
    held = np.cumsum(is_held_out(20_000, ratio))
    for length in (10, 100, 1000):
        shares = held[length:] - held[:-length]
        assert np.abs(shares - ratio * length).max() <= 2


def test_a_row_stays_what_it_is() -> None:
    """More capacity changes nothing for the rows there were."""
    assert np.array_equal(is_held_out(5000, 0.1)[:300], is_held_out(300, 0.1))


def test_rows_train_or_judge() -> None:
    """Every row does one of the two; without a holdout all do both."""
    shape = with_shape(capacity=200, holdout_ratio=0.2)
    both = np.concatenate([training_rows(shape), judging_rows(shape)])
    assert np.array_equal(np.sort(both), np.arange(200))
    assert 0 < len(judging_rows(shape)) < len(training_rows(shape))
    plain = with_shape(capacity=200)
    assert np.array_equal(training_rows(plain), np.arange(200))
    assert np.array_equal(judging_rows(plain), np.arange(200))


def test_counts_are_of_rows_that_are_there() -> None:
    """Of rows 1, 4, 7 two are among the first seven and three among the first eight."""
    rows = np.asarray([1, 4, 7], np.int32)
    assert [int(count_below(rows, n, np)) for n in (0, 1, 2, 7, 8, 99)] == [0, 0, 1, 2, 3, 3]
    assert int(count_below(rows, np.int32(7))) == 2
