"""Does the learning rate always fall? How consistent winning schedules are over tuner seeds, tested against chance.

A hyperparameter's *move* is how far its coordinate in the space (0 to 1) went from the schedule's first episode to its
last. Chance is not one half: a value that begins high can only fall, explored steps need not be even (multiplying a
coordinate by 1.2 or 0.8 drifts down), and both differ between studies. So each winner is compared with what would
have come of its own start and as many steps, drawn at random from all steps that its study explored, whether they won
or not. The number of seeds in which a value rose is then a sum of coins with these chances, whose distribution is
exact (Poisson binomial); with all chances one half this is the sign test.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cartwheel.analysis.statistics import Array
from cartwheel.analysis.tables import StudyTables, incumbent
from cartwheel.schedules.schedule import lineage
from cartwheel.spaces.space import Listed

NUM_WALKS = 10_000
"""Random walks per winner: a chance is then off by half a percent at most, typically."""
EVEN = 1e-9
"""Coordinates nearer than this are equal: decoding and encoding again rounds."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One winner under one tuner seed; ``chance`` that a random walk of its study ends above its start, rather than
    below it."""

    first: float
    last: float
    chance: float

    @property
    def move(self) -> float:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Direction:
    """Over tuner seeds: how often a hyperparameter rose and fell in the winning schedule, and how far on average.

    ``expected_rises``: by chance, of those that moved. ``p_value``: two-sided, of as unlikely a number of rises by
    chance; ``adjusted``: the same after Holm's correction for all hyperparameters that were looked at.
    """

    name: str
    num_rises: int
    num_falls: int
    mean_move: float
    expected_rises: float
    p_value: float
    adjusted: float


def directions(studies: Sequence[StudyTables], rng: np.random.Generator) -> list[Direction]:
    """One per number of the spaces, in their order. Studies without a winner are left out."""
    won = [tables for tables in studies if incumbent(tables) is not None]
    names = [name for name, kind in won[0].space.parameters.items() if not isinstance(kind, Listed)] if won else []
    found = [_direction(name, [moved(tables, name, rng) for tables in won]) for name in names]
    adjusted = holm([direction.p_value for direction in found])
    return [
        Direction(d.name, d.num_rises, d.num_falls, d.mean_move, d.expected_rises, d.p_value, p)
        for d, p in zip(found, adjusted, strict=True)
    ]


def moved(tables: StudyTables, name: str, rng: np.random.Generator) -> Moved:
    """How far the winner of a study moved a hyperparameter. Raises ValueError without a winner."""
    best = incumbent(tables)
    if best is None:
        raise ValueError("the study has no winner")
    encode = tables.space.parameters[name].encode
    track = [encode(segment.config[name]) for segment in lineage(tables.segments, best)]
    num_steps = sum(abs(after - before) > EVEN for before, after in pairwise(track))
    return Moved(track[0], track[-1], chance_of_rising(track[0], explored_steps(tables, name), num_steps, rng))


def explored_steps(tables: StudyTables, name: str) -> list[float]:
    """Every change of a hyperparameter's coordinate from an agent to its continuation, by anybody, zeros left out."""
    encode = tables.space.parameters[name].encode
    changes = [
        encode(segment.config[name]) - encode(tables.segments[segment.parent].config[name])
        for segment in tables.segments.values()
        if segment.parent is not None
    ]
    return [change for change in changes if abs(change) > EVEN]


def chance_of_rising(start: float, steps: Sequence[float], num_steps: int, rng: np.random.Generator) -> float:
    """Chance that ``num_steps`` random steps, kept in [0, 1], end above ``start``, given that they do not end there.

    One half where there are no steps to draw from.
    """
    if not steps or not num_steps:
        return 0.5
    at = np.full(NUM_WALKS, start)
    for _ in range(num_steps):
        at = np.clip(at + rng.choice(np.asarray(steps), NUM_WALKS), 0.0, 1.0)
    rises, falls = int(np.sum(at > start + EVEN)), int(np.sum(at < start - EVEN))
    return (rises + 0.5) / (rises + falls + 1)  # never 0 or 1: nothing seen in 10,000 walks is impossible


def poisson_binomial(chances: Sequence[float]) -> Array:
    """The probabilities of 0, 1, ..., n successes of coins with these chances."""
    probabilities = np.ones(1)
    for chance in chances:
        probabilities = np.convolve(probabilities, [1 - chance, chance])
    return probabilities


def rises_p_value(num_rises: int, chances: Sequence[float]) -> float:
    """Two-sided: the probability of all numbers of rises that are no likelier than the observed one; 1 without coins.

    With even chances it is that of the sign test (scipy's ``binomtest``).
    """
    probabilities = poisson_binomial(chances)
    tolerance = 1 + 1e-7  # equal probabilities may differ in their last bits
    return min(1.0, float(probabilities[probabilities <= probabilities[num_rises] * tolerance].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the given order."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted


def _direction(name: str, winners: Sequence[Moved]) -> Direction:
    went = [winner for winner in winners if abs(winner.move) > EVEN]
    rises = sum(winner.move > 0 for winner in went)
    chances = [winner.chance for winner in went]
    mean_move = math.fsum(winner.move for winner in winners) / len(winners)
    p_value = rises_p_value(rises, chances)
    return Direction(name, rises, len(went) - rises, mean_move, math.fsum(chances), p_value, p_value)
