"""Do short trainings say which config is best for long ones? Rank correlations of scores between fidelities.

The same configs are scored after few and after many episodes of one training; Spearman's rank correlation says how far
the short one's order is the long one's. Unbiased only where every config was trained to the end, as by Random Search.
A tuner that stops trials early saw at high fidelities only what had been good at low ones: its correlations are
*censored*, and lie beside the others under that name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy import stats

from cartwheel.analysis.tables import StudyTables, learning_curve
from cartwheel.records import SegmentId, score

MIN_CONFIGS = 3
"""Of two configs every order is perfect."""


@dataclass(frozen=True, slots=True)
class FidelityScores:
    """``scores[config][fidelity]``: after so many model-driven episodes; a config lacks the fidelities that it was
    stopped before, and those at which its score was not finite."""

    scores: Sequence[Mapping[int, float]]
    is_censored: bool = False

    @property
    def fidelities(self) -> list[int]:
        """Those that some config reached, in order."""
        return sorted({fidelity for of_config in self.scores for fidelity in of_config})

    def pairs(self, low: int, high: int) -> list[tuple[float, float]]:
        """Both scores of every config that has both."""
        return [(of_config[low], of_config[high]) for of_config in self.scores if {low, high} <= of_config.keys()]


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over ``num_configs``; ``p_value`` is two-sided, against none. NaN if undefined."""

    low: int
    high: int
    correlation: float
    p_value: float
    num_configs: int


def fidelity_scores(tables: StudyTables, fidelities: Sequence[int]) -> FidelityScores:
    """The scores of a static tuner's trials. Raises ValueError where configs change while agents train."""
    ends: dict[int, SegmentId] = {}
    for segment in tables.segments.values():
        if segment.parent is not None and tables.segments[segment.parent].config != segment.config:
            raise ValueError("only studies in which every trial keeps its config say how fidelities agree")
        ends[segment.trial] = segment.id
    return FidelityScores([_scores(tables, end, fidelities) for end in ends.values()], tables.ranks_longest_first)


def together(parts: Sequence[FidelityScores]) -> FidelityScores:
    """The configs of several studies of one task and one kind."""
    return FidelityScores([one for part in parts for one in part.scores], any(part.is_censored for part in parts))


def correlations(of: FidelityScores) -> list[Correlation]:
    """One for every two fidelities, the nearer ones first for each."""
    return [correlation(of, low, high) for low, high in combinations(of.fidelities, 2)]


def correlation(of: FidelityScores, low: int, high: int) -> Correlation:
    """Spearman's coefficient, with the p-value of its t approximation, as scipy has it."""
    pairs = of.pairs(low, high)
    if len(pairs) < MIN_CONFIGS or any(len(set(column)) == 1 for column in zip(*pairs, strict=True)):
        return Correlation(low, high, math.nan, math.nan, len(pairs))
    found = stats.spearmanr([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return Correlation(low, high, float(found.statistic), float(found.pvalue), len(pairs))


def spread_fidelities(num_episodes: int, num: int = 4) -> list[int]:
    """About ``num`` fidelities up to the full one, each half of the next, as rungs of a halving have them."""
    return sorted({max(1, num_episodes >> k) for k in range(num)})


def _scores(tables: StudyTables, end: SegmentId, fidelities: Sequence[int]) -> dict[int, float]:
    curve = learning_curve(tables, end)
    by_episode = dict(zip(curve.episodes, curve.returns, strict=True))
    found = {}
    for fidelity in fidelities:
        read = [by_episode.get(episode, math.nan) for episode in range(1, fidelity + 1)]
        value = score(read)
        if fidelity in by_episode and math.isfinite(value):
            found[fidelity] = value
    return found
