"""What a tuner had found after how much: its incumbent's score against everything that was spent until then.

Spent are the env steps of *all* agents, random and broken episodes included, and the devices' seconds. The score is
that of training: it was selected, so it is optimistic, the more the more was tried. It shows when something was found;
what was found is a question for test seeds.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cartwheel.analysis.tables import StudyTables, broken_episodes, segment_score
from cartwheel.records import Episode, SegmentId

Axis: TypeAlias = Literal["env_steps", "device_s", "wall_s"]


@dataclass(frozen=True, slots=True)
class Spent:
    """``wall_s`` is the study's own wall time, spread over its devices' seconds: single events have no clock."""

    env_steps: int
    device_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class IncumbentCurve:
    """After each segment that ended: what was spent, and the incumbent's training score, -inf before there is one."""

    spent: tuple[Spent, ...]
    scores: tuple[float, ...]

    def at(self, amount: float, axis: Axis) -> float:
        """The score when ``amount`` was spent; NaN where the study had not ended a segment, or had spent less in all.

        A tenth of a percent less is as much: totals differ by where random episodes end.
        """
        amounts = [float(getattr(spent, axis)) for spent in self.spent]
        if not amounts or amount > amounts[-1] * 1.001:
            return math.nan
        place = bisect.bisect_right(amounts, amount)
        return self.scores[place - 1] if place else math.nan


def incumbent_curve(tables: StudyTables, order: Sequence[SegmentId]) -> IncumbentCurve:
    """The course of a study whose segments ended in this order.

    Where the tuner stops trials early, the incumbent is the best of those that trained for longest, as in its ranking.
    """
    total = sum(map(_seconds, _everything(tables)))
    best, env_steps, device_s = (-1, -math.inf), 0, 0.0
    spent, scores = [], []
    for segment in order:
        report = tables.reports[segment]
        ran = [*report.episodes, *([] if report.broken is None else [report.broken])]
        env_steps += sum(episode.env_steps for episode in ran)
        device_s += sum(map(_seconds, ran))
        value = segment_score(tables, segment)
        if value > -math.inf:
            best = max(best, (tables.segments[segment].stop if tables.ranks_longest_first else 0, value))
        wall_s = tables.timing.wall_s * device_s / total if total > 0 else 0.0
        spent.append(Spent(env_steps, device_s, wall_s))
        scores.append(best[1])
    return IncumbentCurve(tuple(spent), tuple(scores))


def _everything(tables: StudyTables) -> list[Episode]:
    return [*(episode for ran in tables.episodes.values() for episode in ran), *broken_episodes(tables)]


def _seconds(episode: Episode) -> float:
    seconds: Mapping[str, float] = episode.seconds
    return math.fsum(seconds.values())
