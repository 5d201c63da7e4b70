"""The instrument itself: a fault that does not happen proves nothing."""

import errno

import pytest

from cartwheel.errors import ExitCode
from faults import sqlite_steps
from faults.conftest import MakeCase
from faults.steps import Fault

OWN = {"open *.tmp", "write *.tmp", "fsync *.tmp", "rename *.tmp", "fsync checkpoints", "unlink *.safetensors"}
SQLITE = {
    *(f"sqlite {step} study.db-journal" for step in ("open", "write", "sync", "truncate")),
    *(f"sqlite {step} study.db" for step in ("open", "write", "sync")),
}


def test_all_steps_of_a_study_are_seen(make_case: MakeCase) -> None:
    """Those of the checkpoint folder and those of a commit."""
    case = make_case("case")
    assert case.run(has_steps=True) == ExitCode.DONE
    assert set(case.steps()) >= OWN


@pytest.mark.skipif(bool(sqlite_steps.missing()), reason=sqlite_steps.missing())
def test_sqlites_steps_are_seen_and_fail(make_case: MakeCase) -> None:
    """In the order of a commit with a rollback journal; and SQLite believes the error."""
    case = make_case("case")
    assert case.run(has_steps=True) == ExitCode.DONE
    steps = case.steps()
    assert set(steps) >= SQLITE
    in_order = [f"sqlite {step}" for step in ("write study.db-journal", "sync study.db-journal", "write study.db")]
    assert [steps.index(step) for step in in_order] == sorted(steps.index(step) for step in in_order)
    at = steps.index("sqlite sync study.db") + 1
    failing = make_case("failing")
    assert failing.run(fault=Fault(at, "error", errno.EIO)) == ExitCode.STORAGE
    assert "disk I/O error" in failing.errors()
