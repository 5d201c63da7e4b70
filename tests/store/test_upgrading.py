"""Run folders that older versions of Cartwheel wrote, kept as they were: read, resumed, brought up to date."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cartwheel.analysis.tables import num_failed_by_kind
from cartwheel.errors import StorageError
from cartwheel.results import Study
from cartwheel.store import upgrading
from cartwheel.store.database import APPLICATION_ID, Database
from cartwheel.store.run_folder import RunFolder
from cartwheel.store.upgrading import SCHEMA_VERSION
from cartwheel.tuning import Running, tune
from snapshot import snapshot
from synthetic_executor import SyntheticBackend, small_spec

ASSETS = Path(__file__).parent / "assets"
OLD = range(1, SCHEMA_VERSION)


def copied(version: int, to: Path) -> Path:
    """A study of three members, stopped: one done, one failed after an episode, one running."""
    shutil.copytree(ASSETS / f"schema-{version}", to)
    return to


def columns(path: Path) -> dict[str, Any]:
    """Every table's columns: name, type, NOT NULL, default, place in the key."""
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: connection.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
    connection.close()
    return found


def resume(run_dir: Path) -> Study:
    return tune(small_spec(), run_dir, Running(backend=SyntheticBackend(failures={"1.0": 1})))


def test_every_old_version_is_kept() -> None:
    """One run folder of each, made by the code of its time."""
    for version in OLD:
        connection = sqlite3.connect(ASSETS / f"schema-{version}" / "study.db")
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
        connection.close()
        assert version in upgrading._STEPS


@pytest.mark.parametrize("version", OLD)
def test_an_upgraded_database_is_like_a_new_one(version: int, tmp_path: Path) -> None:
    """The same tables with the same columns, for good and all at once."""
    with RunFolder.to_write(copied(version, tmp_path / "old")), RunFolder.to_write(tmp_path / "new") as new:
        new.create({})
    assert columns(tmp_path / "old" / "study.db") == columns(tmp_path / "new" / "study.db")
    connection = sqlite3.connect(tmp_path / "old" / "study.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.parametrize("version", OLD)
def test_an_old_study_is_resumed_to_the_same_end(version: int, tmp_path: Path) -> None:
    """As one that was begun today: the same segments, episodes, digests and files. What failed then has no kind."""
    old, new = resume(copied(version, tmp_path / "old")), resume(tmp_path / "new")
    assert old.is_done
    told, expected = snapshot(tmp_path / "old"), snapshot(tmp_path / "new")
    for name in ("segments", "episodes", "checkpoints", "files", "evaluations", "evaluation_episodes", "files on disk"):
        assert told[name] == expected[name], name
    assert [old.tables.reports[id_].status for id_ in old.tables.reports] == [
        new.tables.reports[id_].status for id_ in new.tables.reports
    ]
    assert old.best == new.best
    assert num_failed_by_kind(old.tables) == {"kind not recorded": 1}


@pytest.mark.parametrize("version", OLD)
def test_reading_leaves_an_old_study_as_it_is(version: int, tmp_path: Path) -> None:
    """It is brought up to date in memory: every byte stays, also where nobody may write."""
    path = copied(version, tmp_path / "old")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    (path / "study.db").chmod(0o444)
    path.chmod(0o555)
    try:
        study = Study(path)
    finally:
        path.chmod(0o755)
    assert not study.is_done
    assert {id_: report.status for id_, report in study.tables.reports.items()} == {"0.0": "done", "1.0": "failed"}
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_diverged_had_one_meaning(tmp_path: Path) -> None:
    """Weights that were not finite: the kind that such a report of schema 2 gets."""
    path = copied(2, tmp_path / "old")
    connection = sqlite3.connect(path / "study.db")
    connection.execute("UPDATE reports SET status = 'diverged' WHERE segment = '1.0'")
    connection.commit()
    connection.close()
    assert num_failed_by_kind(Study(path).tables) == {"non-finite training": 1}


def test_an_upgrade_that_is_interrupted_has_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps are one transaction: what fails half-way leaves the version and the tables that were there."""
    path = copied(1, tmp_path / "old")
    before = columns(path / "study.db")
    steps = {**upgrading._STEPS, 2: (*upgrading._STEPS[2], "INSERT INTO nowhere VALUES (1)")}
    monkeypatch.setattr(upgrading, "_STEPS", steps)
    with pytest.raises(StorageError, match="no such table"):
        RunFolder.to_write(path)
    assert columns(path / "study.db") == before
    monkeypatch.undo()
    assert resume(path).is_done


@pytest.mark.parametrize("is_writer", [True, False])
def test_newer_and_foreign_databases_are_refused_untouched(tmp_path: Path, is_writer: bool) -> None:
    """Of a later Cartwheel, of another program with tables, of another program without: one message, no change."""
    for name, application, version, match in (
        ("newer", APPLICATION_ID, SCHEMA_VERSION + 1, "newer Cartwheel.*update Cartwheel"),
        ("foreign", 7, 1, "not a Cartwheel study"),
        ("nameless", 0, 1, "not a Cartwheel study"),
    ):
        path = tmp_path / f"{name}.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE notes (text)")
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StorageError, match=match):
            Database(path, is_writer)
        assert path.read_bytes() == before
