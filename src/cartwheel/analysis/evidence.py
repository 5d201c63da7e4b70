"""Studies side by side: arms under several tuner seeds, on common test seeds, at equal totals; and what that shows.

An *arm* is all that studies of one task have in common but their seed: a tuner with its settings, and what it tunes.
Two questions are answered apart. *agent*: what did tuning leave behind? The incumbent's checkpoint plays the test
seeds. *rerun*: what is its config or schedule worth? New agents are trained under it, one per test seed.

A comparison is called better or worse where the interval of the difference excludes zero, the winner did not spend
more, and both arms have at least five tuner seeds. With fewer seeds the same finding is an indication.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from cartwheel.analysis.hierarchical import (
    Strata,
    aggregate_interval,
    improvement,
    iqm_difference,
    iqm_of,
)
from cartwheel.analysis.incumbents import Axis, IncumbentCurve
from cartwheel.analysis.statistics import Array, Interval, bootstrap_interval, iqm
from cartwheel.analysis.tables import StudyTables
from cartwheel.seeds import numpy_rng

Question: TypeAlias = Literal["agent", "rerun"]
ASKED: tuple[Question, ...] = ("agent", "rerun")
Verdict: TypeAlias = Literal["better", "worse", "unclear", "not at equal cost"]

MIN_TUNER_SEEDS = 5
"""A claim about a tuner needs as many studies of it (Eimer et al. 2023: seeds of the tuner are what varies most)."""
EQUAL_TOTALS = 1.05
"""Totals of env steps that differ by less count as equal: whole trials seldom add up to the same number."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """One study. Scores by test seed; -inf for a training that failed.

    ``env_steps`` and ``device_s`` are what tuning cost in all, validation included; tests cost extra.
    """

    task: str
    arm: str
    tuner_seed: int
    agent: Mapping[int, float]
    rerun: Mapping[int, float]
    env_steps: int
    device_s: float
    curve: IncumbentCurve
    random_return: float = math.nan


@dataclass(frozen=True)
class Compared:
    """One study: its result among the others, and its own tables."""

    run_dir: Path
    result: StudyResult
    tables: StudyTables


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The studies of one arm on one task, in the order of their seeds."""

    task: str
    arm: str
    studies: tuple[StudyResult, ...]

    @property
    def env_steps(self) -> float:
        """Mean total of a study."""
        return math.fsum(study.env_steps for study in self.studies) / len(self.studies)

    @property
    def device_s(self) -> float:
        """Mean total of a study."""
        return math.fsum(study.device_s for study in self.studies) / len(self.studies)

    def test_seeds(self, question: Question) -> set[int]:
        """Those that every study of the arm has."""
        return set.intersection(*(set(getattr(study, question)) for study in self.studies))

    def scores(self, question: Question, seeds: Sequence[int]) -> Array:
        """Shape (studies, seeds)."""
        return np.array([[getattr(study, question)[seed] for seed in seeds] for study in self.studies])


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm's line of the table. An interval is None where nothing was tested."""

    arm: ArmResult
    agent: Interval | None
    rerun: Interval | None
    num_test_seeds: int


@dataclass(frozen=True, slots=True)
class Difference:
    """``first`` minus ``second``; ``chance``: that a run of the first beats one of the second."""

    question: Question
    first: str
    second: str
    interval: Interval
    chance: Interval
    verdict: Verdict
    is_claim: bool


@dataclass(frozen=True, slots=True)
class AtEqual:
    """The incumbents' training scores of each arm after an equal amount of env steps or device seconds."""

    axis: Axis
    amount: float
    scores: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class TaskEvidence:
    """All arms on one task."""

    task: str
    rows: tuple[ArmRow, ...]
    differences: tuple[Difference, ...]
    at_equal: tuple[AtEqual, ...] = field(default=())

    @property
    def arms(self) -> list[ArmResult]:
        return [row.arm for row in self.rows]


