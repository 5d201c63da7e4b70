"""Rows of intervals under one axis, which many figures are: a diamond for the point, a line for the 95% interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cartwheel.analysis.statistics import Interval
from cartwheel.report.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    PAPER,
    VERMILLION,
    Layout,
    light_grid,
    new_figure,
    styled,
    wrapped,
)

LINE_INCHES = 0.15
"""A line of a row's label."""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """``interval`` None: nothing to show, and ``missing`` says why. ``points``: single values behind it."""

    label: str
    interval: Interval | None
    colour: str = BLUE
    missing: str = "not tested"
    points: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One column of rows. ``zero``: where a reference line stands, if anywhere."""

    title: str
    rows: Sequence[ForestRow]
    zero: float | None = None


def forest(panels: Sequence[Panel], x_label: str, layout: Layout) -> Figure:
    """Panels beside each other where there is room, else below each other; each names its own rows."""
    is_wide = layout.panel_columns > 2 and len(panels) > 1
    rows, columns = (math.ceil(len(panels) / 2), 2) if is_wide else (len(panels), 1)
    labels = [[wrapped(row.label, layout) for row in panel.rows] for panel in panels]
    num_lines = max((label.count("\n") + 1 for own in labels for label in own), default=1)
    row_inches = 0.27 + LINE_INCHES * num_lines
    heights = [
        0.75 + row_inches * max(len(panel.rows) for panel in panels[k * columns : (k + 1) * columns])
        for k in range(rows)
    ]
    with styled(layout):
        figure = new_figure(layout, sum(heights))
        grid = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel()
        for axes, panel, own in zip(grid, panels, labels, strict=False):
            _draw(axes, panel, own, (0.075 + LINE_INCHES * num_lines / 2) / row_inches)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel(wrapped(x_label, layout), color=MUTED, fontsize=layout.font_pt)
    return figure


def _draw(axes: Axes, panel: Panel, labels: Sequence[str], above: float) -> None:
    """``above``: how many rows the middle of a label stands over its interval."""
    if panel.zero is not None:
        axes.axvline(panel.zero, color=FAINT, linewidth=1)
    for place, (row, label) in enumerate(zip(panel.rows, labels, strict=True)):
        _draw_row(axes, place, row, label, above)
    axes.set_ylim(len(panel.rows) - 0.4, -0.03 - 2 * above)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.06)
    light_grid(axes, "x")
    axes.set_title(panel.title, loc="left", color=INK, pad=5)


def _draw_row(axes: Axes, place: int, row: ForestRow, label: str, above: float) -> None:
    finite = [value for value in row.points if math.isfinite(value)]
    axes.plot(finite, [place + 0.2] * len(finite), "o", color=FAINT, markersize=3, markeredgewidth=0)
    at = (0, place - above)
    if row.interval is None or not math.isfinite(row.interval.point):
        text = f"{label}: {row.missing if row.interval is None else 'too many failed'}"
        axes.annotate(text, at, xycoords=axes.get_yaxis_transform(), color=VERMILLION, va="center")
        return
    low, high = row.interval.low, row.interval.high
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [place] * 2, color=row.colour, linewidth=2)
    axes.plot([row.interval.point], [place], "D", color=row.colour, markersize=5)
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}  # a line behind the words would strike them out
    axes.annotate(label, at, xycoords=axes.get_yaxis_transform(), color=INK, va="center", bbox=ground)
