"""What Ray Tune 2.60 decided, observed by ``benchmarks/ray_agreement`` and kept in ``data/ray/observed.json``."""

import json
from pathlib import Path

import pytest

from benchmarks.ray_agreement.compare import compare

OBSERVED = Path(__file__).parents[1] / "data" / "ray" / "observed.json"

DISAGREEMENTS = {
    "PBT: both quantiles, equal scores": "equals copy each other in Ray",
    "PBT: who copies, scores with NaN": "who scores NaN is never replaced in Ray",
    "PBT: whether a late member copies, asynchronously": "Ray compares members of different ages",
    "PBT: a real value between 0.0001 and 1, up and down": "values leave their range in Ray",
    "PBT: a choice among words (`tune.choice`)": "an error in Ray",
    "Hyperband: number of brackets": "floating point in Ray",
    "Hyperband: trials that begin a bracket": "a rounded logarithm in Ray",
    "Hyperband: length of the later rungs": "rounding adds up in Ray",
    "Hyperband: how many of a rung go on": "ceil in Ray, floor in the paper",
    "Hyperband runs: a trial that scores NaN is stopped at its first rung": "it may survive in Ray",
}


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[int, int]]:
    """(cases decided alike, cases) by decision."""
    observed = json.loads(OBSERVED.read_text(encoding="utf-8"))
    assert observed["versions"]["ray"] == "2.60.0"
    return {row.topic: (row.num_equal, row.num) for row in compare(observed)}


def test_we_decide_as_ray_does(table: dict[str, tuple[int, int]]) -> None:
    """Wherever no disagreement is known."""
    rest = {topic: counts for topic, counts in table.items() if topic not in DISAGREEMENTS}
    assert len(rest) == 20
    assert all(num_equal == num > 0 for num_equal, num in rest.values()), rest


def test_the_disagreements_are_those_that_are_known(table: dict[str, tuple[int, int]]) -> None:
    assert all(table[topic][0] < table[topic][1] for topic in DISAGREEMENTS)
