"""Sentences about arms, made from the numbers: what may be claimed, what is an indication, and what nobody knows."""

import math
from collections.abc import Mapping, Sequence

from cartwheel.analysis.evidence import MIN_TUNER_SEEDS, ArmRow, AtEqual, Difference, Question, TaskEvidence
from cartwheel.analysis.normalised import Overall, Profile
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.wording import decimals_for, fixed, listed, number, plural

ASKED: Mapping[Question, str] = {
    "agent": "the tuned agent, its checkpoint played",
    "rerun": "new agents trained under what was found",
}
SHORT: Mapping[Question, str] = {"agent": "the tuned agent", "rerun": "new agents, rerun"}
"""For titles."""
UNITS = {"env_steps": "env steps", "device_s": "device seconds", "wall_s": "seconds of wall time"}


def result_sentences(task: TaskEvidence) -> list[str]:
    """One per question: the best arm, and what it is better than."""
    return [sentence for question in ASKED if (sentence := _result(task, question))]


def cost_sentence(task: TaskEvidence) -> str:
    """Whether the totals are equal."""
    totals = [arm.env_steps for arm in task.arms]
    text = (
        f"Totals of env steps, of all agents and of validation, are {number(min(totals))} to {number(max(totals))} a "
        "study."
        if max(totals) > min(totals)
        else f"Every study took {number(totals[0])} env steps in all."
    )
    return f"{text} Tests are not counted: they are alike for all arms. Failed trainings count as the worst."


def seeds_sentence(task: TaskEvidence) -> str:
    """What the numbers rest on."""
    tuner_seeds = sorted({len(arm.studies) for arm in task.arms})
    tests = sorted({row.num_test_seeds for row in task.rows})
    return (
        f"{_range(tuner_seeds, 'tuner seed')} and {_range(tests, 'test seed')} an arm; a claim takes at least "
        f"{MIN_TUNER_SEEDS} tuner seeds."
    )


def at_equal_sentence(found: AtEqual) -> str:
    """The scores at an equal total."""
    told = [
        f"{arm} {number(interval.point)}" if interval is not None else f"{arm} had none"
        for arm, interval in found.scores.items()
    ]
    return f"After {number(found.amount)} {UNITS[found.axis]}, the least that any study spent: {listed(told)}."


def profile_sentence(profiles: Sequence[Profile], question: Question) -> str:
    """How to read the figure, and the median runs."""
    medians = []
    for profile in profiles:
        above = profile.thresholds[profile.fractions >= 0.5]
        medians.append(f"{number(float(above[-1]))} of {profile.arm}" if len(above) else f"none of {profile.arm}")
    return (
        f"Of {ASKED[question]}: a curve is the fraction of runs, over tuner seeds and test seeds, that returned more "
        f"than the value below it, with its pointwise 95% band. Half of the runs returned at least {listed(medians)}."
    )


def overall_sentence(found: Overall) -> str:
    """What the scale is, which tasks are in it, and who is first."""
    best = max(range(len(found.arms)), key=lambda k: found.iqm[k].point)
    text = (
        f"Over {plural(len(found.tasks), 'task')} ({listed(found.tasks)}), on a scale where 0 is acting at random and "
        f"1 the IQM of new agents under the default config: {found.arms[best]} has the highest IQM, "
        f"{number(found.iqm[best].point)} (95% interval {_ends(found.iqm[best])}). Both ends of the scale are taken as "
        "known, so an interval above 1 is no test against the default."
    )
    if found.left_out:
        text += f" Left out: {listed([f'{task} ({why})' for task, why in found.left_out.items()])}."
    return text


def range_text(interval: Interval | None) -> list[str]:
    """Point and ends as cells of a table."""
    return ["-", "-"] if interval is None else [number(interval.point), _ends(interval)]


def _result(task: TaskEvidence, question: Question) -> str:
    tested = [(row, interval) for row in task.rows if (interval := _of(row, question)) is not None]
    if not tested:
        return ""
    best, interval = max(tested, key=lambda pair: pair[1].point)
    name = best.arm.arm
    text = (
        f"{ASKED[question][0].upper()}{ASKED[question][1:]}: {name} returned most, {number(interval.point)} "
        f"(IQM over {plural(len(best.arm.studies), 'tuner seed')} and {plural(best.num_test_seeds, 'test seed')}, 95% "
        f"interval {_ends(interval)})"
    )
    others: dict[str, list[str]] = {}
    for d in task.differences:
        if d.question == question and name in (d.first, d.second):
            others.setdefault(_verdict(name, d), []).append(_other(name, d))
    return "; ".join([text, *(verdict.format(listed(them)) for verdict, them in others.items())]) + "."


def _verdict(name: str, difference: Difference) -> str:
    """``better than {}``, from this arm's side; the others' names go between the braces."""
    match difference.verdict:
        case "unclear":
            return "not to be told from {}"
        case "not at equal cost":
            return "ahead of {}, but it spent more"
    is_better = (difference.verdict == "better") == (difference.first == name)
    words = f"{'better' if is_better else 'worse'} than {{}}"
    return words if difference.is_claim else f"as an indication, from few tuner seeds, {words}"


def _other(name: str, difference: Difference) -> str:
    """``default (+12.1, +3.2 to +20.4)``: by how much this arm is above it, with the interval."""
    is_first = difference.first == name
    other = difference.second if is_first else difference.first
    interval = difference.interval if is_first else _turned(difference.interval)
    return f"{other} ({_signed(interval.point)}, {_signed(interval.low)} to {_signed(interval.high)})"


def _of(row: ArmRow, question: Question) -> Interval | None:
    found: Interval | None = getattr(row, question)
    return found


def _turned(interval: Interval) -> Interval:
    return Interval(-interval.point, -interval.high, -interval.low)


def _ends(interval: Interval) -> str:
    decimals = decimals_for([interval.low, interval.high])
    return f"{fixed(interval.low, decimals)} to {fixed(interval.high, decimals)}"


def _signed(value: float) -> str:
    return fixed(value, decimals_for([value]) if math.isfinite(value) else 0, signed=True)


def _range(counts: Sequence[int], noun: str) -> str:
    return plural(counts[0], noun) if len(counts) == 1 else f"{counts[0]} to {plural(counts[-1], noun)}"
