"""Correlations of model error and return: made-up agents for which every view has a known answer."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from cartwheel.analysis.mismatch import (
    Point,
    between_agents,
    mismatches,
    points,
    rank_correlation,
    within_agents,
)
from made_up_study import made_up_study


def rng() -> np.random.Generator:
    return np.random.default_rng(2)


def learning(between: float, within: float, num_agents: int = 12, num_episodes: int = 10) -> list[Point]:
    """Errors fall and returns rise with age; beside that, and luck, a better model returns more or less as told."""
    world, found = rng(), []
    for agent in range(num_agents):
        own = world.normal()
        for episode in range(1, num_episodes + 1):
            now, luck = world.normal(size=2)
            error = -0.5 * episode + own + now
            found.append(Point(0, agent, episode, error, 2 * episode + between * own + within * now + luck))
    return found


def test_rank_correlation_ignores_any_monotone_change_of_scale() -> None:
    some = [Point(0, 0, k, math.exp(k), -math.atan(k)) for k in range(6)]
    assert rank_correlation(some) == pytest.approx(-1.0)
    tied = [(1, 2), (1, 3), (2, 3), (5, 1), (4, 0)]
    of_scipy = stats.spearmanr([a for a, _ in tied], [b for _, b in tied]).statistic
    assert rank_correlation([Point(0, 0, 1, a, b) for a, b in tied]) == pytest.approx(of_scipy)


def test_age_alone_makes_error_and_return_agree_over_all_episodes() -> None:
    """The trap: models and returns both improve with age, and say nothing of each other."""
    aged = learning(between=0.0, within=0.0)
    assert rank_correlation(aged) < -0.5
    assert np.mean([rank_correlation([p for p in aged if p.agent == agent]) for agent in range(12)]) < -0.5
    assert abs(between_agents(aged)) < 0.2
    assert abs(within_agents(aged)) < 0.2


def test_no_course_of_learning_makes_a_model_look_useful() -> None:
    """What all agents of an age share, any rising change of scale of that age, changes neither of the two views."""
    some = learning(between=-1.0, within=-1.0)
    bent = [dataclasses.replace(p, return_=math.exp(p.return_ / 5) * 1.7**p.episode) for p in some]
    assert between_agents(bent) == pytest.approx(between_agents(some))
    assert within_agents(bent) == pytest.approx(within_agents(some))
    assert within_agents(some) < -0.3


def test_views_take_agents_and_episodes_apart() -> None:
    """Only better agents return more: seen between agents; of one age, with the sign that it has."""
    some = learning(between=-10.0, within=-10.0)
    assert between_agents(some) < -0.9
    assert within_agents(some) < -0.7
    mixed = learning(between=+10.0, within=0.0)
    assert between_agents(mixed) > 0.5
    assert abs(within_agents(mixed)) < 0.2


def test_intervals_come_from_agents_not_from_episodes() -> None:
    """Doubling every agent's episodes leaves the interval as wide as it was."""
    some = learning(between=-1.0, within=0.0)
    doubled = [*some, *(Point(0, p.agent, p.episode + 100, p.error, p.return_) for p in some)]
    (one, _, _), (two, _, _) = mismatches(some, "x", rng()), mismatches(doubled, "x", rng())
    assert one.interval is not None
    assert two.interval is not None
    assert two.num_points == 2 * one.num_points
    widths = [found.interval.high - found.interval.low for found in (one, two) if found.interval]
    assert widths[1] > 0.6 * widths[0]
    assert one.interval.low <= one.interval.point <= one.interval.high


def test_agents_of_one_study_are_not_independent() -> None:
    """Copies of an agent in one study, as populations make them, leave the interval as wide as without them."""
    some = [dataclasses.replace(p, study=p.agent) for p in learning(between=-1.0, within=0.0)]
    copies = [dataclasses.replace(p, agent=p.agent + 100 * k) for k in range(6) for p in some]
    loose = [dataclasses.replace(p, study=p.agent) for p in copies]
    (one, _, _), (six, _, _), (fooled, _, _) = (mismatches(each, "x", rng()) for each in (some, copies, loose))
    widths = [found.interval.high - found.interval.low for found in (one, six, fooled) if found.interval]
    assert widths[1] > 0.7 * widths[0]
    assert widths[2] < 0.6 * widths[0]


def test_points_are_finite_model_driven_episodes_of_every_study() -> None:
    study = made_up_study()
    of_two = points([study, study], "error_25_ahead")
    assert len(of_two) == 2 * len(points([study], "error_25_ahead"))
    assert all(point.episode > 0 and math.isfinite(point.return_) for point in of_two)
    assert len({point.agent for point in of_two}) == 2 * len(study.trials)


def test_without_data_there_is_no_interval() -> None:
    assert [found.interval for found in mismatches([], "x", rng())] == [None, None, None]
    assert points([made_up_study()], "no such metric") == []
