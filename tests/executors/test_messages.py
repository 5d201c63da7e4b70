"""What crosses between processes comes back as it was, and nothing that is received can run code."""

import ast
import math
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cartwheel
from cartwheel.errors import ConfigError, StorageError
from cartwheel.executors.messages import (
    Channel,
    error_from_json,
    error_to_json,
    outcome_from_json,
    outcome_to_json,
    work_from_json,
    work_to_json,
)
from cartwheel.executors.work import EpisodeDone, ItemDone, StartFrom, Work
from cartwheel.records import CheckpointId, Episode, Evaluation, Segment, SegmentId, ShrinkPerturb, Sources, StoredFile

CONFIG = {"rate": 1e-3, "planner": "icem", "width": 2**40, "is_on": True}
SEGMENT = Segment(3, 2, CONFIG, 2, 4, Sources.whole(SegmentId("1.0")), "copy", ShrinkPerturb(0.2, 0.1))
EVALUATION = Evaluation(SegmentId("3.2"), 2**62, 5)
EPISODE = Episode(3, -0.1, 17, metrics={"loss": 1 / 3}, warnings={"BADQACC": 2}, seconds={"plan": 0.25})
DIGEST = CheckpointId("ab" * 32)


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message as it comes out of a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(message)
        (received,) = Channel(theirs).receive(1.0)
    return received


@pytest.mark.parametrize("item", [SEGMENT, EVALUATION])
@pytest.mark.parametrize("start", [None, StartFrom.whole(DIGEST)])
def test_work_comes_back(item: Any, start: StartFrom | None) -> None:
    """Every field, with its type: the names of a seed are integers and strings in one tuple."""
    work = Work(item, SEGMENT.config, (2**63 - 1, "tune", "3.2"), start, 4)
    assert work_from_json(sent(work_to_json(work))) == work


@pytest.mark.parametrize(
    "outcome",
    [
        EpisodeDone(SEGMENT, EPISODE, DIGEST, (StoredFile(DIGEST, 12), StoredFile(CheckpointId("cd" * 32), 3))),
        EpisodeDone(EVALUATION, EPISODE, None, ()),
        ItemDone(SEGMENT, "done", "", 1.5),
        ItemDone(EVALUATION, "failed", "step 3 raised\nsomething", 0.1, EPISODE),
    ],
)
def test_outcomes_come_back(outcome: Any) -> None:
    """Every field, with its type."""
    assert outcome_from_json(sent(outcome_to_json(outcome))) == outcome


@given(st.floats(allow_nan=False))
def test_floats_come_back_bit_for_bit(value: float) -> None:
    """Also infinite ones, and zeros of either sign."""
    came = work_from_json(sent(work_to_json(Work(EVALUATION, {"rate": value}, (), None, 0)))).config["rate"]
    assert isinstance(came, float)
    assert (came, math.copysign(1.0, came)) == (value, math.copysign(1.0, value))


@pytest.mark.parametrize("error", [StorageError("disk full", "/here", "free it"), ConfigError("unknown", "env_id")])
def test_errors_of_the_user_stay_what_they_are(error: Any) -> None:
    """The class, which decides the exit code, and all three parts of the message."""
    came = error_from_json(sent(error_to_json(error)))
    assert type(came) is type(error)
    assert (str(came), vars(came)) == (str(error), vars(error))


def test_defects_say_where_they_are() -> None:
    """Any other error comes with its traceback."""
    try:
        raise ArithmeticError("a defect")
    except ArithmeticError as error:
        came = error_from_json(sent(error_to_json(error)))
    assert "test_defects_say_where_they_are" in str(came)
    assert "ArithmeticError: a defect" in str(came)


def test_messages_are_told_apart() -> None:
    """Several at once, and one that comes in pieces; half a message of somebody who died is no message."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Channel(theirs)
        ours.sendall(b'{"a":1}\n{"b":2}\n{"c"')
        assert channel.receive(1.0) == [{"a": 1}, {"b": 2}]
        assert channel.receive(0.0) == []
        ours.sendall(b':3}\n{"d"')
        assert channel.receive(1.0) == [{"c": 3}]
        ours.close()
        with pytest.raises(EOFError):
            channel.receive(1.0)
        with pytest.raises(EOFError):
            channel.send({"x": "y" * 2**20})


def test_nothing_in_the_source_reads_code() -> None:
    """No pickle, marshal, shelve, eval: the one ``exec`` runs a user's own task file."""
    forbidden = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
    folder = Path(cartwheel.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    assert not forbidden & {name.name.partition(".")[0] for name in names}, path
                case ast.ImportFrom(module=str(module)):
                    assert module.partition(".")[0] not in forbidden, path
                case ast.Call(func=ast.Name(id="eval")):
                    raise AssertionError(path)
                case ast.Call(func=ast.Name(id="exec")):
                    assert path == folder / "task_files.py"
