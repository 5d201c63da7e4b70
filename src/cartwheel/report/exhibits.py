"""What a study has to show: every figure with its title, the sentence that says what it shows, and its numbers.

The page, the files beside it and a notebook all show these. A new figure is one more ``yield``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from matplotlib.figure import Figure

from cartwheel.analysis.comparison import Comparison
from cartwheel.analysis.diagnostics import track
from cartwheel.analysis.frames import Frame, csv_text
from cartwheel.analysis.tables import StudyTables, counts
from cartwheel.report import data, figures, sentences, time_figure
from cartwheel.report.style import WIDE, Layout, to_pdf, to_svg

Draw: TypeAlias = Callable[[Layout], Figure]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One figure of one study. ``sentence`` is made from the numbers, and true for them."""

    name: str
    title: str
    sentence: str
    draw: Draw
    data: Frame


def exhibits(tables: StudyTables, comparison: Comparison | None = None) -> Iterator[Exhibit]:
    """The figures of a study, in the order in which they are read; none without an episode."""
    ceiling = comparison.ceiling.mean if comparison is not None and comparison.ceiling is not None else None
    if comparison is not None:
        yield Exhibit(
            "comparison",
            "What tuning bought",
            sentences.comparison(comparison),
            lambda layout: figures.comparison(comparison, layout),
            data.comparison(comparison),
        )
    if counts(tables).num_episodes:
        yield Exhibit(
            "learning-curves",
            "Learning curves",
            sentences.learning_curves(tables, ceiling),
            lambda layout: figures.learning_curves(tables, ceiling, layout),
            data.learning_curves(tables, ceiling),
        )
        yield Exhibit(
            "lineages",
            "Who copied whom",
            sentences.lineages(tables),
            lambda layout: figures.lineages(tables, layout),
            data.lineages(tables),
        )
    if any(name in segment.config for segment in tables.segments.values() for name in tables.space.names):
        yield Exhibit(
            "hyperparameters",
            "Hyperparameters over episodes",
            sentences.hyperparameters(tables),
            lambda layout: figures.hyperparameters(tables, layout),
            data.hyperparameters(tables),
        )
    if track(tables, "error_1_ahead").episodes:
        yield Exhibit(
            "models",
            "What the models knew",
            sentences.models(tables),
            lambda layout: figures.models(tables, layout),
            data.models(tables),
        )
    if tables.timing.wall_s > 0:
        yield Exhibit(
            "time",
            "Where the time went",
            sentences.time(tables.timing),
            lambda layout: time_figure.draw_time(tables.timing, layout),
            time_figure.time(tables.timing),
        )


def write_exhibit(folder: Path, exhibit: Exhibit) -> None:
    """``NAME.svg`` and ``NAME.pdf``, for papers, and ``NAME.csv`` in a folder."""
    figure = exhibit.draw(WIDE)
    (folder / f"{exhibit.name}.svg").write_text(to_svg(figure, exhibit.name), encoding="utf-8")
    (folder / f"{exhibit.name}.pdf").write_bytes(to_pdf(figure))
    (folder / f"{exhibit.name}.csv").write_text(csv_text(exhibit.data), encoding="utf-8")
