"""Records turn into JSON and into rows and back without loss, also those of before a field was added."""

import dataclasses
import json

import pytest

from cartwheel.records import (
    Issued,
    Segment,
    SegmentId,
    ShrinkPerturb,
    Sources,
    event_from_json,
    event_to_json,
    segment_from_json,
)
from cartwheel.store.rows import SEGMENT_COLUMNS, segment_from_row, segment_row

PARENT = Sources.whole(SegmentId("0.0"))
PLAIN = Segment(0, 1, {"learning_rate": 1e-3}, 2, 4, PARENT, "continue")
SHRUNK = dataclasses.replace(PLAIN, origin="restart", shrink_perturb=ShrinkPerturb(0.2, 0.1))
NEW = Segment(0, 0, {"learning_rate": 1e-3}, 0, 2)


@pytest.mark.parametrize("segment", [NEW, PLAIN, SHRUNK], ids=lambda segment: segment.origin)
def test_a_segment_comes_back_from_json_and_from_its_row(segment: Segment) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(Issued(segment))))) == Issued(segment)
    names = [name.strip().strip('"') for name in SEGMENT_COLUMNS.split(",")]
    row = dict(zip(names, segment_row(segment), strict=True))
    assert segment_from_row(row) == segment  # type: ignore[arg-type]


def test_logs_from_before_weights_could_be_shrunk_read_on() -> None:
    fields = dataclasses.asdict(PLAIN)
    del fields["shrink_perturb"]
    assert segment_from_json(fields) == PLAIN
    row = segment_row(PLAIN)
    assert json.loads(row[-2]).keys() == {"weights", "optimizer", "normaliser", "replay"}


def test_only_what_has_weights_can_be_shrunk() -> None:
    with pytest.raises(ValueError, match="begins from nothing"):
        dataclasses.replace(NEW, shrink_perturb=ShrinkPerturb(0.2, 0.1))
    for shrink, perturb in ((-0.1, 0.0), (1.1, 0.0), (0.5, float("nan"))):
        with pytest.raises(ValueError, match="must be between 0 and 1"):
            ShrinkPerturb(shrink, perturb)
