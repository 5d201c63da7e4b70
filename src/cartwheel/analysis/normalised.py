"""Several tasks in one number: returns on a scale where 0 is acting at random and 1 is the default config, rerun.

Both ends come from the studies themselves: every training begins with a random episode, and the default config is a
control of every comparison. A task on which the default config is no better than chance has no such scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cartwheel.analysis.evidence import ArmResult, Question, TaskEvidence
from cartwheel.analysis.hierarchical import (
    Strata,
    aggregate_interval,
    as_drawn,
    ends,
    expanded_level,
    improvement,
    iqm_of,
    num_independent,
    profile_of,
    resamples,
)
from cartwheel.analysis.statistics import Array, Interval, iqm
from cartwheel.seeds import numpy_rng


@dataclass(frozen=True, slots=True)
class Overall:
    """Arms over all tasks that have a scale; ``left_out``: those that have none, and why."""

    question: Question
    arms: tuple[str, ...]
    tasks: tuple[str, ...]
    left_out: Mapping[str, str]
    iqm: tuple[Interval, ...]
    chances: dict[tuple[str, str], Interval]


@dataclass(frozen=True, slots=True)
class Profile:
    """Per threshold the fraction of runs above it, with a pointwise 95% band."""

    arm: str
    thresholds: Array
    fractions: Array
    low: Array
    high: Array


def scale(task: TaskEvidence, default: str | None) -> tuple[float, float] | str:
    """The returns that are 0 and 1, or why there is no such scale. ``default``: the arm that trained the default."""
    arm = next((arm for arm in task.arms if arm.arm == default), None)
    seeds = sorted(arm.test_seeds("rerun")) if arm is not None else []
    if arm is None or not seeds:
        return "nobody trained the default config anew"
    zero = float(np.mean([study.random_return for own in task.arms for study in own.studies]))
    one = float(iqm(arm.scores("rerun", seeds).ravel()))
    if not math.isfinite(zero):
        return "nobody acted at random"
    return (zero, one) if math.isfinite(one) and one > zero else "the default config is no better than chance"


def overall(tasks: Sequence[TaskEvidence], defaults: Mapping[str, str], question: Question) -> Overall | None:
    """The arms that every task has, over the tasks that have a scale; None if no task or no arm is left.

    ``defaults``: by task the arm that trained the default config.
    """
    scales = {task.task: scale(task, defaults.get(task.task)) for task in tasks}
    scaled = {task: ends_ for task, ends_ in scales.items() if not isinstance(ends_, str)}
    left_out = {task: reason for task, reason in scales.items() if isinstance(reason, str)}
    used = [task for task in tasks if task.task in scaled]
    arms = _common_arms(used, question)
    if not arms:
        return None
    strata = [_scaled(task, arms, question, scaled[task.task]) for task in used]
    intervals = [aggregate_interval(strata, iqm_of(k), numpy_rng("overall", arm)) for k, arm in enumerate(arms)]
    chances = {
        (first, second): aggregate_interval(strata, improvement(i, j), numpy_rng("overall", first, second))
        for i, first in enumerate(arms)
        for j, second in enumerate(arms)
        if i > j
    }
    return Overall(question, tuple(arms), tuple(scaled), left_out, tuple(intervals), chances)


def profiles(strata: Strata, arms: Sequence[str], num_thresholds: int = 100) -> list[Profile]:
    """Performance profiles of arms on the tasks of ``strata``, from the least to the greatest finite score."""
    scores = np.concatenate([arm.ravel() for arms_ in strata for arm in arms_])
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return []
    thresholds = np.linspace(finite.min(), finite.max(), num_thresholds)
    drawn = resamples(strata, numpy_rng("profiles", *arms), num_resamples=500)
    level, found = expanded_level(num_independent(strata)), []
    for k, arm in enumerate(arms):
        low, high = ends(profile_of(k, thresholds)(drawn), level)
        found.append(Profile(arm, thresholds, profile_of(k, thresholds)(as_drawn(strata))[0], low, high))
    return found


def task_strata(task: TaskEvidence, question: Question) -> tuple[Strata, list[str]]:
    """The scores of the arms of one task that were tested, on common test seeds, and the arms' names."""
    arms = [arm for arm in task.arms if arm.test_seeds(question)]
    seeds = _seeds(arms, question)
    return ([[arm.scores(question, seeds) for arm in arms]] if seeds else []), [arm.arm for arm in arms]


def _common_arms(tasks: Sequence[TaskEvidence], question: Question) -> list[str]:
    if not tasks:
        return []
    tested = [[arm.arm for arm in task.arms if arm.test_seeds(question)] for task in tasks]
    return [arm for arm in tested[0] if all(arm in of_task for of_task in tested)]


def _scaled(task: TaskEvidence, names: Sequence[str], question: Question, scale_: tuple[float, float]) -> list[Array]:
    arms = [next(arm for arm in task.arms if arm.arm == name) for name in names]
    seeds, (zero, one) = _seeds(arms, question), scale_
    return [(arm.scores(question, seeds) - zero) / (one - zero) for arm in arms]


def _seeds(arms: Sequence[ArmResult], question: Question) -> list[int]:
    return sorted(set.intersection(*(arm.test_seeds(question) for arm in arms))) if arms else []
