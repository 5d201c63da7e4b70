"""One picture of the results: what each arm's winner performs, by drift and collapses, at both sizes of noise."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.synthetic_curves.arms import ARMS
from benchmarks.synthetic_curves.formula import DRIFTS, Collapses, Noise, Scenario
from benchmarks.synthetic_curves.summary import Line
from cartwheel.report.style import BLUE, INK, MUTED, ORANGE, WIDE, label_y, light_grid, new_figure, styled, to_svg

COLOURS: dict[Noise, str] = {"low": BLUE, "high": ORANGE}
OFFSETS: dict[Noise, float] = {"low": -0.16, "high": 0.16}
ROW_INCHES = 0.19
DRIFT_NAMES = {"none": "no drift", "moderate": "moderate drift", "strong": "strong drift"}
TITLES: dict[Collapses, str] = {"off": "no collapses", "common": "common collapses"}


def write_figure(lines: Sequence[Line], path: Path) -> None:
    """Write an SVG of the means and their 95% intervals. Individual collapses are in the table only."""
    found = {(line.scenario, line.arm): line for line in lines}
    arms = [arm for arm in ARMS if any(line.arm == arm for line in lines)]
    with styled(WIDE):
        figure = new_figure(WIDE, 2 * (ROW_INCHES * len(arms) + 0.8))
        grid = figure.subplots(len(TITLES), len(DRIFTS), sharex=True, sharey=True)
        for axes_row, (collapses, title) in zip(grid, TITLES.items(), strict=True):
            for axes, drift in zip(axes_row, DRIFTS, strict=True):
                scenarios = [Scenario(drift, noise, collapses) for noise in COLOURS]
                label_y(axes, f"{DRIFT_NAMES[drift]}, {title}")
                for scenario in scenarios:
                    _draw(axes, [found.get((scenario, arm)) for arm in arms], scenario.noise)
                _draw_oracle(axes, found[scenarios[0], "best-static"].final.point, "best static value", ":")
                _draw_oracle(axes, found[scenarios[0], "best-schedule"].final.point, "best schedule", "--")
        _finish(grid[0][0], arms)
        for axes in grid[-1]:
            axes.set_xlabel("true final performance of the winner")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        path.write_text(to_svg(figure, path.stem))


def _draw(axes: Axes, lines: Sequence[Line | None], noise: Noise) -> None:
    known = [(place, line.final) for place, line in enumerate(lines) if line is not None]
    y = [place + OFFSETS[noise] for place, _ in known]
    axes.hlines(y, [i.low for _, i in known], [i.high for _, i in known], color=COLOURS[noise], linewidth=1.4)
    points = [i.point for _, i in known]
    axes.plot(points, y, "o", color=COLOURS[noise], markersize=3, label=f"{noise} noise", clip_on=False)


def _draw_oracle(axes: Axes, final: float, name: str, dashes: str) -> None:
    axes.axvline(final, color=MUTED, linewidth=1, linestyle=dashes, label=name, zorder=0)


def _finish(axes: Axes, arms: Sequence[str]) -> None:
    axes.set_xlim(0, 100)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    for shared in axes.figure.axes:
        shared.tick_params(axis="y", labelcolor=INK)
        light_grid(shared, "x")
