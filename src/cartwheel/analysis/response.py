"""Response maps: the score as a function of one hyperparameter, or of two, whatever the others are.

Configs were drawn from the whole space, so a local mean over those nearby in one or two coordinates averages the others
out (Nadaraya and Watson's kernel regression, 1964, with a Gaussian kernel in the coordinates of the space). Where no
config is near, there is no value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cartwheel.analysis.statistics import Array
from cartwheel.spaces.space import Space
from cartwheel.tuners.models.optuna_samplers import Observed

GRID = 25
"""Points of the map along each coordinate."""
BANDWIDTH = 0.15
"""Standard deviation of the kernel in coordinates: about a quarter of the configs speak in each place."""
MIN_WEIGHT = 1.0
"""In units of a config right in that place: less than one config's worth of evidence gives no value."""


@dataclass(frozen=True, slots=True)
class ResponseMap:
    """``values`` over the grid of the coordinates of ``names``, NaN where nothing is known, and the points it is of."""

    names: tuple[str, ...]
    grid: Array
    values: Array
    points: Array
    scores: Array


def response(space: Space, observed: Sequence[Observed], names: Sequence[str]) -> ResponseMap:
    """The map of one or two hyperparameters. Raises ValueError for others numbers of names."""
    if len(names) not in (1, 2):
        raise ValueError(f"a map has one or two hyperparameters, got {len(names)}")
    sound = [one for one in observed if math.isfinite(one.score)]
    points = np.array([[space.parameters[name].encode(one.config[name]) for name in names] for one in sound])
    scores = np.array([one.score for one in sound])
    grid = np.linspace(0.0, 1.0, GRID)
    axes = np.stack(np.meshgrid(*[grid] * len(names), indexing="ij"), axis=-1)
    return ResponseMap(
        tuple(names), grid, local_mean(axes, points.reshape(len(sound), len(names)), scores), points, scores
    )


def local_mean(at: Array, points: Array, scores: Array) -> Array:
    """The kernel-weighted mean of the scores [n] of the points [n, d] at every place [..., d]; NaN far from all."""
    squared = ((at[..., None, :] - points) ** 2).sum(axis=-1)
    weights = np.exp(-0.5 * squared / BANDWIDTH**2)
    total = weights.sum(axis=-1)
    known = total >= MIN_WEIGHT
    return np.where(known, (weights * scores).sum(axis=-1) / np.where(known, total, 1.0), math.nan)
