"""One nursery per process of the test suite, and the whole studies that cases are compared with."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.case import Case, Size, Whole, finish
from faults.nursery import Nursery

MakeCase = Callable[..., Case]
SMALL = Size()
MEMORY = Path("/dev/shm")
"""A process that dies leaves files in memory as it leaves those on a disk, and a sync costs nothing there."""


@pytest.fixture(scope="session")
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the machine has such; else on disk, which takes longer and proves the same."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    opened = Nursery()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def whole(nursery: Nursery, quick_folder: Path) -> Whole:
    """About 30 segments, run to the end."""
    return run_whole(nursery, quick_folder / "whole", SMALL)


@pytest.fixture(scope="session")
def thin(nursery: Nursery, quick_folder: Path) -> Whole:
    """The same study, which drops the checkpoints that nobody needs any more."""
    return run_whole(nursery, quick_folder / "thin", Size(keep="needed"))


@pytest.fixture
def make_case(nursery: Nursery, quick_folder: Path, request: pytest.FixtureRequest) -> MakeCase:
    """New cases in folders of their own."""
    return lambda name, size=SMALL: Case(nursery, quick_folder / request.node.name / str(name), size)


def run_whole(nursery: Nursery, folder: Path, size: Size) -> Whole:
    """Run a study to its end, and time it."""
    case = Case(nursery, folder, size)
    began = time.perf_counter()
    finish(case)
    return Whole(case, case.outcome(), time.perf_counter() - began)
