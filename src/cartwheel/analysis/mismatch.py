"""Objective mismatch: does a model that predicts better make an agent that returns more?

Rank correlations of a model's error with the return, taken apart in three ways, because agents learn: over all
episodes of all agents, where both improve with age and so agree anyway; *between* agents of equal age; and *within* an
agent, from episode to episode, beside others of its age, as there, too, both improve. The objective is mismatched where
the last two are near zero or positive.

Intervals come from a bootstrap over studies first, then their agents: the episodes of one agent are not independent,
and neither are the agents of a population, which share pasts. Of a single study, agents alone are drawn.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

from cartwheel.analysis.hierarchical import ends
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.tables import StudyTables

View: TypeAlias = Literal["all", "between agents", "within an agent"]
ERRORS = ("unseen_nll", "error_1_ahead", "error_5_ahead", "error_25_ahead")
"""Of a new episode, before it is learned from: -log likelihood, and open-loop errors so many steps ahead."""
MIN_POINTS = 4
"""Fewer points have no rank correlation worth averaging."""
NUM_RESAMPLES = 200
"""Each takes dozens of rank correlations; the ends of the interval then wobble by about a tenth of its width."""


@dataclass(frozen=True, slots=True)
class Point:
    """One model-driven episode: which agent of which study ran it, at which age, what its model missed by and what it
    returned. ``agent`` is another number in every study.
    """

    study: int
    agent: int
    episode: int
    error: float
    return_: float


@dataclass(frozen=True, slots=True)
class Mismatch:
    """``interval`` is None where there is nothing to correlate."""

    error: str
    view: View
    interval: Interval | None
    num_points: int
    num_agents: int


def points(studies: Sequence[StudyTables], error: str) -> list[Point]:
    """All finite pairs. An agent is a trial of a study: copies share a past, but not the episodes counted here."""
    found = []
    for number, tables in enumerate(studies):
        for segment in tables.segments.values():
            for episode in tables.episodes.get(segment.id, ()):
                value = episode.metrics.get(error, math.nan)
                if not episode.is_random and math.isfinite(value) and math.isfinite(episode.return_):
                    agent = number * 1_000_000 + segment.trial
                    found.append(Point(number, agent, episode.index, value, episode.return_))
    return found


def mismatches(of: Sequence[Point], error: str, rng: np.random.Generator) -> list[Mismatch]:
    """The three correlations, each with its interval."""
    views: dict[View, Callable[[Sequence[Point]], float]] = {
        "all": rank_correlation,
        "between agents": between_agents,
        "within an agent": within_agents,
    }
    return [_mismatch(of, error, view, correlate, rng) for view, correlate in views.items()]


def rank_correlation(of: Sequence[Point]) -> float:
    """Spearman's, of error and return; NaN for few points or where one of them never changes."""
    errors, returns = [point.error for point in of], [point.return_ for point in of]
    if len(of) < MIN_POINTS or len(set(errors)) == 1 or len(set(returns)) == 1:
        return math.nan
    # as scipy's spearmanr, without its p-value, which takes ten times as long
    return float(np.corrcoef(stats.rankdata(errors), stats.rankdata(returns))[0, 1])


def between_agents(of: Sequence[Point]) -> float:
    """The mean, over episodes, of the correlation among the agents that ran that episode."""
    return _mean_by(of, lambda point: point.episode)


def within_agents(of: Sequence[Point]) -> float:
    """The mean, over agents, of the correlation among an agent's episodes, each beside others of the same age."""
    return _mean_by(_beside_others(of), lambda point: point.agent)


def _beside_others(of: Sequence[Point]) -> list[Point]:
    """Errors and returns as ranks, of 1, among the agents that ran that episode; without episodes that few ran.

    A partial correlation of ranks given age would not do: where both rise steadily, the ends of the ranks alone make
    them agree.
    """
    by_age: dict[int, list[Point]] = defaultdict(list)
    for point in of:
        by_age[point.episode].append(point)
    found = []
    for group in by_age.values():
        if len(group) >= MIN_POINTS:
            errors, returns = (
                stats.rankdata(values) / len(group)
                for values in zip(*((p.error, p.return_) for p in group), strict=True)
            )
            ranks = zip(group, errors, returns, strict=True)
            found += [Point(p.study, p.agent, p.episode, error, return_) for p, error, return_ in ranks]
    return found


def _mean_by(of: Sequence[Point], key: Callable[[Point], int]) -> float:
    groups: dict[int, list[Point]] = defaultdict(list)
    for point in of:
        groups[key(point)].append(point)
    found = [value for group in groups.values() if not math.isnan(value := rank_correlation(group))]
    return math.fsum(found) / len(found) if found else math.nan


def _mismatch(
    of: Sequence[Point],
    error: str,
    view: View,
    correlate: Callable[[Sequence[Point]], float],
    rng: np.random.Generator,
) -> Mismatch:
    studies: dict[int, dict[int, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in of:
        studies[point.study][point.agent].append(point)
    num_agents = sum(map(len, studies.values()))
    value = correlate(of)
    if math.isnan(value):
        return Mismatch(error, view, None, len(of), num_agents)
    agents = [list(each.values()) for each in studies.values()]
    draws = [correlate(_drawn(agents, rng)) for _ in range(NUM_RESAMPLES)]
    low, high = ends(np.array([draw for draw in draws if not math.isnan(draw)]))
    return Mismatch(error, view, Interval(value, float(low), float(high)), len(of), num_agents)


def _drawn(studies: Sequence[Sequence[Sequence[Point]]], rng: np.random.Generator) -> list[Point]:
    """Studies with replacement, and of each its agents; one that is drawn twice counts as two."""
    found: list[Point] = []
    for study in rng.integers(len(studies), size=len(studies)):
        for k in rng.integers(len(studies[study]), size=len(studies[study])):
            agent = len(found)
            found += [Point(int(study), agent, p.episode, p.error, p.return_) for p in studies[study][k]]
    return found
