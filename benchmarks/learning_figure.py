"""One panel per task: three agents' training returns, the ceiling, and what others have published."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from cartwheel.report.style import BLUE, MUTED, VERMILLION, WIDE, label_y, light_grid, new_figure, styled, to_svg

Row = Mapping[str, str]

PUBLISHED: Mapping[str, Mapping[int, float]] = {
    "cartpole-swingup": {1: 0, 2: 5, 3: 51, 4: 75, 5: 128, 6: 168, 10: 180},
    "pets-reacher3d": {18: -48},
    "pets-pusher": {18: -79},
}
"""Running maxima of the original PETS by episode (Chua et al. 2018; other seeds, and 60 times the planning budget)."""

ROW_INCHES = 2.1


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write an SVG."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    with styled(WIDE):
        num_rows = -(-len(tasks) // WIDE.panel_columns)
        figure = new_figure(WIDE, ROW_INCHES * num_rows + 0.3)
        panels = figure.subplots(num_rows, WIDE.panel_columns, squeeze=False).ravel()
        for axes, task in zip(panels, tasks, strict=False):
            _draw_task(axes, task, [row for row in rows if row["task"] == task])
        for axes in panels[len(tasks) :]:
            axes.set_axis_off()
        handles = {
            label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
        path.write_text(to_svg(figure, path.stem))


def _draw_task(axes: Axes, task: str, rows: Sequence[Row]) -> None:
    label_y(axes, task)
    light_grid(axes)
    for seed in dict.fromkeys(row["seed"] for row in rows if row["kind"] == "training"):
        own = [row for row in rows if row["seed"] == seed and row["kind"] == "training"]
        episodes = [int(row["episode"]) for row in own]
        axes.plot(
            episodes, [float(row["return"]) for row in own], color=BLUE, linewidth=1.2, label="an agent in training"
        )
    ceiling = [float(row["return"]) for row in rows if row["kind"] == "ceiling"]
    if ceiling:
        axes.axhline(sum(ceiling) / len(ceiling), color=MUTED, linestyle="--", linewidth=1, label="true dynamics")
    known = PUBLISHED.get(task, {})
    if known:
        axes.plot([*known], [*known.values()], "o", color=VERMILLION, markersize=3, label="published running maximum")
    axes.set_xlabel("episode")
