"""The archive of backtracking PBT: the best checkpoints that members ever had (Zhang et al. 2021, section 4).

Of each member the best-ever checkpoint counts, and of these the ``size`` best. Asked for an age, the archive answers
from what was reached up to that age, for a checkpoint of episode 40 says nothing about an agent of episode 10. For that
it keeps of each member the checkpoints that no younger one matches: few, since their scores rise with age.
"""

import dataclasses
from dataclasses import dataclass
from math import inf
from typing import Any

from cartwheel.records import SegmentId


@dataclass(frozen=True, slots=True)
class Record:
    """The checkpoint at the end of a segment that ``trial`` ran. ``age``: its model-driven episodes."""

    trial: int
    segment: SegmentId
    age: int
    score: float


class Archive:
    """Told of records, it answers which may be returned to."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._steps: dict[int, list[Record]] = {}

    def add(self, new: Record) -> None:
        """Keep a record if it beats all of the member's younger or equally old ones. -inf is never kept."""
        kept = self._steps.setdefault(new.trial, [])
        if new.score == -inf or any(old.age <= new.age and old.score >= new.score for old in kept):
            return
        beaten = [old for old in kept if old.age >= new.age and old.score <= new.score]
        self._steps[new.trial] = sorted((old for old in [*kept, new] if old not in beaten), key=lambda r: r.age)

    def best(self, max_age: float = inf) -> list[Record]:
        """At most ``size``, one per member, best first; ties: the older trial first."""
        newest = ([record for record in kept if record.age <= max_age][-1:] for kept in self._steps.values())
        return sorted((record for last in newest for record in last), key=lambda r: (-r.score, r.trial))[: self._size]

    def best_from(self, age: int) -> list[Record]:
        """What is among the best for that age, or for a higher one. For no age does a record come back once it left."""
        later = {record.age for kept in self._steps.values() for record in kept if record.age > age}
        found = {record for each in (age, *later) for record in self.best(each)}
        return sorted(found, key=lambda record: (record.trial, record.age))

    def state(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(record) for trial in sorted(self._steps) for record in self._steps[trial]]
