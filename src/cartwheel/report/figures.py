"""The figures of a study, one function each. They take tables, never a connection, and return a Figure.

Grey is everybody, blue the incumbent, green the ceiling, vermillion what went wrong: in every figure.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from cartwheel.analysis.comparison import ArmSummary, Comparison
from cartwheel.analysis.diagnostics import track
from cartwheel.analysis.tables import (
    Copy,
    Curve,
    Span,
    StudyTables,
    copies,
    curves_of_trials,
    incumbent,
    learning_curve,
    ranking,
    schedule_of,
    spans,
    trial_noun,
)
from cartwheel.analysis.wording import compact, fixed, number
from cartwheel.records import Config, SegmentId
from cartwheel.report.marks import mark_implausible, mark_not_finite
from cartwheel.report.style import (
    BLUE,
    FAINT,
    GREEN,
    HAIR,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    VERMILLION,
    WIDE,
    Layout,
    label_y,
    light_grid,
    new_figure,
    styled,
)
from cartwheel.schedules.schedule import Schedule, lineage
from cartwheel.spaces.space import Int, Listed, Parameter

ARM_COLOURS = (MUTED, ORANGE, BLUE)
"""Baselines first; the last arm, the found one, is always blue."""


@dataclass(frozen=True, slots=True)
class ModelPanel:
    """Diagnostics that share an axis, each with its label and colour; dotted lines where they should be."""

    title: str
    lines: tuple[tuple[str, str, str], ...]
    ideals: tuple[float, ...] = ()


MODEL_PANELS = (
    ModelPanel("-log likelihood, nats", (("train_nll", "training", FAINT), ("unseen_nll", "new episode", INK))),
    ModelPanel(
        "error steps ahead, std",
        (("error_1_ahead", "1", FAINT), ("error_5_ahead", "5", MUTED), ("error_25_ahead", "25", INK)),
        (0.0,),
    ),
    ModelPanel("inside central intervals", (("coverage_50", "50%", MUTED), ("coverage_90", "90%", INK)), (0.5, 0.9)),
    ModelPanel("networks disagree by, std", (("disagreement", "", INK),), (0.0,)),
    ModelPanel("return promised, not kept", (("plan_return_error", "", INK),), (0.0,)),
)

CROWD = 40
"""More episodes lose their markers, more copies become fine lines: what is many must not hide what matters."""


def learning_curves(tables: StudyTables, ceiling: float | None = None, layout: Layout = WIDE) -> Figure:
    """Returns over episodes: every trial thin, the incumbent's lineage bold, the true-dynamics ceiling dashed."""
    best = incumbent(tables)
    with styled(layout):
        figure = new_figure(layout, 3.9 if layout is WIDE else 3.1)
        axes = figure.add_subplot()
        for curve in curves_of_trials(tables):
            marker = "." if len(curve.episodes) <= CROWD else ""
            axes.plot(curve.episodes, curve.returns, color=FAINT, linewidth=1, marker=marker, markersize=2.5)
        for copy in copies(tables):
            _draw_handover(axes, tables, copy)
        if best is not None:
            _draw_incumbent_curve(axes, learning_curve(tables, best), tables.segments[best].trial, trial_noun(tables))
        if ceiling is not None:
            _draw_ceiling(axes, ceiling)
        mark_not_finite(axes, curves_of_trials(tables))
        mark_implausible(axes, tables)
        _episode_axis(axes)
        light_grid(axes)
        label_y(axes, "return of each training episode")
    return figure


