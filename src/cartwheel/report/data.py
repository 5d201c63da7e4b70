"""The numbers of the figures, one function per figure of ``figures.py``: what is drawn, for the CSV beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from cartwheel.analysis.comparison import Comparison
from cartwheel.analysis.diagnostics import track
from cartwheel.analysis.frames import Frame, config_columns, frame, status
from cartwheel.analysis.tables import (
    Curve,
    StudyTables,
    copies,
    curves_of_trials,
    incumbent,
    learning_curve,
    schedule_of,
    spans,
    trial_noun,
)
from cartwheel.report.figures import MODEL_PANELS
from cartwheel.schedules.schedule import lineage

INCUMBENT = "incumbent"


def learning_curves(tables: StudyTables, ceiling: float | None = None) -> Frame:
    """One row per point. A trial has a line for every stretch without a copy; the incumbent's follows its lineage."""
    noun, best = trial_noun(tables), incumbent(tables)
    rows = [row for curve in curves_of_trials(tables) for row in _points(f"{noun} {curve.trial}", curve)]
    if best is not None:
        rows += _points(INCUMBENT, learning_curve(tables, best))
    if ceiling is not None:
        rows.append({"line": "true dynamics", "return": ceiling})
    return frame(rows)


def lineages(tables: StudyTables) -> Frame:
    """One row per segment: the bar that it is, and whom it was copied from after which of their episodes."""
    best = incumbent(tables)
    path = {segment.id for segment in lineage(tables.segments, best)} if best is not None else set()
    copied = {copy.segment: copy for copy in copies(tables)}
    rows = []
    for segment in tables.segments.values():
        ran, copy = tables.episodes.get(segment.id, ()), copied.get(segment.id)
        rows.append(
            {
                "trial": segment.trial,
                "segment": segment.id,
                "first_episode": ran[0].index if ran else None,
                "last_episode": ran[-1].index if ran else None,
                "status": status(tables, segment),
                "is_on_incumbents_path": segment.id in path,
                "copied_from_trial": None if copy is None else copy.from_trial,
                "copied_after_episode": None if copy is None else copy.source_episode,
            }
        )
    return frame(rows)


def hyperparameters(tables: StudyTables) -> Frame:
    """One row per line piece: episodes that ran under one config, of every trial and of the winning schedule."""
    noun, best = trial_noun(tables), incumbent(tables)
    rows = [
        {"line": f"{noun} {span.trial}", "first_episode": span.first, "last_episode": span.last}
        | config_columns(span.config)
        for span in spans(tables)
    ]
    pieces = () if best is None else schedule_of(tables, best).pieces
    rows += [
        {"line": "winning schedule", "first_episode": piece.start + 1 if piece.start else 0, "last_episode": piece.stop}
        | config_columns(piece.config)
        for piece in pieces
    ]
    return frame(rows)


def models(tables: StudyTables) -> Frame:
    """One row per episode: medians over trials of every diagnostic that is drawn."""
    by_name = {name: track(tables, name) for panel in MODEL_PANELS for name, _, _ in panel.lines}
    medians = {name: dict(zip(found.episodes, found.medians, strict=True)) for name, found in by_name.items()}
    episodes = sorted({episode for found in by_name.values() for episode in found.episodes})
    return frame(
        {"episode": episode} | {name: values.get(episode) for name, values in medians.items()} for episode in episodes
    )


def comparison(result: Comparison) -> Frame:
    """One row per training: its mean return, beside the mean over its arm and the ends of the 95% interval."""
    rows: list[Mapping[str, Any]] = []
    for summary in result.summaries:
        interval = summary.interval
        over_arm = (None, None, None) if interval is None else (interval.point, interval.low, interval.high)
        about = dict(zip(("arm_mean", "arm_low", "arm_high"), over_arm, strict=True))
        means = summary.arm.means
        rows += [
            {"arm": summary.arm.label, "seed": run.seed, "mean_return": means.get(run.seed)} | about
            for run in summary.arm.runs
        ]
    if result.ceiling is not None:
        rows.append({"arm": f"true dynamics under {result.ceiling.under}", "mean_return": result.ceiling.mean})
    return frame(rows)


def _points(line: str, curve: Curve) -> Iterator[dict[str, Any]]:
    for episode, return_ in zip(curve.episodes, curve.returns, strict=True):
        yield {"line": line, "episode": episode, "return": return_}
