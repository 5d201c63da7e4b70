"""What tuning bought: arms trained anew on common fresh seeds, compared in pairs, and one sentence about it.

An *arm* is what an agent was trained under: the default config, the best config of a Random Search, a schedule. Its
runs share their seeds with the other arms', so differences are taken seed by seed. The sentence is made from the
numbers alone, whichever way they come out.

A run that failed has no return. It is left out of its pairs and counted in the sentence, and an arm that failed more
often than the other is never called better.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cartwheel.analysis.statistics import Interval, mean_interval, paired_difference, probability_of_improvement
from cartwheel.analysis.wording import decimals_for, fixed, listed, number, plural
from cartwheel.records import Config

Outcome = Literal["better", "worse", "unclear"]

NOTEWORTHY_COMPUTE_RATIO = 1.1
"""A found schedule that plans with this much more compute than an arm says so in the headline."""


@dataclass(frozen=True, slots=True)
class Run:
    """One fresh training under an arm: the returns of its evaluation episodes, none if the training failed."""

    seed: int
    returns: tuple[float, ...]
    reason: str = ""

    @property
    def mean(self) -> float:
        """Mean evaluation return; NaN if the run failed or any return is not finite."""
        is_good = self.returns and all(map(math.isfinite, self.returns))
        return sum(self.returns) / len(self.returns) if is_good else math.nan


@dataclass(frozen=True, slots=True)
class Arm:
    """``configs`` has one entry per model-driven episode of the training.

    ``label`` reads well after "training under"; ``tuning_env_steps`` is what finding the configs cost.
    """

    name: str
    label: str
    configs: tuple[Config, ...]
    runs: tuple[Run, ...]
    tuning_env_steps: int = 0

    @property
    def means(self) -> dict[int, float]:
        """Mean evaluation return by seed, of the runs that did not fail."""
        return {run.seed: run.mean for run in self.runs if math.isfinite(run.mean)}

    @property
    def num_failed(self) -> int:
        """Runs without a finite return."""
        return len(self.runs) - len(self.means)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the same planner gets with the true dynamics in place of the learned model."""

    mean: float
    num_episodes: int
    under: str = "the default config"


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """``interval`` is the mean over runs with its 95% interval, None if every run failed."""

    arm: Arm
    interval: Interval | None
    network_evaluations_per_env_step: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The found arm minus a baseline, seed by seed. ``interval`` is None without a common finished seed."""

    baseline: str
    interval: Interval | None
    num_pairs: int
    probability: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Comparison:
    """All arms, and the last one, which was found by tuning, against each of the others."""

    summaries: tuple[ArmSummary, ...]
    differences: tuple[Difference, ...]
    ceiling: Ceiling | None = None

    @property
    def found(self) -> ArmSummary:
        return self.summaries[-1]

    @property
    def baselines(self) -> tuple[ArmSummary, ...]:
        return self.summaries[:-1]

    @property
    def decimals(self) -> int:
        """How many decimals all returns of this comparison are shown with."""
        return decimals_for(summary.interval.point for summary in self.summaries if summary.interval)


def mean_network_evaluations(configs: Sequence[Config], per_env_step: Callable[[Config], float]) -> float:
    """Network evaluations per env step of a training, averaged over its episodes; NaN without episodes.

    ``per_env_step`` knows the planner: iCEM's samples shrink from iteration to iteration.
    """
    return sum(map(per_env_step, configs)) / len(configs) if configs else math.nan


def compare(arms: Sequence[Arm], per_env_step: Callable[[Config], float], ceiling: Ceiling | None = None) -> Comparison:
    """Compare the last arm, the found one, with each of the others on their common seeds."""
    if not arms:
        raise ValueError("nothing to compare: no arm")
    *baselines, found = arms
    summaries = tuple(
        ArmSummary(
            arm,
            mean_interval(list(arm.means.values())) if arm.means else None,
            mean_network_evaluations(arm.configs, per_env_step),
        )
        for arm in arms
    )
    return Comparison(summaries, tuple(_difference(found, baseline) for baseline in baselines), ceiling)


def headline(comparison: Comparison) -> str:
    """One sentence: what training under the found arm gave, against each baseline, and at what compute."""
    found = comparison.found
    if found.interval is None:
        return (
            f"Nothing can be said about {found.arm.label} found by this one study: "
            f"all {plural(len(found.arm.runs), 'training')} under it failed."
        )
    seeds = plural(len(found.arm.means), "fresh seed")
    value = fixed(found.interval.point, comparison.decimals)
    verdicts = listed([_verdict(comparison, difference) for difference in comparison.differences])
    result = f"On {seeds}, training anew under {found.arm.label} found by this one study returned {value} on average"
    return f"{result}{': ' if verdicts else ''}{verdicts}{_compute_clause(comparison)}{_failure_clause(comparison)}."


def compute_sentence(comparison: Comparison) -> str:
    """What each arm's planning costs, and that a longer horizon buys returns with compute."""
    costs = [
        f"{summary.network_evaluations_per_env_step:,.0f} under {summary.arm.label}"
        for summary in comparison.summaries
        if math.isfinite(summary.network_evaluations_per_env_step)
    ]
    if not costs:
        return "What planning cost is not known."
    return (
        f"Network evaluations per env step, averaged over the training's episodes: {listed(costs)}. "
        "They are iterations x samples x particles x plan horizon: a longer horizon or more samples buys compute, "
        "so part of a difference in return may be bought rather than found."
    )