def lineages(tables: StudyTables, layout: Layout = WIDE) -> Figure:
    """One row per trial over episodes; arrows from the copied trial to the copying one; the incumbent's path bold."""
    trials = tables.trials
    rows = {trial: row for row, trial in enumerate(trials)}
    best = incumbent(tables)
    path = {segment.id for segment in lineage(tables.segments, best)} if best is not None else set()
    alive = {segment.id for id_ in ranking(tables) for segment in lineage(tables.segments, id_)}
    with styled(layout):
        figure = new_figure(layout, 1.1 + (0.3 if layout is WIDE else 0.27) * max(2, len(trials)))
        axes = figure.add_subplot()
        for segment in tables.segments.values():
            ran = tables.episodes.get(segment.id, ())
            if ran:
                colour = BLUE if segment.id in path else FAINT if segment.id in alive else HAIR
                _bar(axes, rows[segment.trial], ran[0].index, ran[-1].index, colour)
            _draw_failure(axes, tables, segment.id, rows[segment.trial])
        happened = copies(tables)
        for copy in happened:
            _draw_copy(axes, copy, rows, is_on_path=copy.segment in path, is_crowded=len(happened) > CROWD)
        axes.set_yticks(range(len(trials)), [str(trial) for trial in trials])
        axes.set_ylim(len(trials) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        _episode_axis(axes)
        label_y(axes, trial_noun(tables))
    return figure


def hyperparameters(tables: StudyTables, layout: Layout = WIDE) -> Figure:
    """Small multiples: every tuned hyperparameter over episodes, all trials thin, the winning schedule bold."""
    parameters = tables.space.parameters
    columns = min(layout.panel_columns, len(parameters))
    num_rows = math.ceil(len(parameters) / columns)
    best = incumbent(tables)
    winning = schedule_of(tables, best) if best is not None else None
    with styled(layout):
        figure = new_figure(layout, 0.35 + (1.55 if layout is WIDE else 1.35) * num_rows)
        grid = figure.subplots(num_rows, columns, sharex=True, squeeze=False).ravel()
        for axes, (name, parameter) in zip(grid, parameters.items(), strict=False):
            _draw_hyperparameter(axes, name, parameter, spans(tables), winning)
            axes.tick_params(labelbottom=True)
        for axes in grid[len(parameters) :]:
            axes.set_visible(False)
        figure.supxlabel("episode", color=MUTED, fontsize=layout.font_pt)
    return figure


def models(tables: StudyTables, layout: Layout = WIDE) -> Figure:
    """Small multiples: what the models knew of each new episode, and how far plans were kept; medians over trials."""
    num_rows = math.ceil(len(MODEL_PANELS) / layout.panel_columns)
    with styled(layout):
        figure = new_figure(layout, 0.35 + (1.75 if layout is WIDE else 1.5) * num_rows)
        grid = figure.subplots(num_rows, layout.panel_columns, sharex=True, squeeze=False).ravel()
        for axes, panel in zip(grid, MODEL_PANELS, strict=False):
            _draw_model_panel(axes, tables, panel, layout)
        for axes in grid[len(MODEL_PANELS) :]:
            axes.set_visible(False)
        figure.supxlabel("episode", color=MUTED, fontsize=layout.font_pt)
    return figure


def comparison(result: Comparison, layout: Layout = WIDE) -> Figure:
    """One row per arm: a dot per seed, the mean with its interval, equal seeds joined, the ceiling dashed."""
    with styled(layout):
        figure = new_figure(layout, 0.9 + 0.75 * len(result.summaries))
        axes = figure.add_subplot()
        _join_seeds(axes, result.summaries)
        for row, summary in enumerate(result.summaries):
            colour = BLUE if summary is result.found else ARM_COLOURS[row % 2]
            _draw_arm(axes, row, summary, colour, result.decimals)
        if result.ceiling is not None:
            _draw_vertical_ceiling(axes, result.ceiling.mean)
        axes.set_ylim(len(result.summaries) - 0.45, -0.75)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5 if layout is WIDE else 4))
        light_grid(axes, "x")
        axes.set_xlabel("mean evaluation return of an agent trained anew")
    return figure


def _draw_handover(axes: Axes, tables: StudyTables, copy: Copy) -> None:
    """A dotted line from the copied agent's last episode to the first that the copying trial ran."""
    ran = tables.episodes.get(copy.segment, ())
    source = learning_curve(tables, copy.source)
    if ran and source.returns:
        x, y = (source.episodes[-1], ran[0].index), (source.returns[-1], ran[0].return_)
        axes.plot(x, y, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))


