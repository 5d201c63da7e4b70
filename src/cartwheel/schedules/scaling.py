"""Schedules for other budgets: a published one with 500 samples a plan, followed with 48, is still the same in time.

A scaled schedule says so, in its file and wherever it is named: it is not what was found.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from cartwheel.errors import did_you_mean
from cartwheel.records import Config, Value
from cartwheel.schedules.schedule import Piece, Schedule, merged


def scaled(schedule: Schedule, factors: Mapping[str, float]) -> Schedule:
    """``schedule`` with the values of some hyperparameters, by name, times a factor.

    Whole numbers are rounded, halves up, and stay at least 1. Raises ValueError for a hyperparameter that the schedule
    does not have or whose values are no numbers, and for a factor that is not positive and finite.
    """
    if not factors:
        return schedule
    for name, factor in factors.items():
        if name not in schedule.pieces[0].config:
            raise ValueError(f"no hyperparameter {name!r}: {did_you_mean(name, schedule.pieces[0].config)}")
        if not (factor > 0 and math.isfinite(factor)):
            raise ValueError(f"a factor must be positive and finite, got {factor:g} for {name}")
    pieces = merged(Piece(piece.start, piece.stop, _scaled(piece.config, factors)) for piece in schedule.pieces)
    scales = {**schedule.scales, **{name: schedule.scales.get(name, 1.0) * by for name, by in factors.items()}}
    return replace(schedule, pieces=pieces, scales=scales)


def scales_in_words(schedule: Schedule) -> str:
    """``num_samples x 0.1``; empty for a schedule as it was found."""
    return ", ".join(f"{name} x {factor:.4g}" for name, factor in schedule.scales.items())


def _scaled(config: Config, factors: Mapping[str, float]) -> Config:
    return {name: _product(name, value, factors[name]) if name in factors else value for name, value in config.items()}


def _product(name: str, value: Value, factor: float) -> Value:
    if isinstance(value, str | bool):
        raise ValueError(f"{name} is {value!r}, which cannot be scaled")
    product = value * factor
    if not math.isfinite(product):
        raise ValueError(f"{name} {value:g} times {factor:g} is too large")
    return max(1, math.floor(product + 0.5)) if isinstance(value, int) else product
