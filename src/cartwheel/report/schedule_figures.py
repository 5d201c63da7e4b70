"""Schedules over time: every hyperparameter over episodes, for all members and the winners, across tuner seeds."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from cartwheel.analysis.consistency import Direction, directions
from cartwheel.analysis.tables import StudyTables, incumbent, schedule_of, spans
from cartwheel.analysis.wording import compact, listed, plural
from cartwheel.report.findings import Finding, Row
from cartwheel.report.style import BLUE, FAINT, INK, MUTED, Layout, light_grid, new_figure, styled
from cartwheel.schedules.schedule import Schedule
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Parameter

LEVEL = 0.05
"""A direction with an adjusted p-value below it is called consistent."""


def schedules(studies: Sequence[StudyTables], arm: str, key: str) -> Finding:
    """Of the studies of one dynamic arm on one task. ``key`` names the files."""
    found = directions(studies, numpy_rng("directions", key))
    winning = [schedule_of(tables, best) for tables in studies if (best := incumbent(tables)) is not None]
    parameters = studies[0].space.parameters

    def draw(layout: Layout) -> Figure:
        columns = min(layout.panel_columns, len(parameters))
        num_rows = math.ceil(len(parameters) / columns)
        with styled(layout):
            figure = new_figure(layout, 0.35 + 1.6 * num_rows)
            grid = figure.subplots(num_rows, columns, sharex=True, squeeze=False).ravel()
            for axes, (name, parameter) in zip(grid, parameters.items(), strict=False):
                _draw(axes, name, parameter, studies, winning)
            for axes in grid[len(parameters) :]:
                axes.set_visible(False)
            figure.supxlabel("episode", color=MUTED, fontsize=layout.font_pt)
        return figure

    shown = [
        ["hyperparameter", "rose", "fell", "rises by chance", "mean move, of 1 for the range", "p", "p, adjusted"],
        *(
            [d.name, str(d.num_rises), str(d.num_falls), f"{d.expected_rises:.1f}", f"{d.mean_move:+.2f}",
             f"{d.p_value:.3f}", f"{d.adjusted:.3f}"]
            for d in found
        ),
    ]  # fmt: skip
    title = f"Schedules over time: {arm} on {studies[0].meta['env_id']}"
    return Finding(f"schedules-{key}", title, _sentences(found, len(winning)), draw, _rows(studies, arm), shown)


def _sentences(found: Sequence[Direction], num_winners: int) -> tuple[str, ...]:
    consistent = [d for d in found if d.adjusted < LEVEL]
    told = [
        f"{d.name} {'rose' if d.num_rises > d.num_falls else 'fell'} in {max(d.num_rises, d.num_falls)} of "
        f"{d.num_rises + d.num_falls}"
        for d in consistent
    ]
    always = [
        f"{d.name} ({'rose' if d.num_rises else 'fell'})"
        for d in found
        if d not in consistent and min(d.num_rises, d.num_falls) == 0 and d.num_rises + d.num_falls == num_winners > 1
    ]
    verdict = (
        f"Beyond chance (adjusted p below {LEVEL}): {listed(told)}."
        if told
        else "No hyperparameter moves in one direction more often than chance would have it (adjusted p all at least "
        f"{LEVEL})."
    )
    if always:
        verdict += f" In all of them, but no more than chance may do: {listed(always)}."
    return (
        f"Grey is every member of every study, blue the winning schedule of each of {plural(num_winners, 'tuner seed')}"
        "; heights are coordinates of the space, so logarithmic where it is. " + verdict,
        "Chance is what would have come of each winner's own start by as many steps, drawn from all steps that its "
        "study explored, whether they won or not; p is two-sided, adjusted after Holm for all hyperparameters.",
    )


def _draw(
    axes: Axes, name: str, parameter: Parameter, studies: Sequence[StudyTables], winning: Sequence[Schedule]
) -> None:
    spread = [
        (x, parameter.encode(span.config[name]))
        for tables in studies
        for span in spans(tables)
        for x in (span.first - 0.5, span.last + 0.5, math.nan)
    ]
    axes.plot([x for x, _ in spread], [y for _, y in spread], color=FAINT, linewidth=0.8, alpha=0.6)
    for schedule in winning:
        steps = [
            (x, parameter.encode(piece.config[name]))
            for piece in schedule.pieces
            for x in (piece.start + 0.5 if piece.start else -0.5, piece.stop + 0.5)
        ]
        axes.plot([x for x, _ in steps], [y for _, y in steps], color=BLUE, linewidth=1.6, alpha=0.75, zorder=3)
    axes.set_ylim(-0.07, 1.07)
    axes.yaxis.set_major_locator(FixedLocator([0.0, 0.5, 1.0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda u, _: _value(parameter, u)))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.tick_params(labelbottom=True)
    axes.margins(x=0.03)
    light_grid(axes)
    axes.set_title(name, loc="left", color=INK, pad=5)


def _value(parameter: Parameter, u: float) -> str:
    value = parameter.decode(min(1.0, max(0.0, u)))
    return compact(float(f"{value:.2g}")) if isinstance(value, float) else str(value)


def _rows(studies: Sequence[StudyTables], arm: str) -> list[Row]:
    rows: list[Row] = []
    for tables in studies:
        best = incumbent(tables)
        about = {"task": tables.meta["env_id"], "arm": arm, "tuner_seed": tables.meta["seed"]}
        won = schedule_of(tables, best).pieces if best is not None else ()
        rows += [
            {**about, "who": "winner", "trial": "", "first": p.start + 1 if p.start else 0, "last": p.stop, **p.config}
            for p in won
        ]
        rows += [
            {**about, "who": "member", "trial": s.trial, "first": s.first, "last": s.last, **s.config}
            for s in spans(tables)
        ]
    return rows
