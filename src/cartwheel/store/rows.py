"""How records become rows and rows records again, without loss."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from cartwheel.errors import StorageError
from cartwheel.records import Episode, Segment, segment_from_json
from cartwheel.store.database import Row

T = TypeVar("T")

EPISODE_COLUMNS = '"index", return, length, is_random, metrics, warnings, seconds'
SEGMENT_COLUMNS = 'id, trial, "index", config, start, stop, parent, sources, origin'


def to_json(value: object) -> str:
    """Compact JSON; equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def decoded(text: str, decode: Callable[[Any], T]) -> T:
    """What a JSON column holds. Raises StorageError if it cannot be: then somebody else wrote in the database."""
    try:
        return decode(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StorageError(f"the database holds a damaged record: {error}", next_step="restore a backup") from error


def episode_row(episode: Episode) -> tuple[Any, ...]:
    """Values for ``EPISODE_COLUMNS``."""
    return (
        episode.index,
        None if math.isnan(episode.return_) else episode.return_,
        episode.length,
        episode.is_random,
        to_json(dict(episode.metrics)),
        to_json(dict(episode.warnings)),
        to_json(dict(episode.seconds)),
    )


def episode_from_row(row: Row) -> Episode:
    """The inverse of ``episode_row``."""
    return Episode(
        row["index"],
        math.nan if row["return"] is None else row["return"],
        row["length"],
        bool(row["is_random"]),
        decoded(row["metrics"], dict),
        decoded(row["warnings"], dict),
        decoded(row["seconds"], dict),
    )


def broken_to_json(episode: Episode | None) -> str | None:
    """The column ``broken``."""
    return None if episode is None else to_json(dataclasses.asdict(episode))


def broken_from_json(text: str | None) -> Episode | None:
    """The inverse of ``broken_to_json``."""
    return None if text is None else decoded(text, lambda fields: Episode(**fields))


def segment_row(segment: Segment) -> tuple[Any, ...]:
    """Values for ``SEGMENT_COLUMNS``."""
    sources = None if segment.sources is None else dataclasses.asdict(segment.sources)
    if sources is not None and segment.shrink_perturb is not None:
        sources["shrink_perturb"] = dataclasses.asdict(segment.shrink_perturb)
    config = to_json(dict(segment.config))
    where = (segment.id, segment.trial, segment.index, config, segment.start, segment.stop)
    return (*where, segment.parent, None if sources is None else to_json(sources), segment.origin)


def segment_from_row(row: Row) -> Segment:
    """The inverse of ``segment_row``."""
    fields = {name: row[name] for name in ("trial", "index", "start", "stop", "origin")}
    fields |= {"config": decoded(row["config"], dict), "sources": None}
    if row["sources"] is not None:
        sources = decoded(row["sources"], dict)
        fields |= {"shrink_perturb": sources.pop("shrink_perturb", None), "sources": sources}
    return segment_from_json(fields)
