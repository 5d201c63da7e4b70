"""Schedules: which config applies in which episode.

A schedule is piecewise constant over model-driven episodes. It is read along a lineage, can be kept in a file, and can
be followed anew by a rerun. Like a segment, a piece counts model-driven episodes: (start 5, stop 10) covers the
episodes 6 to 10. The random episode 0 belongs to the first piece, whose config fits the model after it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from cartwheel.records import Config, Segment, SegmentId, Sources, segment_id

FORMAT = "cartwheel-schedule"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """One config from ``start`` to ``stop`` model-driven episodes."""

    start: int
    stop: int
    config: Config


@dataclass(frozen=True, slots=True)
class Schedule:
    """Pieces without gaps from 0 on, all of the same hyperparameters. Raises ValueError otherwise.

    ``scales``: by name, the factors by which values were multiplied after they were found, for another budget.
    """

    pieces: tuple[Piece, ...]
    scales: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.pieces:
            raise ValueError("a schedule needs at least one piece")
        if self.pieces[0].start != 0:
            raise ValueError(f"a schedule starts at 0, not at {self.pieces[0].start}")
        for before, after in pairwise(self.pieces):
            if before.stop != after.start:
                raise ValueError(f"a piece ends at {before.stop}, the next starts at {after.start}")
        for piece in self.pieces:
            if piece.start >= piece.stop:
                raise ValueError(f"a piece from {piece.start} to {piece.stop} holds no episode")
            if piece.config.keys() != self.pieces[0].config.keys():
                raise ValueError(
                    f"the piece from {piece.start} to {piece.stop} has other hyperparameters than the first"
                )

    @property
    def num_episodes(self) -> int:
        """Model-driven episodes covered."""
        return self.pieces[-1].stop

    def config_at(self, episode: int) -> Config:
        """The config of an episode by its index (0: the random one). Raises ValueError past the end."""
        if not 0 <= episode <= self.num_episodes:
            raise ValueError(f"the schedule covers the episodes 0 to {self.num_episodes}, not {episode}")
        return next(piece.config for piece in self.pieces if episode <= piece.stop)

    def first(self, num_episodes: int) -> "Schedule":
        """The first ``num_episodes`` model-driven episodes of it. Raises ValueError if it has fewer."""
        if num_episodes > self.num_episodes:
            raise ValueError(f"the schedule covers {self.num_episodes} episodes, not {num_episodes}")
        kept = (piece for piece in self.pieces if piece.start < num_episodes)
        pieces = tuple(Piece(piece.start, min(piece.stop, num_episodes), piece.config) for piece in kept)
        return replace(self, pieces=pieces)

    @staticmethod
    def from_lineage(segments: Sequence[Segment]) -> "Schedule":
        """The schedule along a lineage, root first. Neighbours with equal configs become one piece."""
        for parent, child in pairwise(segments):
            if child.parent != parent.id:
                raise ValueError(f"segment {child.id} does not continue {parent.id} but {child.parent}")
        return Schedule(merged(Piece(segment.start, segment.stop, segment.config) for segment in segments))

    @staticmethod
    def from_text(text: str) -> "Schedule":
        """The schedule in a file's text. Raises ValueError with the cause if it holds none."""
        data = parse_json(text)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f'not a schedule file: it lacks "format": {FORMAT!r}')
        if (version := _entry(data, "version", int)) != VERSION:
            raise ValueError(f"schedule file of version {version}; this release reads version {VERSION}")
        schedule = Schedule.from_tables(_entry(data, "pieces", list))
        return replace(schedule, scales=_scales(data["scales"])) if "scales" in data else schedule

    @staticmethod
    def from_tables(pieces: Iterable[Any]) -> "Schedule":
        """The schedule of plain pieces, each with start, stop and config. Raises ValueError naming piece and cause."""
        return Schedule(tuple(_piece(piece, number) for number, piece in enumerate(pieces)))

    def to_text(self) -> str:
        """JSON text for a file; ``from_text`` is the inverse."""
        pieces = [{"start": p.start, "stop": p.stop, "config": dict(p.config)} for p in self.pieces]
        scales = {"scales": dict(self.scales)} if self.scales else {}
        data = {"format": FORMAT, "version": VERSION, **scales, "pieces": pieces}
        return json.dumps(data, indent=2, allow_nan=False) + "\n"

    def to_segments(self, trial: int) -> list[Segment]:
        """The segments of one trial that follows this schedule from nothing."""
        return [
            Segment(
                trial=trial,
                index=index,
                config=piece.config,
                start=piece.start,
                stop=piece.stop,
                sources=Sources.whole(segment_id(trial, index - 1)) if index else None,
                origin="rerun",
            )
            for index, piece in enumerate(self.pieces)
        ]


def lineage(segments: Mapping[SegmentId, Segment], leaf: SegmentId) -> list[Segment]:
    """The chain of parents that ends in ``leaf``, root first. Raises ValueError if one is missing or they circle."""
    chain: dict[SegmentId, Segment] = {}
    at: SegmentId | None = leaf
    while at is not None:
        if at in chain:
            raise ValueError(f"segment {at} is its own ancestor")
        if at not in segments:
            raise ValueError(f"segment {at}, in the lineage of {leaf}, is missing")
        chain[at] = segments[at]
        at = segments[at].parent
    return list(chain.values())[::-1]


def merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Neighbours with equal configs become one piece."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].config == piece.config and found[-1].stop == piece.start:
            found[-1] = Piece(found[-1].start, piece.stop, piece.config)
        else:
            found.append(piece)
    return tuple(found)


def parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no key twice. Raises ValueError with the cause."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise ValueError("not a schedule file: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that a schedule can hold")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"a key appears twice among {', '.join(sorted(key for key, _ in pairs))}")
    return dict(pairs)


def check_values(config: Mapping[str, Any]) -> None:
    """Raises ValueError unless all are values of hyperparameters."""
    for name, value in config.items():
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} must be a finite number, a string or a boolean, got {value!r}")


def _piece(data: Any, number: int) -> Piece:
    try:
        if not isinstance(data, dict):
            raise ValueError(f"must be an object, got {data!r}")
        config = _entry(data, "config", dict)
        check_values(config)
        return Piece(_entry(data, "start", int), _entry(data, "stop", int), config)
    except ValueError as error:
        raise ValueError(f"piece {number}: {error}") from None


def _scales(data: Any) -> dict[str, float]:
    if not isinstance(data, dict) or not all(type(factor) in (int, float) for factor in data.values()):
        raise ValueError(f"scales must be an object of numbers, got {data!r}")
    check_values(data)
    return data


def _entry(data: dict[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    # exactly that type: a boolean is an int to isinstance
    if type(value) is not kind:
        raise ValueError(f"{key} must be {'an integer' if kind is int else f'a {kind.__name__}'}, got {value!r}")
    return value
