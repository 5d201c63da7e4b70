"""A study as frames: columns of equal length by name, as CSV, Parquet and every library of data frames take them.

A value that a row does not have is None.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from cartwheel.analysis.tables import StudyTables, incumbent, ranking, segment_score, validation_means
from cartwheel.records import Config, Segment

Frame: TypeAlias = Mapping[str, Sequence[Any]]


def frame(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns: of every name that any row has, in the order in which names first come up."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def csv_text(of: Frame) -> str:
    """A frame as CSV with a header; None is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(of)
    writer.writerows(zip(*of.values(), strict=True))
    return buffer.getvalue()


def all_frames(tables: StudyTables) -> dict[str, dict[str, list[Any]]]:
    """Every frame of a study by its name."""
    return {
        "trials": trials(tables),
        "segments": segments(tables),
        "episodes": episodes(tables),
        "evaluations": evaluations(tables),
    }


def trials(tables: StudyTables) -> dict[str, list[Any]]:
    """One row per trial: how it ended, the newest segment that is done, its score, place and config.

    Of a trial without such a segment, the config is that of its newest one.
    """
    ranked, means, best = ranking(tables), validation_means(tables), incumbent(tables)
    place = {id_: rank for rank, id_ in enumerate(ranked, start=1)}
    newest = {segment.trial: segment for segment in tables.segments.values()}
    done = {tables.segments[id_].trial: tables.segments[id_] for id_ in ranked}

    def row(trial: int) -> dict[str, Any]:
        segment = done.get(trial)
        scored = {} if segment is None else {"score": segment_score(tables, segment.id), "rank": place[segment.id]}
        return {
            "trial": trial,
            "status": status(tables, newest[trial]),
            "segment": None if segment is None else segment.id,
            "score": None,
            "rank": None,
            **scored,
            "validation_mean": None if segment is None else means.get(segment.id),
            "is_incumbent": segment is not None and segment.id == best,
            **config_columns((segment or newest[trial]).config),
        }

    return frame(map(row, tables.trials))


def segments(tables: StudyTables) -> dict[str, list[Any]]:
    """One row per segment, in the order in which they were issued; the score is -inf of one that is not done."""
    return frame(_segment_row(tables, segment) for segment in tables.segments.values())


def episodes(tables: StudyTables) -> dict[str, list[Any]]:
    """One row per finished training episode: what ran it, how it went, and under which config."""
    return frame(row for segment in tables.segments.values() for row in _episode_rows(tables, segment))


def evaluations(tables: StudyTables) -> dict[str, list[Any]]:
    """One row per evaluation episode; the last return of an evaluation that failed is not a number."""
    return frame(
        {"segment": result.segment, "seed": result.seed, "episode": index, "return": return_}
        for result in tables.evaluations
        for index, return_ in enumerate(result.returns)
    )


def status(tables: StudyTables, segment: Segment) -> str:
    """How a segment ended; ``unfinished`` if it has not."""
    report = tables.reports.get(segment.id)
    return "unfinished" if report is None else report.status


def config_columns(config: Config) -> dict[str, Any]:
    """A config's values under the names that every frame has them by."""
    return {f"config.{name}": value for name, value in config.items()}


def _segment_row(tables: StudyTables, segment: Segment) -> dict[str, Any]:
    report, ran = tables.reports.get(segment.id), tables.episodes.get(segment.id, ())
    return {
        "segment": segment.id,
        "trial": segment.trial,
        "parent": segment.parent,
        "origin": segment.origin,
        "start": segment.start,
        "stop": segment.stop,
        "status": status(tables, segment),
        "score": segment_score(tables, segment.id),
        "env_steps": sum(episode.env_steps for episode in ran),
        "wall_s": None if report is None else report.wall_s,
        "reason": None if report is None or not report.reason else report.reason,
        **config_columns(segment.config),
    }


def _episode_rows(tables: StudyTables, segment: Segment) -> Iterator[dict[str, Any]]:
    shared = {"trial": segment.trial, "segment": segment.id, "parent": segment.parent, "origin": segment.origin}
    for episode in tables.episodes.get(segment.id, ()):
        yield {
            **shared,
            "episode": episode.index,
            "return": episode.return_,
            "length": episode.length,
            "is_random": episode.is_random,
            **config_columns(segment.config),
            **{f"metrics.{name}": value for name, value in episode.metrics.items()},
            **{f"warnings.{name}": value for name, value in episode.warnings.items()},
            **{f"seconds.{name}": value for name, value in episode.seconds.items()},
        }
