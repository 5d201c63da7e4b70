import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.records import Segment, Sources, segment_id
from cartwheel.schedules.schedule import Piece, Schedule, lineage

VALUES = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text(), st.booleans())


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    names = draw(st.lists(st.text(), min_size=1, max_size=3, unique=True))
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    stops = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    return Schedule(
        tuple(
            Piece(stop - length, stop, {name: draw(VALUES) for name in names})
            for stop, length in zip(stops, lengths, strict=True)
        )
    )


def chain(*spans: tuple[int, int, int, int, float]) -> list[Segment]:
    """Segments of (trial, index, start, stop, rate), each from the one before."""
    segments: list[Segment] = []
    for trial, index, start, stop, rate in spans:
        sources = Sources.whole(segments[-1].id) if segments else None
        segments.append(Segment(trial, index, {"rate": rate}, start, stop, sources))
    return segments


# trial 1 copied trial 0 at age 4, when it had run to age 6 itself; then trial 2 copied trial 1
LINEAGE = chain((0, 0, 0, 2, 1.0), (0, 1, 2, 4, 1.0), (1, 3, 4, 6, 2.0), (2, 9, 6, 7, 3.0))


def test_config_at_follows_the_pieces() -> None:
    """A piece (start 4, stop 6) holds in episodes 5 and 6; the random episode 0 belongs to the first."""
    schedule = Schedule.from_lineage(LINEAGE)
    rates = [schedule.config_at(episode)["rate"] for episode in range(8)]
    assert rates == [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    assert schedule.num_episodes == 7
    for episode in (-1, 8):
        with pytest.raises(ValueError, match=f"the episodes 0 to 7, not {episode}"):
            schedule.config_at(episode)


def test_equal_neighbours_become_one_piece() -> None:
    assert [(p.start, p.stop) for p in Schedule.from_lineage(LINEAGE).pieces] == [(0, 4), (4, 6), (6, 7)]


def test_a_broken_lineage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"segment 1\.3 does not continue 0\.0 but 0\.1"):
        Schedule.from_lineage([LINEAGE[0], LINEAGE[2]])
    with pytest.raises(ValueError, match="starts at 0, not at 2"):
        Schedule.from_lineage(LINEAGE[1:])
    gap = dataclasses.replace(LINEAGE[1], start=3)
    with pytest.raises(ValueError, match="ends at 2, the next starts at 3"):
        Schedule.from_lineage([LINEAGE[0], gap])
    with pytest.raises(ValueError, match="at least one piece"):
        Schedule.from_lineage([])


def test_pieces_hold_the_same_hyperparameters_and_some_episode() -> None:
    with pytest.raises(ValueError, match="other hyperparameters"):
        Schedule((Piece(0, 1, {"a": 1}), Piece(1, 2, {"b": 1})))
    with pytest.raises(ValueError, match="holds no episode"):
        Schedule((Piece(0, 0, {"a": 1}),))


@given(schedules())
def test_text_round_trips(schedule: Schedule) -> None:
    again = Schedule.from_text(schedule.to_text())
    assert again == schedule
    assert [[type(v) for v in p.config.values()] for p in again.pieces] == [
        [type(v) for v in p.config.values()] for p in schedule.pieces
    ]


@given(schedules(), st.integers(0, 5))
def test_a_rerun_follows_the_schedule(schedule: Schedule, trial: int) -> None:
    segments = schedule.to_segments(trial)
    assert [segment.id for segment in segments] == [segment_id(trial, i) for i in range(len(segments))]
    assert {segment.origin for segment in segments} == {"rerun"}
    by_id = {segment.id: segment for segment in segments}
    assert lineage(by_id, segments[-1].id) == segments
    again = Schedule.from_lineage(segments)
    assert all(again.config_at(e) == schedule.config_at(e) for e in range(schedule.num_episodes + 1))
    assert again.num_episodes == schedule.num_episodes


def file(**changes: Any) -> str:
    piece = {"start": 0, "stop": 2, "config": {"rate": 0.1}, **changes.pop("piece", {})}
    return json.dumps({"format": "cartwheel-schedule", "version": 1, "pieces": [piece], **changes})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not JSON"),
        ("[]", "not a schedule file"),
        (file(format="other"), "not a schedule file"),
        (file(version=2), "version 2; this release reads version 1"),
        (file(version=True), "version must be an integer, got True"),
        (file(pieces={}), "pieces must be a list"),
        (file(pieces=[]), "at least one piece"),
        (file(pieces=[3]), "piece 0: must be an object"),
        (file(piece={"start": 0.0}), "piece 0: start must be an integer, got 0.0"),
        (file(piece={"stop": None}), "piece 0: stop must be an integer, got None"),
        (file(piece={"stop": 0}), "holds no episode"),
        (file(piece={"config": [1]}), "piece 0: config must be a dict"),
        (file(piece={"config": {"rate": [1]}}), "piece 0: rate must be a finite number"),
        (file(piece={"config": {"rate": float("nan")}}), "NaN is not a number"),
        (file(piece={"config": {"rate": 7}}).replace("7", "1e999"), "rate must be a finite number"),
        ('{"format": "cartwheel-schedule", "format": "cartwheel-schedule"}', "a key appears twice"),
        ("[" * 100_000, "nested too deeply"),
        (file(piece={"config": {"rate": 7}}).replace("7", "1" * 5000), "digits"),
    ],
)
def test_a_bad_file_is_refused_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        Schedule.from_text(text)


def test_lineage_is_the_chain_of_parents() -> None:
    by_id = {segment.id: segment for segment in LINEAGE}
    assert lineage(by_id, segment_id(2, 9)) == LINEAGE
    assert lineage(by_id, segment_id(0, 0)) == LINEAGE[:1]


def test_a_missing_or_circular_parent_is_an_error() -> None:
    by_id = {segment.id: segment for segment in LINEAGE[1:]}
    with pytest.raises(ValueError, match=r"segment 0\.0, in the lineage of 2\.9, is missing"):
        lineage(by_id, segment_id(2, 9))
    a = Segment(0, 1, {}, 1, 2, Sources.whole(segment_id(1, 1)))
    b = Segment(1, 1, {}, 2, 3, Sources.whole(segment_id(0, 1)))
    with pytest.raises(ValueError, match="its own ancestor"):
        lineage({a.id: a, b.id: b}, a.id)
