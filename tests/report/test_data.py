"""The CSV beside a figure holds what the figure draws, and reading it back gives the numbers exactly."""

import csv
import dataclasses
import io
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cartwheel.analysis.comparison import compare
from cartwheel.analysis.frames import Frame, csv_text
from cartwheel.report import data, figures
from cartwheel.report.exhibits import Exhibit, exhibits
from cartwheel.report.style import BLUE, FAINT
from made_up_study import CEILING, made_up_arms, made_up_study, per_env_step

COMPARISON = compare(made_up_arms(), per_env_step, CEILING)
SHOWN = list(exhibits(made_up_study(), COMPARISON))


def rows(frame: Frame) -> list[dict[str, Any]]:
    return [dict(zip(frame, values, strict=True)) for values in zip(*frame.values(), strict=True)]


def drawn(figure: Figure, colour: str) -> list[list[tuple[float, float]]]:
    """The points of all lines of one colour."""
    lines = [line for axes in figure.axes for line in axes.get_lines() if to_hex(line.get_color()) == colour]
    return [
        [(float(x), float(y)) for x, y in zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True)]
        for line in lines
    ]


def test_every_exhibit_has_numbers_and_a_sentence() -> None:
    assert [one.name for one in SHOWN] == [
        "comparison",
        "learning-curves",
        "lineages",
        "hyperparameters",
        "models",
        "time",
    ]
    assert all(one.sentence.endswith(".") for one in SHOWN)
    assert all(len(rows(one.data)) > 1 for one in SHOWN)


def test_a_training_that_tunes_nothing_has_no_figure_of_hyperparameters() -> None:
    """As under the default config: the space's hyperparameters are not among what was set."""
    tables = made_up_study(1, 2, with_trouble=False)
    untuned = {id_: dataclasses.replace(segment, config={}) for id_, segment in tables.segments.items()}
    names = [one.name for one in exhibits(dataclasses.replace(tables, segments=untuned))]
    assert names == ["learning-curves", "lineages", "models", "time"]


@pytest.mark.parametrize("exhibit", SHOWN, ids=lambda exhibit: exhibit.name)
def test_csv_loses_nothing(exhibit: Exhibit) -> None:
    """Numbers come back to the last bit; a value that is not there is an empty cell."""
    back = list(csv.DictReader(io.StringIO(csv_text(exhibit.data))))
    for read, row in zip(back, rows(exhibit.data), strict=True):
        for name, value in row.items():
            same = float(read[name]) == value if isinstance(value, float) and math.isfinite(value) else True
            assert same
            assert read[name] == ("" if value is None else str(value))


def test_learning_curves_are_the_lines_of_the_figure() -> None:
    tables = made_up_study()
    figure = figures.learning_curves(tables, 176.4)
    told = rows(data.learning_curves(tables, 176.4))
    incumbent = [(row["episode"], row["return"]) for row in told if row["line"] == "incumbent"]
    assert incumbent in drawn(figure, BLUE)
    members = [(row["episode"], row["return"]) for row in told if row["line"].startswith("member")]
    curves = [line for line in drawn(figure, FAINT) if len(line) != 2 or line[1][0] != line[0][0] + 1]
    assert sum(map(len, curves)) <= len(members)
    assert {point for line in curves for point in line if math.isfinite(point[1])} <= set(members)
    assert told[-1] == {"line": "true dynamics", "episode": None, "return": 176.4}


def test_lineages_are_the_bars_and_arrows_of_the_figure() -> None:
    tables = made_up_study()
    told = rows(data.lineages(tables))
    assert len(told) == len(tables.segments)
    path = [row for row in told if row["is_on_incumbents_path"]]
    bars = [line for line in drawn(figures.lineages(tables), BLUE) if len(line) == 2]
    assert sorted((row["first_episode"] - 0.36, row["trial"]) for row in path) == sorted(line[0] for line in bars)
    assert sum(row["copied_from_trial"] is not None for row in told) == 10
    assert sum(row["status"] in ("failed", "diverged") for row in told) == 2


def test_hyperparameters_are_the_steps_of_the_winning_schedule() -> None:
    tables = made_up_study()
    told = [row for row in rows(data.hyperparameters(tables)) if row["line"] == "winning schedule"]
    assert [(row["first_episode"], row["last_episode"]) for row in told] == [(0, 2), (3, 6), (7, 12)]
    axes = next(a for a in figures.hyperparameters(tables).axes if a.get_title("left") == "plan_horizon")
    (blue,) = (line for line in axes.get_lines() if to_hex(line.get_color()) == BLUE)
    assert list(np.asarray(blue.get_ydata()))[::2] == [row["config.plan_horizon"] for row in told]


def test_models_are_the_medians_of_the_figure() -> None:
    tables = made_up_study()
    told = data.models(tables)
    lines = [line for axes in figures.models(tables).axes for line in axes.get_lines() if len(line.get_xdata()) == 12]
    heights = [list(map(float, np.asarray(line.get_ydata()))) for line in lines]
    assert heights == [told[name] for name in told if name != "episode"]
    assert told["episode"] == list(range(1, 13))


def test_the_comparison_is_every_training_with_its_arm() -> None:
    told = rows(data.comparison(COMPARISON))
    assert len(told) == 3 * 5 + 1
    interval = COMPARISON.found.interval
    assert interval is not None
    for row, mean in zip(told[-6:-1], COMPARISON.found.arm.means.values(), strict=True):
        assert (row["mean_return"], row["arm_mean"], row["arm_low"]) == (mean, interval.point, interval.low)
    assert told[-1]["mean_return"] == CEILING.mean
