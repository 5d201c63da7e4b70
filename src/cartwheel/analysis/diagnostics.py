"""Diagnostics of the models over episodes; docs/model.md says what each of them means."""

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from cartwheel.analysis.tables import StudyTables


@dataclass(frozen=True, slots=True)
class Track:
    """One diagnostic over episodes; both are equally long."""

    episodes: tuple[int, ...]
    medians: tuple[float, ...]


def track(tables: StudyTables, name: str) -> Track:
    """The median over all agents that recorded it, for every model-driven episode in which any did.

    The random episode is left out: the model that it judges has learned nothing yet.
    """
    values: dict[int, list[float]] = defaultdict(list)
    for episodes in tables.episodes.values():
        for episode in episodes:
            value = episode.metrics.get(name, math.nan)
            if math.isfinite(value) and not episode.is_random:
                values[episode.index].append(value)
    order = sorted(values)
    return Track(tuple(order), tuple(median(values[index]) for index in order))
