"""Databases damaged at random: one clear error or the truth, and a repair that ends as if nothing had happened."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartwheel.analysis.load import load_tables
from cartwheel.checking import check, check_and_repair
from cartwheel.errors import CartwheelError
from cartwheel.store.run_folder import DATABASE
from damage import Damage, copied, cut, flip, move_block, results, run, stopped_after, zero
from faults import count

DAMAGES: tuple[Damage, ...] = (flip, flip, flip, cut, zero, move_block)
STOPS = (5, 100)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return stopped_after(STOPS, tmp_path_factory.mktemp("stopped"))


def check_one_line(error: CartwheelError) -> None:
    assert "\n" not in str(error)


def shown(run_dir: Path) -> str:
    """All that status and report are made of."""
    return repr(load_tables(run_dir))


def test_damaged_databases_are_never_believed(stopped: list[Path], tmp_path: Path) -> None:
    """Flipped bits, lost and misplaced blocks, cut ends: anywhere in the file.

    Every reader gives the truth or a StorageError. ``check`` finds out all that changes what is read. After
    ``--repair`` the study goes on and ends like one that nothing happened to, unless the repair was refused, clearly.
    """
    whole, truths = results(stopped[-1]), [shown(folder) for folder in stopped]
    ends = Counter[str]()
    for case in range(count(ci=100, long=500)):
        rng = np.random.default_rng((2, case))
        which = int(rng.integers(len(stopped)))
        run_dir = copied(stopped[which], tmp_path / f"{case}" / "run")
        DAMAGES[rng.integers(len(DAMAGES))](run_dir / DATABASE, rng)
        ends[_end(run_dir, truths[which].replace(repr(stopped[which].name), repr("run")), whole, case)] += 1
    assert ends["repaired"] > ends["refused"], ends


def _end(run_dir: Path, truth: str, whole: dict[str, Any], case: int) -> str:
    before = (run_dir / DATABASE).read_bytes()
    try:
        assert shown(run_dir) == truth, f"case {case}"
    except CartwheelError as error:
        check_one_line(error)
    try:
        is_bad = bool(check(run_dir).findings)
        assert (run_dir / DATABASE).read_bytes() == before
        if is_bad:
            check_and_repair(run_dir)
        run(run_dir)
    except CartwheelError as error:
        check_one_line(error)
        return "refused"
    assert results(run_dir) == whole, f"case {case}"
    return "repaired" if is_bad else "untouched"


@pytest.mark.parametrize("text", ["", "hello", json.dumps({"a": 1}), "SQLite format 3\0" + "x" * 5000])
def test_what_is_no_database_is_refused(stopped: list[Path], tmp_path: Path, text: str) -> None:
    """By everything that opens it, with one line, and it keeps its bytes."""
    run_dir = copied(stopped[0], tmp_path / "run")
    (run_dir / DATABASE).write_text(text)
    for reading in (check, check_and_repair, load_tables, run):
        with pytest.raises(CartwheelError) as caught:
            reading(run_dir)
        assert "\n" not in str(caught.value)
    assert (run_dir / DATABASE).read_text() == text