def ceiling_sentence(ceiling: Ceiling) -> str:
    """What the ceiling is, how many episodes it rests on, and what it is a ceiling of."""
    return (
        f"With the true dynamics in place of the learned model, the same planner under {ceiling.under} returns "
        f"{number(ceiling.mean)} (mean of {plural(ceiling.num_episodes, 'episode')}): what agents under "
        f"{ceiling.under} lack of that is the model's; other configs have ceilings of their own."
    )


def arms_to_json(arms: Sequence[Arm], ceiling: Ceiling | None = None) -> dict[str, Any]:
    """JSON-ready; ``arms_from_json`` is its inverse."""
    return {
        "arms": [dataclasses.asdict(arm) for arm in arms],
        "ceiling": None if ceiling is None else dataclasses.asdict(ceiling),
    }


def arms_from_json(data: Mapping[str, Any]) -> tuple[tuple[Arm, ...], Ceiling | None]:
    """The arms and the ceiling that ``arms_to_json`` wrote."""
    arms = tuple(
        Arm(
            **{
                **arm,
                "configs": tuple(arm["configs"]),
                "runs": tuple(Run(**{**run, "returns": tuple(run["returns"])}) for run in arm["runs"]),
            }
        )
        for arm in data["arms"]
    )
    return arms, None if data["ceiling"] is None else Ceiling(**data["ceiling"])


def _difference(found: Arm, baseline: Arm) -> Difference:
    seeds = sorted(found.means.keys() & baseline.means.keys())
    if not seeds:
        return Difference(baseline.name, None, 0, math.nan, "unclear")
    first, second = [found.means[seed] for seed in seeds], [baseline.means[seed] for seed in seeds]
    interval = paired_difference(first, second)
    outcome: Outcome = "unclear"
    if interval.low > 0 and found.num_failed <= baseline.num_failed:
        outcome = "better"
    if interval.high < 0 and found.num_failed >= baseline.num_failed:
        outcome = "worse"
    return Difference(baseline.name, interval, len(seeds), probability_of_improvement(first, second), outcome)


def _verdict(comparison: Comparison, difference: Difference) -> str:
    (baseline,) = (s for s in comparison.baselines if s.arm.name == difference.baseline)
    label = baseline.arm.label
    if difference.interval is None or baseline.interval is None:
        return f"not comparable with {label}, which has no finished training on a common seed"
    decimals = comparison.decimals
    mean = fixed(baseline.interval.point, decimals)
    if difference.num_pairs < 2:
        return f"not comparable with {label} ({mean}) on a single common seed"
    words = f"{difference.outcome} than {label}"
    if difference.outcome == "unclear":
        words = f"neither better nor worse than {label} as far as {difference.num_pairs} seeds can tell"
        if difference.interval.excludes_zero:
            words = f"not to be judged against {label}, because trainings failed that might have said otherwise"
    point, low, high = (fixed(value, decimals, signed=True) for value in dataclasses.astuple(difference.interval))
    return f"{words} ({mean}; paired difference {point}, 95% interval {low} to {high})"


def _compute_clause(comparison: Comparison) -> str:
    """Named when the found arm plans with noticeably more compute than a baseline; equal ratios are told once."""
    cost = comparison.found.network_evaluations_per_env_step
    by_ratio: dict[str, list[str]] = {}
    for summary in comparison.baselines:
        if cost > NOTEWORTHY_COMPUTE_RATIO * summary.network_evaluations_per_env_step:
            by_ratio.setdefault(f"{cost / summary.network_evaluations_per_env_step:.1f}", []).append(summary.arm.label)
    ratios = [f"{ratio} times those of {listed(labels)}" for ratio, labels in by_ratio.items()]
    return f"; its network evaluations per env step were {listed(ratios)}" if ratios else ""


def _failure_clause(comparison: Comparison) -> str:
    failed = [
        f"{summary.arm.num_failed} of {plural(len(summary.arm.runs), 'training')} under {summary.arm.label}"
        for summary in comparison.summaries
        if summary.arm.num_failed
    ]
    return f"; left out because they failed: {listed(failed)}" if failed else ""
