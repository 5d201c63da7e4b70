"""A disk that fills up: a clear message with the bytes that are needed, nothing corrupt, and after freeing it goes on.

The real one is a small file system in memory, mounted in a name space of its own: root may do that, and so may any user
where the system allows user name spaces. Elsewhere that test skips; a limit on the size of files, which needs no right,
and ``test_disk_errors.py`` still hold the promise.
"""

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import faults
from cartwheel.errors import ExitCode
from faults.case import RUN, Case, Whole, finish
from faults.conftest import SMALL, MakeCase
from faults.nursery import Nursery

DISK_BYTES = 2**21
"""More than one of our small studies needs."""
IN_ITS_OWN_SPACE = ("unshare", "--map-root-user", "--mount")
MOUNT = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && exec "$@"'


@dataclass(frozen=True)
class SmallDisk:
    """``nursery`` makes processes that see it at ``point``; everybody sees it at ``folder``."""

    nursery: Nursery
    point: Path

    @property
    def folder(self) -> Path:
        return Path(f"/proc/{self.nursery.pid}/root{self.point}")

    def fill(self, num_free: int) -> None:
        """Leave so many bytes, rounded to pages."""
        (self.folder / "filler").write_bytes(bytes(DISK_BYTES - num_free))

    def free(self) -> None:
        """Take away what fills it."""
        (self.folder / "filler").unlink()


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    point = tmp_path_factory.mktemp("disk")
    mounting = (*IN_ITS_OWN_SPACE, "sh", "-c", MOUNT, str(point))
    try:
        subprocess.run([*mounting, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this system lets nobody mount a small file system: {error}")
    nursery = Nursery(mounting)
    yield SmallDisk(nursery, point)
    nursery.close()


def test_a_full_disk(small_disk: SmallDisk, whole: Whole, quick_folder: Path) -> None:
    """At levels from nothing free to almost enough; it stays full for a second attempt, then it is freed."""
    rng = np.random.default_rng(0)
    used = sum(file.stat().st_blocks * 512 for file in whole.case.run_dir.rglob("*") if file.is_file())
    num_levels, num_failed = faults.count(ci=10, long=30), 0
    for level in range(num_levels):
        case = Case(small_disk.nursery, quick_folder / "full" / str(level), SMALL, small_disk.point / str(level))
        small_disk.fill(int(used * (level + rng.random()) / num_levels))
        num_failed += check_refused(case)
        check_refused(case)
        acknowledged = case.told()
        small_disk.free()
        finish(case)
        # SQLite would follow the links of /proc to the folder that is below the small disk: it reads a copy
        shutil.move(small_disk.folder / str(level), case.folder / RUN)
        whole.check(dataclasses.replace(case, elsewhere=None), acknowledged, num_deaths=2)
    assert num_failed > num_levels / 2


def check_refused(case: Case) -> bool:
    """Whether the study could not be finished; then it has said in one line how much was needed and was there."""
    num_lines = len(case.errors().splitlines()) if (case.folder / "errors.txt").exists() else 0
    if case.run() == ExitCode.DONE:
        return False
    (line,) = case.errors().splitlines()[num_lines:]
    assert re.search(r"of (up to )?\d+ bytes: .*; \d+ bytes are free .*; free or repair the disk", line), line
    return True


def test_no_file_may_grow(make_case: MakeCase, whole: Whole) -> None:
    """A limit on the size of files stops the database at some commit; without the limit the study goes on."""
    size = (whole.case.run_dir / "study.db").stat().st_size
    rng = np.random.default_rng(1)
    for level in range(faults.count(ci=10, long=30)):
        case = make_case(level)
        assert case.run(max_file_bytes=int(rng.integers(4096, size))) == ExitCode.STORAGE
        assert case.errors().startswith("cartwheel: error: ")
        assert case.errors().count("\n") == 1
        acknowledged = case.told()
        finish(case)
        whole.check(case, acknowledged)