def arms_of(studies: Sequence[StudyResult]) -> list[ArmResult]:
    """By task and arm, in the order in which they first appear. Raises ValueError if a seed appears twice in an arm."""
    found: dict[tuple[str, str], list[StudyResult]] = {}
    for study in studies:
        found.setdefault((study.task, study.arm), []).append(study)
    for (task, arm), own in found.items():
        seeds = [study.tuner_seed for study in own]
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"two studies of {arm} on {task} have the same seed, so they are one and the same")
    return [
        ArmResult(task, arm, tuple(sorted(own, key=lambda study: study.tuner_seed)))
        for (task, arm), own in found.items()
    ]


def task_evidence(arms: Sequence[ArmResult]) -> TaskEvidence:
    """Every arm of one task, and every two of them compared, on the test seeds that all of them have."""
    task = arms[0].task
    rows = tuple(_row(arm) for arm in arms)
    differences = tuple(
        difference(first, second, question)
        for k, second in enumerate(arms)
        for first in arms[k + 1 :]
        for question in _questions(first, second)
    )
    axes: tuple[Axis, ...] = ("env_steps", "device_s")
    return TaskEvidence(task, rows, differences, tuple(at_equal(arms, axis) for axis in axes))


def difference(first: ArmResult, second: ArmResult, question: Question) -> Difference:
    """On the common test seeds. Raises ValueError without one."""
    seeds = sorted(first.test_seeds(question) & second.test_seeds(question))
    strata: Strata = [[first.scores(question, seeds), second.scores(question, seeds)]]
    names = ("difference", first.task, first.arm, second.arm, question)
    interval = aggregate_interval(strata, iqm_difference(0, 1), numpy_rng(*names))
    chance = aggregate_interval(strata, improvement(0, 1), numpy_rng(*names, "chance"))
    is_claim = min(len(first.studies), len(second.studies)) >= MIN_TUNER_SEEDS
    return Difference(
        question,
        first.arm,
        second.arm,
        interval,
        chance,
        _verdict(interval, first.env_steps, second.env_steps),
        is_claim,
    )


def at_equal(arms: Sequence[ArmResult], axis: Axis) -> AtEqual:
    """At the least total that a study of any arm has come to; the interval is over tuner seeds."""
    totals = [getattr(study.curve.spent[-1], axis) for arm in arms for study in arm.studies if study.curve.spent]
    amount = float(min(totals, default=0.0))
    return AtEqual(axis, amount, {arm.arm: curve_interval(arm, amount, axis) for arm in arms})


def curve_interval(arm: ArmResult, amount: float, axis: Axis) -> Interval | None:
    """The IQM of the incumbents' scores after ``amount``; None unless every study of the arm has an incumbent then."""
    values = [study.curve.at(amount, axis) for study in arm.studies]
    if not all(map(math.isfinite, values)):
        return None
    return bootstrap_interval(values, numpy_rng("curve", arm.task, arm.arm, axis), iqm, num_resamples=1_000)


def _row(arm: ArmResult) -> ArmRow:
    return ArmRow(arm, _iqm(arm, "agent"), _iqm(arm, "rerun"), len(arm.test_seeds("rerun") or arm.test_seeds("agent")))


def _iqm(arm: ArmResult, question: Question) -> Interval | None:
    seeds = sorted(arm.test_seeds(question))
    if not seeds:
        return None
    rng = numpy_rng("iqm", arm.task, arm.arm, question)
    return aggregate_interval([[arm.scores(question, seeds)]], iqm_of(0), rng)


def _questions(first: ArmResult, second: ArmResult) -> list[Question]:
    return [question for question in ASKED if first.test_seeds(question) & second.test_seeds(question)]


def _verdict(interval: Interval, first_steps: float, second_steps: float) -> Verdict:
    if not interval.excludes_zero or math.isnan(interval.point):
        return "unclear"
    winner, loser = (first_steps, second_steps) if interval.low > 0 else (second_steps, first_steps)
    if winner > EQUAL_TOTALS * loser:
        return "not at equal cost"
    return "better" if interval.low > 0 else "worse"
