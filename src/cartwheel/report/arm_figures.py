"""Arms side by side: results, incumbents over cost, performance profiles, and several tasks in one number."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cartwheel.analysis.evidence import ArmResult, ArmRow, Question, TaskEvidence, curve_interval
from cartwheel.analysis.incumbents import Axis
from cartwheel.analysis.normalised import Overall, profiles, task_strata
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.wording import compact
from cartwheel.report.claims import (
    ASKED,
    SHORT,
    at_equal_sentence,
    cost_sentence,
    overall_sentence,
    profile_sentence,
    range_text,
    result_sentences,
)
from cartwheel.report.findings import Finding, Row, ends
from cartwheel.report.forest import ForestRow, Panel, forest
from cartwheel.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Layout,
    label_y,
    light_grid,
    new_figure,
    styled,
)

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, INK, MUTED)
"""By the arm's place among all arms of a page; beyond eight they come again, in other dashes."""
DASHES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, (4, 2)), (0, (1, 1)))
AXES: dict[Axis, str] = {
    "env_steps": "env steps of all agents",
    "device_s": "device seconds",
    "wall_s": "wall time, s",
}
GRID = 60
"""Points of an incumbent curve."""


def results(task: TaskEvidence) -> Finding:
    """Both questions, an interval per arm; a dot per study."""
    asked = [question for question in ASKED if any(_interval(row, question) for row in task.rows)] or list(ASKED)

    def draw(layout: Layout) -> Figure:
        colours = colours_of([arm.arm for arm in task.arms])
        panels = [
            Panel(
                ASKED[question],
                [
                    ForestRow(
                        row.arm.arm, _interval(row, question), colours[row.arm.arm], points=_means(row.arm, question)
                    )
                    for row in task.rows
                ],
            )
            for question in asked
        ]
        return forest(panels, "return (IQM over tuner seeds and test seeds, with its 95% interval)", layout)

    rows: list[Row] = [
        {
            "task": task.task,
            "arm": row.arm.arm,
            "tuner_seeds": len(row.arm.studies),
            "test_seeds": row.num_test_seeds,
            **ends(row.agent, "agent_"),
            **ends(row.rerun, "rerun_"),
            "env_steps": row.arm.env_steps,
            "device_s": row.arm.device_s,
        }
        for row in task.rows
    ]
    shown = [
        ["arm", "agent (IQM)", "95% interval", "rerun (IQM)", "95% interval", "tuner seeds", "env steps each",
         "device seconds each"],
        *(
            [row.arm.arm, *range_text(row.agent), *range_text(row.rerun), str(len(row.arm.studies)),
             f"{row.arm.env_steps:,.0f}", f"{row.arm.device_s:,.0f}"]
            for row in task.rows
        ),
    ]  # fmt: skip
    sentences = (*result_sentences(task), cost_sentence(task))
    return Finding(f"results-{_key(task)}", f"Results on {task.task}", sentences, draw, rows, shown)


def differences(task: TaskEvidence) -> Finding | None:
    """Every arm against every other: difference and probability of improvement. None without two tested arms."""
    if not task.differences:
        return None

    def draw(layout: Layout) -> Figure:
        asked = [question for question in ASKED if any(d.question == question for d in task.differences)]
        panels = [
            Panel(
                SHORT[question],
                [ForestRow(f"{d.first} against {d.second}", d.chance, BLUE if d.is_claim else MUTED)
                 for d in task.differences if d.question == question],
                0.5,
            )
            for question in asked
        ]  # fmt: skip
        return forest(panels, "chance that the first beats the second, with its 95% interval", layout)

    rows: list[Row] = [
        {
            "task": task.task, "question": d.question, "first": d.first, "second": d.second,
            **ends(d.interval, "difference_"), **ends(d.chance, "chance_"), "verdict": d.verdict, "claim": d.is_claim,
        }
        for d in task.differences
    ]  # fmt: skip
    shown = [
        ["first against second", "of the", "difference of IQMs", "95% interval", "chance that it wins", "verdict"],
        *(
            [f"{d.first} against {d.second}", d.question, *range_text(d.interval), f"{d.chance.point:.2f}",
             d.verdict if d.is_claim or d.verdict == "unclear" else f"{d.verdict} (an indication)"]
            for d in task.differences
        ),
    ]  # fmt: skip
    sentence = (
        "The probability of improvement is the chance that a run of the first arm beats one of the second on a test "
        "seed; one half means no difference. Blue rows rest on at least five tuner seeds in both arms, grey ones are "
        "indications. The differences are paired over test seeds."
    )
    return Finding(f"differences-{_key(task)}", f"Arm against arm on {task.task}", (sentence,), draw, rows, shown)


