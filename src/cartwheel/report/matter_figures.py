"""Which hyperparameters matter: importances, their course over time, response maps, and ablation paths."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from cartwheel.analysis.ablation import Ablation
from cartwheel.analysis.importance import Importance
from cartwheel.analysis.response import ResponseMap
from cartwheel.analysis.wording import compact, listed, number, percent, plural
from cartwheel.report.findings import Finding, Row
from cartwheel.report.style import BLUE, FAINT, INK, MUTED, VERMILLION, Layout, light_grid, new_figure, styled
from cartwheel.spaces.space import Parameter, Space


def importances(found: Mapping[str, Sequence[Importance]], title: str, key: str, about: str, of_panel: str) -> Finding:
    """``found``: by panel (a method, or a window of the training), one bar per hyperparameter.

    ``of_panel``: the word before a panel's name, "by" a method or "in" a window.
    """

    def draw(layout: Layout) -> Figure:
        panels = list(found.items())
        columns = min(len(panels), layout.panel_columns)
        num_rows = -(-len(panels) // columns)
        height = 0.6 + num_rows * (0.5 + 0.24 * max(len(bars) for bars in found.values()))
        with styled(layout):
            figure = new_figure(layout, height)
            grid = figure.subplots(num_rows, columns, squeeze=False, sharex=True).ravel()
            for k, (axes, (panel, bars)) in enumerate(zip(grid, panels, strict=False)):
                _draw_bars(axes, panel, bars, is_named=k % columns == 0)
            for axes in grid[len(panels) :]:
                axes.set_visible(False)
            grid[0].set_xlim(0, 1.05 * max(max(bar.share, bar.chance) for bars in found.values() for bar in bars))
            figure.supxlabel("share of all importance", color=MUTED, fontsize=layout.font_pt)
        return figure

    rows: list[Row] = [
        {"panel": panel, "hyperparameter": bar.name, "share": bar.share, "chance_95": bar.chance}
        for panel, bars in found.items()
        for bar in bars
    ]
    told = []
    for panel, bars in found.items():
        above = sorted((bar for bar in bars if bar.share > bar.chance), key=lambda bar: -bar.share)
        names = listed([f"{bar.name} ({percent(bar.share)})" for bar in above]) if above else "none"
        told.append(f"{names} {of_panel} {panel}")
    sentence = f"{about} Above what chance gives 19 times in 20 (the mark on each bar): {'; '.join(told)}."
    return Finding(f"importance-{key}", title, (sentence,), draw, rows)


def responses(space: Space, maps: Sequence[ResponseMap], title: str, key: str) -> Finding:
    """Maps of one hyperparameter as curves with the configs behind them, of two as coloured squares."""

    def draw(layout: Layout) -> Figure:
        columns = layout.panel_columns
        num_rows = -(-len(maps) // columns)
        with styled(layout):
            figure = new_figure(layout, 0.3 + 2.0 * num_rows)
            grid = figure.subplots(num_rows, columns, squeeze=False).ravel()
            for axes, of in zip(grid, maps, strict=False):
                _draw_map(figure, axes, space, of)
            for axes in grid[len(maps) :]:
                axes.set_visible(False)
        return figure

    rows: list[Row] = [row for of in maps for row in _map_rows(space, of)]
    num = len(maps[0].scores)
    single = [of for of in maps if len(of.names) == 1]
    best = [f"{of.names[0]} near {_value(space.parameters[of.names[0]], _peak(of))}" for of in single]
    sentence = (
        f"The score over one or two hyperparameters, averaged over the others: a local mean of {plural(num, 'config')}"
        f", blank where none is near. Highest at {listed(best)}."
    )
    return Finding(f"response-{key}", title, (sentence,), draw, rows)


def ablation(found: Ablation, key: str) -> Finding:
    """The path from the default config to what was found."""
    labels = ["default", *(step.name for step in found.path)]
    scores = [found.default, *(step.score for step in found.path)]

    def draw(layout: Layout) -> Figure:
        with styled(layout):
            figure = new_figure(layout, 0.8 + 0.28 * len(labels))
            axes = figure.add_subplot()
            for place, step in enumerate(found.path, 1):
                tried = [score for _, score in step.tried]
                axes.plot(tried, [place] * len(tried), "o", color=FAINT, markersize=4)
            axes.plot(scores, range(len(scores)), "-o", color=BLUE, markersize=6)
            axes.set_yticks(range(len(labels)), [labels[0], *(f"+ {name}" for name in labels[1:])])
            axes.set_ylim(len(labels) - 0.5, -0.5)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            light_grid(axes, "x")
            axes.set_xlabel("return (IQM over test seeds)")
        return figure

    rows: list[Row] = [
        {"round": 0, "hyperparameter": "default", "score": found.default, "is_kept": True},
        *(
            {"round": k, "hyperparameter": name, "score": score, "is_kept": name == step.name}
            for k, step in enumerate(found.path, 1)
            for name, score in step.tried
        ),
    ]
    gains = {name: after - before for name, before, after in zip(labels[1:], scores[:-1], scores[1:], strict=True)}
    best = max(gains, key=lambda name: gains[name])
    sentence = (
        f"From the default config ({number(found.default)}) to what was found ({number(scores[-1])}), one change at a "
        f"time, in each round the best of all that were left (grey: the others). The largest gain came with {best} "
        f"({number(gains[best])}). The scores choose the path, so each is optimistic."
    )
    return Finding(f"ablation-{key}", f"From the default to the found config on {found.task}", (sentence,), draw, rows)


def _draw_bars(axes: Axes, panel: str, bars: Sequence[Importance], *, is_named: bool) -> None:
    for place, bar in enumerate(bars):
        colour = BLUE if bar.share > bar.chance else FAINT
        axes.plot([0, bar.share], [place] * 2, color=colour, linewidth=7, solid_capstyle="butt")
        axes.plot([bar.chance] * 2, [place - 0.4, place + 0.4], color=VERMILLION, linewidth=1.4)
    axes.set_yticks(range(len(bars)), [bar.name if is_named else "" for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    light_grid(axes, "x")
    axes.set_title(panel, loc="left", color=INK, pad=5)


def _draw_map(figure: Figure, axes: Axes, space: Space, of: ResponseMap) -> None:
    _coordinate_axis(axes, "x", space.parameters[of.names[0]])
    if len(of.names) == 1:
        axes.plot(of.points[:, 0], of.scores, "o", color=FAINT, markersize=3, markeredgewidth=0)
        axes.plot(of.grid, of.values, color=BLUE, linewidth=2)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(of.names[0], loc="left", color=INK, pad=5)
        light_grid(axes)
        return
    # rows of the picture are the second hyperparameter
    mesh = axes.pcolormesh(of.grid, of.grid, of.values.T, cmap="viridis", shading="nearest", rasterized=False)
    axes.plot(of.points[:, 0], of.points[:, 1], ".", color="white", markersize=2.5, alpha=0.7)
    _coordinate_axis(axes, "y", space.parameters[of.names[1]])
    figure.colorbar(mesh, ax=axes, shrink=0.85)
    axes.set_title(f"{of.names[0]} (across)\n{of.names[1]} (up)", loc="left", color=INK, pad=5)


def _coordinate_axis(axes: Axes, which: str, parameter: Parameter) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([0.0, 0.5, 1.0]))
    axis.set_major_formatter(FuncFormatter(lambda u, _: _value(parameter, u)))


def _value(parameter: Parameter, u: float) -> str:
    value = parameter.decode(min(1.0, max(0.0, u)))
    return compact(float(f"{value:.2g}")) if isinstance(value, float) else str(value)


def _peak(of: ResponseMap) -> float:
    known = np.where(np.isnan(of.values), -np.inf, of.values)
    return float(of.grid[int(np.argmax(known))])


def _map_rows(space: Space, of: ResponseMap) -> list[Row]:
    names = (*of.names, "")[:2]
    places = np.stack(np.meshgrid(*[of.grid] * len(of.names), indexing="ij"), axis=-1).reshape(-1, len(of.names))
    rows: list[Row] = []
    for place, value in zip(places.tolist(), of.values.ravel().tolist(), strict=True):
        values = [space.parameters[name].decode(u) for name, u in zip(of.names, place, strict=True)]
        first, second = (*values, "")[:2]
        values_ = {"first_value": first, "second_value": second, "score": value}
        rows.append({"first": names[0], "second": names[1], **values_})
    return rows
