"""Transfer: what configs and schedules found on one task are worth on it and on others, and what it costs to move them.

Everything that is moved trains new agents on the target's test seeds, beside the default config on the same seeds.
A cell of the matrix is the IQM of these returns, over tuner seeds and test seeds, and its difference to the default's.
The *price of transferring* is what a dynamic schedule returns less what a static incumbent of the same source does; the
*cost of simplifying* what schedules return less what they do as they were found.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from cartwheel.analysis.evidence import MIN_TUNER_SEEDS, StudyResult
from cartwheel.analysis.hierarchical import aggregate_interval, iqm_difference, iqm_of
from cartwheel.analysis.statistics import Array, Interval
from cartwheel.seeds import numpy_rng
from cartwheel.tuners.registry import TUNERS

Kind: TypeAlias = Literal["static", "dynamic"]
"""Whether what is moved keeps one config or changes it over episodes."""
SELECTION_ONLY = "selection-only"


@dataclass(frozen=True, slots=True)
class Moved:
    """The new agents under one schedule on one target: scores by test seed, -inf where a training failed.

    ``arm`` names how it was found ("pbt", "pbt, 3 pieces", a file's name), ``source`` the task it was found on.
    ``whole`` is the arm whose schedule this is, simplified; empty if it is as it was found.
    """

    source: str
    arm: str
    kind: Kind
    tuner_seed: int
    target: str
    scores: Mapping[int, float]
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the matrix; ``gain``: against the default config on the same test seeds, None without it."""

    source: str
    arm: str
    kind: Kind
    target: str
    iqm: Interval
    gain: Interval | None
    num_schedules: int
    num_test_seeds: int

    @property
    def is_home(self) -> bool:
        """Whether it was moved to new seeds only."""
        return self.source == self.target

    @property
    def is_claim(self) -> bool:
        """Whether enough tuner seeds found what was moved; with fewer it is an indication."""
        return self.num_schedules >= MIN_TUNER_SEEDS


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm minus another, both found on ``source`` and followed on ``target``."""

    source: str
    target: str
    first: str
    second: str
    interval: Interval
    is_claim: bool


def kind_of_tuner(name: str) -> Kind:
    """Whether what a tuner finds changes over episodes. Copying alone changes no value along a lineage."""
    return "dynamic" if TUNERS[name].is_dynamic and name != SELECTION_ONLY else "static"


def with_home(moved: Sequence[Moved], tested: Sequence[tuple[StudyResult, Kind]]) -> list[Moved]:
    """What was moved, and the reruns of tested studies: the same, moved to new seeds of the own task only."""
    home = [
        Moved(result.task, result.arm, kind, result.tuner_seed, result.task, result.rerun) for result, kind in tested
    ]
    known = {(one.source, one.arm, one.tuner_seed, one.target) for one in moved}
    return [*moved, *(one for one in home if (one.source, one.arm, one.tuner_seed, one.target) not in known)]


def matrix(moved: Sequence[Moved], defaults: Mapping[str, Mapping[int, float]]) -> list[Cell]:
    """A cell for every (source, arm, target); ``defaults``: by target the scores of the default config."""
    return [_cell(group, defaults.get(group[0].target)) for group in _groups(moved)]


def prices(moved: Sequence[Moved]) -> list[Contrast]:
    """Dynamic minus static: each dynamic arm less each static one of its source, on every target that both reached."""
    groups = _groups(moved)
    return [
        _contrast("price", dynamic, static)
        for dynamic in groups
        for static in groups
        if (dynamic[0].kind, static[0].kind) == ("dynamic", "static")
        and (dynamic[0].source, dynamic[0].target) == (static[0].source, static[0].target)
        and _common([*dynamic, *static])
    ]


def simplifying(moved: Sequence[Moved]) -> list[Contrast]:
    """Simplified minus as found, of the tuner seeds that have both: a schedule of few pieces is never simplified."""
    found = []
    for simple in _groups([one for one in moved if one.whole]):
        first = simple[0]
        seeds = {one.tuner_seed for one in simple}
        whole = [
            one
            for one in moved
            if (one.source, one.arm, one.target) == (first.source, first.whole, first.target)
            and one.tuner_seed in seeds
        ]
        if whole and _common([*simple, *whole]):
            both = {one.tuner_seed for one in whole}
            found.append(_contrast("simplifying", [one for one in simple if one.tuner_seed in both], whole))
    return found


def _groups(moved: Sequence[Moved]) -> list[list[Moved]]:
    found: dict[tuple[str, str, str], list[Moved]] = {}
    for one in moved:
        found.setdefault((one.source, one.arm, one.target), []).append(one)
    return list(found.values())


def _cell(group: Sequence[Moved], default: Mapping[int, float] | None) -> Cell:
    first, seeds = group[0], _common(group)
    names = (first.source, first.arm, first.target)
    interval = aggregate_interval([[_scores(group, seeds)]], iqm_of(0), numpy_rng("transfer", *names))
    shared = [seed for seed in seeds if default is not None and seed in default]
    gain = None
    if default is not None and shared:
        beside = np.array([[default[seed] for seed in shared]])
        gain = aggregate_interval(
            [[_scores(group, shared), beside]], iqm_difference(0, 1), numpy_rng("transfer gain", *names)
        )
    return Cell(*names[:2], first.kind, first.target, interval, gain, len(group), len(seeds))


def _contrast(what: str, first: Sequence[Moved], second: Sequence[Moved]) -> Contrast:
    seeds = _common([*first, *second])
    names = (first[0].source, first[0].target, first[0].arm, second[0].arm)
    strata = [[_scores(first, seeds), _scores(second, seeds)]]
    interval = aggregate_interval(strata, iqm_difference(0, 1), numpy_rng(what, *names))
    return Contrast(*names, interval, min(len(first), len(second)) >= MIN_TUNER_SEEDS)


def _common(group: Sequence[Moved]) -> list[int]:
    return sorted(set.intersection(*(set(one.scores) for one in group)))


def _scores(group: Sequence[Moved], seeds: Sequence[int]) -> Array:
    return np.array([[one.scores.get(seed, -math.inf) for seed in seeds] for one in group])
