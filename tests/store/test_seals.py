"""Seals: every row that says something has one, and no change of a row goes unnoticed."""

import sqlite3
from pathlib import Path

import pytest

from cartwheel.records import Episode, Evaluation, Report, Retry, Segment
from cartwheel.store.database import Database
from cartwheel.store.run_folder import RunFolder
from cartwheel.store.seals import SEALED, row_seal

SEGMENT = Segment(0, 0, {"learning_rate": 1e-3}, 0, 3)
ONLY_COUNT_FILES = {"files", "checkpoint_files"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a row in every table."""
    with RunFolder.to_write(tmp_path) as folder:
        folder.create({"seed": 1})
        folder.begin_session()
        file = folder.checkpoints.write({}, {})
        evaluation = Evaluation(SEGMENT.id, 5, 2)
        with folder.commit() as writer:
            writer.add_issued(SEGMENT)
            writer.add_episode(SEGMENT.id, Episode(0, -0.0, 7, True, {"loss": 1.0}), file.digest, [file])
            writer.add_report(Report(SEGMENT.id, "done", (), file.digest, 3))
            writer.add_evaluation(evaluation)
            writer.add_evaluation_episode(evaluation, Episode(0, 1.5, 3))
            writer.end_evaluation(evaluation, "done", 2, "")
            writer.add_retry(Retry(SEGMENT.id, None, "timeout", "slow", 1.0))
    return tmp_path / "study.db"


def test_every_table_but_two_is_sealed(path: Path) -> None:
    """A new table is sealed, or is named here with a reason: these two only count files, whose names are digests."""
    database = Database(path, is_writer=False)
    assert set(database.tables()) - set(SEALED) == ONLY_COUNT_FILES
    assert all(database.rows(f"SELECT * FROM {table}") for table in database.tables())
    assert database.damage() == []
    database.close()


def test_any_change_of_any_value_is_found(path: Path) -> None:
    """Whatever else writes in the file: every column of every sealed table, one at a time."""
    database = Database(path, is_writer=False)
    columns = {table: database.columns(table)[0] for table in SEALED}
    database.close()
    num_tried, whole = 0, path.read_bytes()
    for table, names in columns.items():
        for name in names:
            path.write_bytes(whole)
            connection = sqlite3.connect(path)
            key = f'"{names[0]}"'
            first = f"(SELECT {key} FROM {table} LIMIT 1)"
            connection.execute(f'UPDATE {table} SET "{name}" = 77777 WHERE {key} = {first}')
            connection.commit()
            connection.close()
            database = Database(path, is_writer=False)
            assert database.damage(), f"{table}.{name}"
            database.close()
            num_tried += 1
    assert num_tried > 40


def test_a_seal_is_of_what_sqlite_gives_back() -> None:
    """SQLite keeps no sign of zero; types, order and table count."""
    assert row_seal("episodes", 0.0) == row_seal("episodes", -0.0)
    seals = [row_seal("a", 1), row_seal("b", 1), row_seal("a", 1.0), row_seal("a", "1"), row_seal("a", None)]
    assert len(set(seals)) == len(seals)
    assert row_seal("a", 1, 2) != row_seal("a", 2, 1)
