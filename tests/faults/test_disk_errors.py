"""An I/O error or a full disk at every single step: one clear line, exit code 4, and the study resumes."""

import errno
from pathlib import Path

import pytest

import faults
from cartwheel.errors import ExitCode
from faults.case import Case, Size, Whole, finish
from faults.conftest import MakeCase, run_whole
from faults.nursery import Nursery
from faults.steps import Fault

TINY = Size(population=1, num_episodes=1, lanes=1)
"""Every kind of commit, and a few hundred steps."""
NUM_SLICES = 4
"""The steps are dealt out to so many tests, which may run side by side."""
HARMLESS = {"truncate study.lock"}
"""The name of the owner is only a courtesy."""


@pytest.fixture(scope="module")
def tiny(nursery: Nursery, quick_folder: Path) -> Whole:
    return run_whole(nursery, quick_folder / "tiny", TINY)


@pytest.fixture(scope="module")
def names(nursery: Nursery, quick_folder: Path, tiny: Whole) -> list[str]:
    """All steps of a study that nothing happens to."""
    case = Case(nursery, quick_folder / "counted", TINY)
    assert case.run(has_steps=True) == ExitCode.DONE
    assert case.outcome() == tiny.outcome
    return case.steps()


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("part", range(NUM_SLICES))
def test_an_error_at_every_step(make_case: MakeCase, tiny: Whole, names: list[str], part: int, lasts: bool) -> None:
    """At n = 1, 2, ... until the study passes, once or from then on; then resumed, it ends as if nothing had been."""
    every = faults.count(ci=5, long=1) if lasts else 1  # an error for good begins as one that comes once
    for at in range(1 + part, len(names) + 1, NUM_SLICES * every):
        number = (errno.ENOSPC, errno.EIO)[at // NUM_SLICES % 2]
        check_error(make_case(at, TINY), tiny, names[at - 1], Fault(at, "error", number, lasts))


def check_error(case: Case, tiny: Whole, name: str, fault: Fault) -> None:
    code = case.run(fault=fault)
    errors, acknowledged = case.errors(), case.told()
    where = f"step {fault.at}, {name}: {errors}"
    if code == ExitCode.DONE:
        assert name in HARMLESS, where
    else:
        assert code == ExitCode.STORAGE, where
        assert errors.startswith("cartwheel: error: "), where
        assert errors.count("\n") == 1, where
    finish(case)
    tiny.check(case, acknowledged)


def test_the_study_passes_where_there_is_no_fault_left(make_case: MakeCase, tiny: Whole, names: list[str]) -> None:
    """One step behind the last: nothing happens."""
    case = make_case("passes", TINY)
    assert case.run(fault=Fault(len(names) + 1, "error")) == ExitCode.DONE
    assert case.outcome() == tiny.outcome