def _draw_incumbent_curve(axes: Axes, curve: Curve, trial: int, noun: str) -> None:
    axes.plot(curve.episodes, curve.returns, color=BLUE, linewidth=2.2, zorder=3)
    last = [(x, y) for x, y in zip(curve.episodes, curve.returns, strict=True) if math.isfinite(y)][-1:]
    for x, y in last:
        axes.plot([x], [y], color=BLUE, marker="o", markersize=5, zorder=3)
        _text(axes, (x, y), f"incumbent\n({noun} {trial})", BLUE, ha="left", offset=(8, 0))


def _draw_ceiling(axes: Axes, ceiling: float) -> None:
    axes.axhline(ceiling, color=GREEN, linestyle=(0, (5, 3)), linewidth=1.2)
    _text(axes, (0, ceiling), f"true dynamics {number(ceiling)}", GREEN, ha="left", va="bottom", offset=(0, 3))


def _draw_vertical_ceiling(axes: Axes, ceiling: float) -> None:
    """With its label on the side where there is room for it."""
    axes.axvline(ceiling, color=GREEN, linestyle=(0, (5, 3)), linewidth=1.2)
    is_on_the_right = ceiling > sum(axes.get_xlim()) / 2
    side, offset = ("right", -4) if is_on_the_right else ("left", 4)
    _text(axes, (ceiling, -0.62), "true dynamics", GREEN, ha=side, offset=(offset, 0))


def _episode_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_xlabel("episode (0 is random)")


def _bar(axes: Axes, row: int, first: int, last: int, colour: str) -> None:
    axes.plot([first - 0.36, last + 0.36], [row, row], color=colour, linewidth=5.5, solid_capstyle="butt")


def _draw_failure(axes: Axes, tables: StudyTables, segment: SegmentId, row: int) -> None:
    report, ran = tables.reports.get(segment), tables.episodes.get(segment, ())
    if report is not None and report.status != "done":
        x = ran[-1].index if ran else tables.segments[segment].first_episode
        axes.plot([x], [row], "x", color=VERMILLION, markersize=6, markeredgewidth=1.8, zorder=5)


def _draw_copy(axes: Axes, copy: Copy, rows: dict[int, int], *, is_on_path: bool, is_crowded: bool) -> None:
    x, start, end = copy.source_episode + 0.5, rows[copy.from_trial], rows[copy.to_trial]
    colour, width, order = (FAINT, 0.5, 1) if is_crowded else (MUTED, 0.8, 3)
    if is_on_path:
        colour, width, order = BLUE, 1.6, 4
    axes.plot([x], [start], "o", color=colour, markersize=1 + 1.7 * width, zorder=order)
    arrow = FancyArrowPatch(
        (x, start),
        (x, end),
        arrowstyle="-|>",
        mutation_scale=5 + 4 * width,
        shrinkA=0,
        shrinkB=0,
        connectionstyle="arc3,rad=0.12",
        color=colour,
        linewidth=width,
        zorder=order,
    )
    axes.add_patch(arrow)


def _draw_model_panel(axes: Axes, tables: StudyTables, panel: ModelPanel, layout: Layout) -> None:
    for ideal in panel.ideals:
        axes.axhline(ideal, color=INK, linewidth=1, linestyle=":")
    for name, label, colour in panel.lines:
        found = track(tables, name)
        marker = "." if len(found.episodes) <= CROWD else ""
        axes.plot(found.episodes, found.medians, color=colour, linewidth=1.6, marker=marker, markersize=4, label=label)
    if len(panel.lines) > 1:
        axes.legend(frameon=False, fontsize=layout.font_pt - 1, labelcolor=MUTED, handlelength=1.2)
    axes.margins(x=0.03)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.tick_params(labelbottom=True)
    light_grid(axes)
    axes.set_title(panel.title, loc="left", color=INK, pad=5)


