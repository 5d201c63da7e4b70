"""Selection or tuning? How much of PBT's gain over default configs is copying lucky agents, and what a rerun keeps.

Four differences, of IQMs, each with its interval over tuner seeds and test seeds:

- the whole gain: agents of the dynamic tuner against the best of as many agents under the default config;
- copying: selection-only, which copies and never changes a value, against these;
- changing: the dynamic tuner against selection-only;
- what its schedule keeps: new agents under it against new agents under the default config. No copying here.

The second and the third add up to the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cartwheel.analysis.evidence import MIN_TUNER_SEEDS, ArmResult, Question
from cartwheel.analysis.hierarchical import aggregate_interval, iqm_difference
from cartwheel.analysis.statistics import Interval
from cartwheel.seeds import numpy_rng


@dataclass(frozen=True, slots=True)
class Part:
    """One of the differences."""

    name: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Of one dynamic arm on one task."""

    task: str
    arm: str
    whole: Part
    copying: Part
    changing: Part
    schedule: Part | None
    is_claim: bool

    @property
    def parts(self) -> list[Part]:
        return [self.whole, self.copying, self.changing, *([] if self.schedule is None else [self.schedule])]


def nearest_in_cost(controls: Sequence[ArmResult], arm: ArmResult) -> ArmResult:
    """The control of an arm, where there are several of one kind: the one that cost most nearly as many env steps."""
    return min(controls, key=lambda control: abs(control.env_steps - arm.env_steps))


def decompose(dynamic: ArmResult, selection_only: ArmResult, default: ArmResult) -> Decomposition | None:
    """None unless agents of all three arms were tested on common seeds."""
    whole = _part("the whole gain", dynamic, default, "agent")
    copying = _part("copying", selection_only, default, "agent")
    changing = _part("changing", dynamic, selection_only, "agent")
    if whole is None or copying is None or changing is None:
        return None
    schedule = _part("the schedule, rerun", dynamic, default, "rerun")
    num_seeds = min(len(arm.studies) for arm in (dynamic, selection_only, default))
    return Decomposition(dynamic.task, dynamic.arm, whole, copying, changing, schedule, num_seeds >= MIN_TUNER_SEEDS)


def _part(name: str, first: ArmResult, second: ArmResult, question: Question) -> Part | None:
    seeds = sorted(first.test_seeds(question) & second.test_seeds(question))
    if not seeds:
        return None
    strata = [[first.scores(question, seeds), second.scores(question, seeds)]]
    return Part(name, aggregate_interval(strata, iqm_difference(0, 1), numpy_rng("selection", name, first.task)))
