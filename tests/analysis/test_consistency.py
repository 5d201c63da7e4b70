"""Directions of schedules: the test against scipy's sign test, simulation and studies with a known drift."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cartwheel.analysis.consistency import (
    chance_of_rising,
    directions,
    explored_steps,
    holm,
    moved,
    poisson_binomial,
    rises_p_value,
)
from made_up_study import made_up_study
from whole_studies import tuned

PBT: dict[str, Any] = {"name": "pbt", "population": 8, "first_interval_episodes": 1, "interval_episodes": 1}


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def test_poisson_binomial_against_all_outcomes_listed() -> None:
    chances = [0.1, 0.5, 0.7, 0.9]
    listed = np.zeros(5)
    for outcome in itertools.product([0, 1], repeat=4):
        listed[sum(outcome)] += np.prod([c if up else 1 - c for up, c in zip(outcome, chances, strict=True)])
    assert poisson_binomial(chances) == pytest.approx(listed)


@pytest.mark.parametrize(("rises", "n"), [(0, 5), (1, 5), (3, 7), (8, 8), (4, 8)])
def test_with_even_chances_it_is_the_sign_test(rises: int, n: int) -> None:
    """scipy's two-sided binomial test."""
    assert rises_p_value(rises, [0.5] * n) == pytest.approx(stats.binomtest(rises, n).pvalue)


def test_without_any_move_nothing_is_unlikely() -> None:
    assert rises_p_value(0, []) == 1.0


def test_holm_against_its_definition() -> None:
    """Step-down: the k-th smallest of m is multiplied by m - k + 1, and never less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])


def test_chances_know_where_a_value_began_and_how_steps_were_drawn() -> None:
    """From the top it can only fall; steps that go up twice as often rise; none to draw from is an even chance."""
    assert chance_of_rising(1.0, [-0.2, 0.2], 1, rng()) < 0.01
    assert chance_of_rising(0.5, [0.1, 0.1, -0.1], 1, rng()) == pytest.approx(2 / 3, abs=0.02)
    assert chance_of_rising(0.5, [], 3, rng()) == 0.5


def test_an_even_walk_in_the_middle_has_an_even_chance() -> None:
    assert chance_of_rising(0.5, [-0.15, 0.15], 5, rng()) == pytest.approx(0.5, abs=0.02)


def test_moves_are_those_of_the_winning_lineage() -> None:
    """In the coordinates of the space; steps are everybody's, and none is zero."""
    tables = tuned(PBT, 10)
    move = moved(tables, "learning_rate", rng())
    assert 0 <= move.first <= 1
    assert 0 < move.chance < 1
    steps = explored_steps(tables, "learning_rate")
    assert steps
    assert all(steps)


def test_a_drift_of_the_best_value_is_found_and_noise_is_not() -> None:
    """Schedules that all fall are told from chance; among uneventful ones of the same number few are."""
    falling = [rises_p_value(0, [0.5] * 6)]
    assert falling[0] < 0.05
    found = {d.name: d for d in directions([made_up_study(with_trouble=False)] * 5, rng())}
    assert set(found) == set(made_up_study().space.names)
    for direction in found.values():
        assert 0 <= direction.p_value <= direction.adjusted <= 1
        assert direction.num_rises in (0, 5)  # five times the same study
        assert direction.num_falls in (0, 5)


def test_a_selection_free_tuner_seldom_looks_consistent() -> None:
    """Where returns are noise alone, the test keeps its level: of 40 hyperparameter directions at most a few are
    below 0.05 before correction, and none after it."""
    num_below, num_adjusted = 0, 0
    for world in range(5):
        studies = [tuned(PBT, 8, seed=10 * world + k, noise=1e6) for k in range(6)]
        found = directions(studies, rng())
        num_below += sum(direction.p_value < 0.05 for direction in found)
        num_adjusted += sum(direction.adjusted < 0.05 for direction in found)
    assert num_below <= 6
    assert num_adjusted <= 1
