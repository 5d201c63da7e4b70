"""When a member of a population goes back, and where to: the test against the archive (Zhang et al. 2021, section 4).

A member whose score lies below that of the worst archived checkpoint by more than a margin goes back to one of the
archived ones, drawn uniformly: model, data, and the config it was trained with, which is then explored by tabu search.

The margin is one of

- ``"ratio"``, the paper's: a fraction of the size of the worst archived score. It means little where returns may be
  near 0 or all alike but for a large constant. Written without the division that fails at 0.
- ``"spread"``, ours: in standard deviations of a single return, the noise itself. They are estimated within the windows
  of the members' newest scores, and the median over members is taken: a member's own spread would be large just when
  it falls, and hide the fall. Without two returns in any window there is no estimate, and nobody goes back.
"""

from dataclasses import dataclass
from math import fsum, inf, isfinite, sqrt
from statistics import median
from typing import Any, Literal, TypeAlias

import numpy as np

from cartwheel.records import Config, Segment, SegmentId, Value
from cartwheel.tuners.history import History
from cartwheel.tuners.populations.archive import Archive, Record
from cartwheel.tuners.populations.tabu import Tabu

MarginUnit: TypeAlias = Literal["spread", "ratio"]


@dataclass(frozen=True, slots=True)
class Margin:
    """``size`` in units of ``unit``."""

    size: float
    unit: MarginUnit

    def is_below(self, score: float, worst: float, spread: float | None) -> bool:
        """Whether ``score`` lies below ``worst`` by more than the margin. ``spread`` None: it is not known."""
        unit = abs(worst) if self.unit == "ratio" else spread
        return score == -inf or (unit is not None and score - worst < -self.size * unit)


class Backtracking:
    """``every_segments`` 0: after 2, 4, 6, ... segments, from 10 on a fifth of those so far apart.

    That is max(2, generations // 5), with the generations so far instead of those planned: a study may be extended,
    and what was decided before must not depend on it.
    """

    def __init__(
        self, archive: Archive, tabu: Tabu, margin: Margin, every_segments: int, is_age_compared: bool
    ) -> None:
        self._archive, self._tabu, self._margin = archive, tabu, margin
        self._every_segments, self._is_age_compared = every_segments, is_age_compared

    def learn(self, history: History, members: list[Segment]) -> None:
        """Archive what a generation reached."""
        for own in members:
            self._archive.add(Record(own.trial, own.id, own.stop, history.score(own.id)))

    def is_due(self, num_segments: int) -> bool:
        """Whether members are tested, instead of truncated, when each has run so many segments."""
        if self._every_segments:
            return num_segments % self._every_segments == 0
        due = 2
        while due < num_segments:
            due += max(2, due // 5)
        return due == num_segments

    def returning(self, history: History, members: list[Segment]) -> dict[int, list[Record]]:
        """Who goes back, by trial, and the checkpoints to draw from."""
        spread = spread_of([entry.tail for own in members if (entry := history.find(own.id)) is not None])
        ages = {own.stop: float(own.stop) if self._is_age_compared else inf for own in members}
        records = {stop: self._archive.best(max_age) for stop, max_age in ages.items()}
        return {
            own.trial: found
            for own in members
            if (found := records[own.stop]) and self._margin.is_below(history.score(own.id), found[-1].score, spread)
        }

    def returnable(self, age: int) -> list[Record]:
        """What members of at least that age may go back to, from there on, and from wherever they went back to."""
        if not self._is_age_compared:
            return self._archive.best()
        found = self._archive.best_from(age)
        lowest = min([age, *(record.age for record in found)])
        return found if lowest == age else self.returnable(lowest)

    def explore(self, source: SegmentId, config: Config, rng: np.random.Generator) -> dict[str, Value]:
        """The config to go on with from ``source``, which was trained with ``config``."""
        return self._tabu(source, config, rng)

    def state(self) -> dict[str, Any]:
        return {"archive": self._archive.state(), "tabu": self._tabu.state()}


def spread_of(windows: list[tuple[float, ...]]) -> float | None:
    """The median over windows of the standard deviation of the returns in each; None if no window has two."""
    return (
        median(known) if (known := [_deviation(w) for w in windows if len(w) > 1 and all(map(isfinite, w))]) else None
    )


def _deviation(window: tuple[float, ...]) -> float:
    mean = fsum(window) / len(window)
    return sqrt(fsum((value - mean) ** 2 for value in window) / (len(window) - 1))
