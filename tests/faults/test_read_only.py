"""A run folder that may be read and not be written: readers read it, and who would write is refused with one line."""

import shutil
import sys
from pathlib import Path

import pytest

import cartwheel
from cartwheel.errors import ExitCode
from faults.case import RUN, Case, Whole
from faults.child import Settings
from faults.conftest import MakeCase

FOLDER, DATABASE = 0o555, 0o444


def is_open_to_all(path: Path) -> bool:
    """Whether a user who owns nothing may read a folder, which takes all folders above it."""
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


NEEDED = (Path(sys.prefix), Path(shutil.__file__).parent, Path(cartwheel.__file__).parent, Path(__file__).parent)
pytestmark = pytest.mark.skipif(
    not all(map(is_open_to_all, NEEDED)), reason="the interpreter and the code are not for every user to read"
)


@pytest.fixture
def copied(make_case: MakeCase, whole: Whole, quick_folder: Path) -> Case:
    """A finished study in a folder that everybody may enter."""
    case = make_case("case")
    shutil.copytree(whole.case.run_dir, case.run_dir)
    for folder in (quick_folder, case.folder.parent):
        folder.chmod(0o755)
    case.folder.chmod(0o777)
    return case


def typed(case: Case, *words: str) -> int:
    return case.wait(case.nursery.start(case.folder, words, Settings(is_unprivileged=True)))


@pytest.mark.parametrize("what", ["folder", "database"])
def test_a_study_that_may_not_be_written(copied: Case, what: str) -> None:
    """``status`` and ``check`` say how it is; ``tune`` says what it cannot write, and changes nothing."""
    database = copied.run_dir / "study.db"
    if what == "folder":
        copied.run_dir.chmod(FOLDER)
    else:
        copied.run_dir.chmod(0o777)
    database.chmod(DATABASE)
    before = database.read_bytes()
    assert typed(copied, "status", RUN) == ExitCode.DONE, copied.errors()
    assert typed(copied, "check", RUN) == ExitCode.DONE, copied.errors()
    assert copied.errors() == ""
    assert typed(copied, "tune", "study.toml", "--run-dir", RUN) == ExitCode.STORAGE
    (line,) = copied.errors().splitlines()
    assert line.startswith("cartwheel: error: ")
    assert RUN in line
    assert database.read_bytes() == before
