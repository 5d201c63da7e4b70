"""Schedules made of schedules: the average of several, and one of few pieces in place of one of many."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cartwheel.records import Config, Value
from cartwheel.schedules.schedule import Piece, Schedule, merged
from cartwheel.spaces.space import Choice, Space

Shape: TypeAlias = Literal["constant", "linear"]
Array: TypeAlias = NDArray[np.float64]


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
class FitError:
    """Over the episodes, the mean and the largest distance to the original: 1 is a parameter's whole range."""

    mean: float
    largest: float


@dataclass(frozen=True, slots=True)
class Simplified:
    """``stops``: where its pieces stop, in model-driven episodes; a linear piece holds a config for every episode.

    ``rms_error``: root mean square distance to the original over all episodes and parameters, and ``errors`` by
    parameter. The distance is that of coordinates; two different choices are 1 apart.
    """

    schedule: Schedule
    stops: tuple[int, ...]
    rms_error: float
    errors: Mapping[str, FitError]


def simplify(schedule: Schedule, space: Space, num_pieces: int, shape: Shape = "constant") -> Simplified:
    """The nearest schedule of at most so many pieces, by dynamic programming over where they stop (Bellman 1961).

    A constant piece takes the mean coordinates of its episodes, a linear one the line of least squares through them,
    in the coordinate: a logarithmic parameter decays exponentially. Neither has to join its neighbours. Of choices,
    each piece takes the most frequent. It is the nearest before whole numbers are rounded; the error is that of what is
    returned. A schedule of no more pieces is returned as it is. Raises ValueError if a config lies outside the space.
    """
    if num_pieces < 1:
        raise ValueError(f"num_pieces must be at least 1, got {num_pieces}")
    configs = [schedule.config_at(episode) for episode in range(1, schedule.num_episodes + 1)]
    points = np.array([_point(config, space) for config in configs])  # [T, D]
    stops = [piece.stop for piece in schedule.pieces]
    simple = schedule
    if len(stops) > num_pieces:
        # constants are nearest where no piece of the original is cut: within one, the cost has its least at an end
        cuts = np.array([0, *(stops if shape == "constant" else range(1, len(points) + 1))])
        is_sloped = np.array([shape == "linear" and not is_choice for is_choice in _choice_columns(space)])
        stops = cuts[_best_ends(_costs(points, cuts, is_sloped), num_pieces)].tolist()
        parts = itertools.pairwise([0, *stops])
        fitted = [config for a, b in parts for config in _fit(configs[a:b], space, shape)]
        simple = replace(schedule, pieces=merged(Piece(i, i + 1, config) for i, config in enumerate(fitted)))
    return Simplified(simple, tuple(stops), *_distances(simple, points, space))


def _choice_columns(space: Space) -> list[bool]:
    """[D]: which coordinates of ``_point`` belong to choices."""
    columns = []
    for parameter in space.parameters.values():
        columns += [True] * len(parameter.values) if isinstance(parameter, Choice) else [False]
    return columns


def _point(config: Config, space: Space) -> list[float]:
    """[D]: coordinates; of a choice one per value, sqrt(1/2) at the chosen one, so that two are 1 apart."""
    point: list[float] = []
    for (name, parameter), u in zip(space.parameters.items(), space.encode(config).tolist(), strict=True):
        if isinstance(parameter, Choice):
            point += [math.sqrt(0.5) if config[name] == value else 0.0 for value in parameter.values]
        else:
            point.append(u)
    return point


def _distances(simple: Schedule, points: Array, space: Space) -> tuple[float, dict[str, FitError]]:
    """The root mean square error, and those of every parameter. ``points`` [T, D]: the original's."""
    new_points = np.array([_point(simple.config_at(episode), space) for episode in range(1, len(points) + 1)])
    squares = (new_points - points) ** 2
    widths = [len(p.values) if isinstance(p, Choice) else 1 for p in space.parameters.values()]
    by_parameter = np.split(squares, np.cumsum(widths)[:-1], axis=1)
    distances = {name: np.sqrt(part.sum(axis=1)) for name, part in zip(space.names, by_parameter, strict=True)}
    errors = {name: FitError(float(d.mean()), float(d.max())) for name, d in distances.items()}
    return math.sqrt(float(squares.sum()) / (len(points) * len(space))), errors


def _costs(points: Array, cuts: NDArray[np.int64], is_sloped: NDArray[np.bool_]) -> Array:
    """[C, C]: at i < j the squared distance of the points cuts[i]..cuts[j]-1 to their fit; infinite elsewhere.

    ``points`` [T, D]; the fit of a sloped column is a line, of any other its mean.
    """
    times = np.arange(len(points), dtype=np.float64) - (len(points) - 1) / 2
    counts, sum_t, sum_tt = (_between(x, cuts) for x in (np.ones(len(times)), times, times**2))
    is_ordered = counts > 0
    num = np.where(is_ordered, counts, 1.0)
    spread_t = sum_tt - sum_t**2 / num  # 0 for a single episode, which lies on its line
    total = np.zeros_like(num)
    # about the middle, so that the differences of squares lose less
    for column, has_slope in zip((points - points.mean(axis=0)).T, is_sloped.tolist(), strict=True):
        sum_y = _between(column, cuts)
        within = _between(column**2, cuts) - sum_y**2 / num
        if has_slope:
            together = _between(times * column, cuts) - sum_t * sum_y / num
            within -= np.divide(together**2, spread_t, out=np.zeros_like(num), where=counts > 1)
        total += np.maximum(within, 0.0)
    return np.where(is_ordered, total, np.inf)


def _between(values: Array, cuts: NDArray[np.int64]) -> Array:
    """[C, C]: at i, j the sum of values[cuts[i]:cuts[j]]."""
    sums = np.concatenate([[0.0], values.cumsum()])[cuts]
    return np.asarray(sums[None, :] - sums[:, None])


def _best_ends(costs: Array, num_pieces: int) -> list[int]:
    """At which cuts the pieces stop, the last of all being the last, so that their costs sum to the least."""
    best, choices = costs[0], []
    for _ in range(num_pieces - 1):
        through = best[:, None] + costs  # [i, j]: the pieces so far stop at i, one more at j
        choices.append(through.argmin(axis=0))
        best = through.min(axis=0)
    ends = [len(costs) - 1]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return ends[::-1]


def _fit(configs: Sequence[Config], space: Space, shape: Shape) -> list[Config]:
    """For each of these episodes the config of the piece that is nearest to all of them."""
    if all(config == configs[0] for config in configs):
        return list(configs)
    coordinates = np.array([space.encode(config) for config in configs])  # [T, d]
    times = np.arange(len(configs)) - (len(configs) - 1) / 2
    slope = times @ coordinates / (times @ times) if shape == "linear" else np.zeros(len(space))
    fitted = np.clip(coordinates.mean(axis=0) + np.outer(times, slope), 0.0, 1.0)
    voted = {
        name: Counter(config[name] for config in configs).most_common(1)[0][0]
        for name, parameter in space.parameters.items()
        if isinstance(parameter, Choice)
    }
    return [space.decode(space.replaced(u, voted)) for u in fitted]