def incumbents(task: TaskEvidence) -> Finding:
    """What each arm had found after how much, against total env steps, device seconds and wall time."""
    timed = [axis for axis in AXES if all(arm.device_s > 0 or axis == "env_steps" for arm in task.arms)]
    curves = {(arm.arm, axis): _curve(arm, axis) for arm in task.arms for axis in timed}

    def draw(layout: Layout) -> Figure:
        colours = colours_of([arm.arm for arm in task.arms])
        is_wide = layout.panel_columns > 2
        with styled(layout):
            figure = new_figure(layout, 3.4 if is_wide else 0.6 + 2.0 * len(timed))
            grid = figure.subplots(*((1, len(timed)) if is_wide else (len(timed), 1)), squeeze=False).ravel()
            for axes, axis in zip(grid, timed, strict=True):
                for arm in task.arms:
                    _draw_curve(axes, curves[arm.arm, axis], colours[arm.arm], arm.arm)
                axes.set_xlabel(AXES[axis])
                axes.xaxis.set_major_locator(MaxNLocator(4))
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
                light_grid(axes)
            label_y(grid[0], "incumbent's score in training")
            _legend(figure, grid[0], layout)
        return figure

    rows: list[Row] = [
        {"task": task.task, "arm": arm, "axis": axis, "spent": amount, **ends(interval)}
        for (arm, axis), points in curves.items()
        for amount, interval in points
    ]
    about_time = " Wall time is each study's own, spread over its device seconds." if "wall_s" in timed else ""
    sentences = (
        "What each arm's incumbent had scored in training by then (IQM over tuner seeds, with its 95% band). These "
        f"scores were selected, so they are optimistic; what they are worth is in the results above.{about_time}",
        *(at_equal_sentence(found) for found in task.at_equal if found.amount > 0),
    )
    return Finding(f"incumbents-{_key(task)}", f"Incumbents over cost on {task.task}", sentences, draw, rows)


def performance_profiles(task: TaskEvidence, question: Question = "rerun") -> Finding | None:
    """Per return the fraction of runs above it; None where nothing was tested."""
    strata, names = task_strata(task, question)
    found = profiles(strata, names) if strata else []
    if not found:
        return None

    def draw(layout: Layout) -> Figure:
        colours = colours_of([arm.arm for arm in task.arms])
        with styled(layout):
            figure = new_figure(layout, 3.4)
            axes = figure.add_subplot()
            for profile in found:
                colour, dashes = colours[profile.arm], DASHES[names.index(profile.arm) // len(COLOURS)]
                axes.fill_between(profile.thresholds, profile.low, profile.high, color=colour, alpha=0.07, linewidth=0)
                axes.plot(profile.thresholds, profile.fractions, color=colour, label=profile.arm, linestyle=dashes)
            axes.set_xlabel("return")
            label_y(axes, "fraction of runs that returned more")
            light_grid(axes)
            _legend(figure, axes, layout)
        return figure

    rows: list[Row] = [
        {"task": task.task, "arm": p.arm, "return": x, "fraction": y, "low": low, "high": high}
        for p in found
        for x, y, low, high in zip(
            p.thresholds.tolist(), p.fractions.tolist(), p.low.tolist(), p.high.tolist(), strict=True
        )
    ]
    sentence = profile_sentence(found, question)
    return Finding(f"profiles-{_key(task)}", f"Performance profiles on {task.task}", (sentence,), draw, rows)


def over_tasks(found: Overall) -> Finding:
    """Every arm over all tasks."""

    def draw(layout: Layout) -> Figure:
        colours = colours_of(found.arms)
        rows = [ForestRow(arm, interval, colours[arm]) for arm, interval in zip(found.arms, found.iqm, strict=True)]
        label = "scaled return: 0 acting at random, 1 the default config (IQM with its 95% interval)"
        return forest([Panel(ASKED[found.question], rows, 1.0)], label, layout)

    rows: list[Row] = [
        {"arm": arm, "question": found.question, **ends(interval)}
        for arm, interval in zip(found.arms, found.iqm, strict=True)
    ]
    shown = [
        ["first against second", "probability of improvement, mean over tasks", "95% interval"],
        *([f"{first} against {second}", *range_text(chance)] for (first, second), chance in found.chances.items()),
    ]
    title = f"All tasks together: the {found.question}"
    return Finding(f"over-tasks-{found.question}", title, (overall_sentence(found),), draw, rows, shown)


def colours_of(arms: Sequence[str]) -> dict[str, str]:
    """The colour of each arm, by its place."""
    return {arm: COLOURS[k % len(COLOURS)] for k, arm in enumerate(arms)}


def _interval(row: ArmRow, question: Question) -> Interval | None:
    found: Interval | None = getattr(row, question)
    return found


def _means(arm: ArmResult, question: Question) -> tuple[float, ...]:
    """A study's mean over test seeds."""
    values = [list(getattr(study, question).values()) for study in arm.studies]
    return tuple(math.fsum(of_study) / len(of_study) for of_study in values if of_study)


def _curve(arm: ArmResult, axis: Axis) -> list[tuple[float, Interval]]:
    totals = [getattr(study.curve.spent[-1], axis) for study in arm.studies if study.curve.spent]
    amounts = np.linspace(0, min(totals, default=0.0), GRID + 1)[1:].tolist()
    return [(amount, found) for amount in amounts if (found := curve_interval(arm, amount, axis)) is not None]


def _draw_curve(axes: Axes, points: Sequence[tuple[float, Interval]], colour: str, label: str) -> None:
    x = [amount for amount, _ in points]
    axes.fill_between(
        x, [i.low for _, i in points], [i.high for _, i in points], color=colour, alpha=0.12, linewidth=0, step="post"
    )
    axes.step(x, [i.point for _, i in points], color=colour, label=label, where="post", linewidth=1.6)


def _legend(figure: Figure, axes: Axes, layout: Layout) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4 if layout.panel_columns > 2 else 2, frameon=False,
        fontsize=layout.font_pt - 1, labelcolor=MUTED,
    )  # fmt: skip


def _key(task: TaskEvidence) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in task.task).lower()