def _draw_hyperparameter(
    axes: Axes, name: str, parameter: Parameter, everybody: Sequence[Span], winning: Schedule | None
) -> None:
    # one line with gaps, not a line per span: a page of a large study would have megabytes of them
    spread = [
        (x, height)
        for span in everybody
        for height in _heights(parameter, span.config, name)
        for x in (span.first - 0.5, span.last + 0.5, math.nan)
    ]
    axes.plot([x for x, _ in spread], [y for _, y in spread], color=FAINT, linewidth=1, alpha=0.8)
    steps = [
        (x, height)
        for piece in (winning.pieces if winning is not None else ())
        for x in (piece.start + 0.5 if piece.start else -0.5, piece.stop + 0.5)
        for height in _heights(parameter, piece.config, name)
    ]
    axes.plot([x for x, _ in steps], [y for _, y in steps], color=BLUE, linewidth=2.2, zorder=3)
    _value_axis(axes, parameter)
    axes.margins(x=0.03)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    light_grid(axes)
    axes.set_title(name, loc="left", color=INK, pad=5)


def _heights(parameter: Parameter, config: Config, name: str) -> list[float]:
    """Where a config's value lies on the y axis, choices by their place; nothing if the config does not have it."""
    if name not in config:
        return []
    value = config[name]
    return [float(parameter.values.index(value)) if isinstance(parameter, Listed) else float(value)]


def _value_axis(axes: Axes, parameter: Parameter) -> None:
    if isinstance(parameter, Listed):
        axes.set_ylim(-0.5, len(parameter.values) - 0.5)
        axes.set_yticks(range(len(parameter.values)), [str(value) for value in parameter.values])
        return
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        axes.set_yscale("log")
        middle, margin = math.sqrt(low * high), (high / low) ** 0.07
        axes.set_ylim(low / margin, high * margin)
    else:
        middle, margin = (low + high) / 2, 0.07 * (high - low)
        axes.set_ylim(low - margin, high + margin)
    if isinstance(parameter, Int):
        middle = round(middle)
    axes.yaxis.set_major_locator(FixedLocator([low, middle, high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(float(f"{value:.2g}"))))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _join_seeds(axes: Axes, summaries: Sequence[ArmSummary]) -> None:
    for row, (upper, lower) in enumerate(itertools.pairwise(summaries)):
        for seed in upper.arm.means.keys() & lower.arm.means.keys():
            axes.plot([upper.arm.means[seed], lower.arm.means[seed]], [row, row + 1], color=HAIR, linewidth=1)


def _draw_arm(axes: Axes, row: int, summary: ArmSummary, colour: str, decimals: int) -> None:
    means = list(summary.arm.means.values())
    axes.plot(means, [row] * len(means), "o", color=colour, markersize=5, alpha=0.7, markeredgewidth=0)
    label = summary.arm.label
    if summary.interval is None:
        axes.annotate(
            f"{label}: every training failed", (0, row), xycoords=axes.get_yaxis_transform(), color=VERMILLION
        )
        return
    point, low, high = summary.interval.point, summary.interval.low, summary.interval.high
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [row + 0.17] * 2, color=colour, linewidth=2)
    axes.plot([point], [row + 0.17], "D", color=colour, markersize=6)
    axes.annotate(
        f"{label}: {fixed(point, decimals)}",
        (0, row - 0.25),
        xycoords=axes.get_yaxis_transform(),
        color=INK if colour == MUTED else colour,
        va="center",
    )


def _text(
    axes: Axes,
    at: tuple[float, float],
    text: str,
    colour: str,
    *,
    ha: str,
    va: str = "center",
    offset: tuple[float, float] = (0, 0),
) -> None:
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}  # a line behind the words would strike them out
    axes.annotate(text, at, xytext=offset, textcoords="offset points", color=colour, ha=ha, va=va, bbox=ground)
