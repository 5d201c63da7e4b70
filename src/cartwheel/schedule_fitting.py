"""Schedules made of schedules: the average of several, and one of few pieces in place of one of many."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cartwheel.records import Config, Value
from cartwheel.schedule import Piece, Schedule, merged
from cartwheel.space import Choice, Space


def average(schedules: Sequence[Schedule]) -> Schedule:
    """The mean of the values in every episode, as in the ``top_avg`` schedules of Zhang et al. 2021.

    Whole numbers are rounded, halves up. Of values without order the most frequent counts, of equally frequent ones the
    first schedule's. Where schedules differ in length, the mean is over those that cover the episode.
    """
    if not schedules:
        raise ValueError("an average needs at least one schedule")
    return Schedule(
        merged(
            Piece(episode - 1, episode, _mean([s.config_at(episode) for s in schedules if s.num_episodes >= episode]))
            for episode in range(1, max(s.num_episodes for s in schedules) + 1)
        )
    )


def _mean(configs: list[Config]) -> Config:
    return {name: _mean_value([config[name] for config in configs]) for name in configs[0]}


def _mean_value(values: list[Value]) -> Value:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return Counter(values).most_common(1)[0][0]
    if all(isinstance(value, int) for value in numbers):
        # whole numbers, so that no sum is rounded
        return int((2 * sum(numbers) + len(numbers)) // (2 * len(numbers)))
    return math.fsum(numbers) / len(numbers)


@dataclass(frozen=True, slots=True)
class Simplified:
    """``rms_error``: root mean square distance to the original over all episodes and parameters.

    The distance is that of coordinates: 1 is a parameter's whole range; two different choices are 1 apart.
    """

    schedule: Schedule
    rms_error: float


def simplify(schedule: Schedule, space: Space, num_pieces: int) -> Simplified:
    """The nearest schedule of at most so many pieces, by dynamic programming over where they end (Bellman 1961).

    Every piece takes the mean coordinates of its episodes, of choices the most frequent. It is the nearest before whole
    numbers are rounded; the error is that of what is returned. Raises ValueError if a config lies outside the space.
    """
    if num_pieces < 1:
        raise ValueError(f"num_pieces must be at least 1, got {num_pieces}")
    if len(schedule.pieces) <= num_pieces:
        return Simplified(schedule, 0.0)
    pieces = schedule.pieces
    points = np.array([_point(piece.config, space) for piece in pieces])  # [P, D]
    weights = np.array([float(piece.stop - piece.start) for piece in pieces])  # [P]
    # where the distance is least, no piece is cut: within one, the cost of a cut has its least at an end
    ends = [0, *_best_ends(_costs(points, weights), num_pieces)]
    simple = [
        Piece(pieces[a].start, pieces[b - 1].stop, _constant(pieces[a:b], space)) for a, b in itertools.pairwise(ends)
    ]
    lengths = np.diff(ends)
    new_points = np.repeat([_point(piece.config, space) for piece in simple], lengths, axis=0)
    squares = (weights[:, None] * (new_points - points) ** 2).sum()
    return Simplified(Schedule(merged(simple)), math.sqrt(float(squares) / (schedule.num_episodes * len(space))))


def _point(config: Config, space: Space) -> list[float]:
    """[D]: coordinates; of a choice one per value, sqrt(1/2) at the chosen one, so that two are 1 apart."""
    point: list[float] = []
    for (name, parameter), u in zip(space.parameters.items(), space.encode(config).tolist(), strict=True):
        if isinstance(parameter, Choice):
            point += [math.sqrt(0.5) if config[name] == value else 0.0 for value in parameter.values]
        else:
            point.append(u)
    return point


def _costs(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """[P+1, P+1]: at a < b the weighted squared distance of the points a..b-1 to their mean; infinite elsewhere."""
    # about the middle, so that the difference of squares loses less
    centred = points - points.mean(axis=0)
    column = weights[:, None]
    sums = np.concatenate([np.zeros((1, points.shape[1])), (column * centred).cumsum(axis=0)])  # [P+1, D]
    squares = np.concatenate([[0.0], (column * centred**2).sum(axis=1).cumsum()])  # [P+1]
    total = np.concatenate([[0.0], weights.cumsum()])  # [P+1]
    masses = total[None, :] - total[:, None]
    of_sums = ((sums[None, :] - sums[:, None]) ** 2).sum(axis=2)
    is_ordered = masses > 0
    within = squares[None, :] - squares[:, None] - of_sums / np.where(is_ordered, masses, 1.0)
    return np.where(is_ordered, np.maximum(within, 0.0), np.inf)


def _best_ends(costs: NDArray[np.float64], num_pieces: int) -> list[int]:
    """Where the pieces end, the last one at P, so that their costs sum to the least."""
    best, choices = costs[0], []
    for _ in range(num_pieces - 1):
        through = best[:, None] + costs  # [a, b]: the pieces so far end at a, one more at b
        choices.append(through.argmin(axis=0))
        best = through.min(axis=0)
    ends = [len(costs) - 1]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return ends[::-1]


def _constant(pieces: Sequence[Piece], space: Space) -> Config:
    """The config nearest to all of these, each counted by its length."""
    if len(pieces) == 1:
        return pieces[0].config
    weights = [piece.stop - piece.start for piece in pieces]
    mean = np.average([space.encode(piece.config) for piece in pieces], axis=0, weights=weights)
    chosen: dict[str, Value] = {}
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Choice):
            counts: Counter[Value] = Counter()
            for piece, weight in zip(pieces, weights, strict=True):
                counts[piece.config[name]] += weight
            chosen[name] = counts.most_common(1)[0][0]
    return space.decode(mean) | chosen
