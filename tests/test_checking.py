"""``cartwheel check``: what is good is called good, what is bad is named, and a repaired study ends as it should."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cartwheel.checking import check, check_and_repair, run_folders
from cartwheel.cli.app import app
from cartwheel.errors import AlreadyOwned, ExitCode, StorageError
from cartwheel.store.run_folder import RunFolder
from damage import copied, results, run
from snapshot import snapshot


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    run(path)
    return path


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "run"
    run(path, 5)
    return path


def changed(run_dir: Path, *statements: str) -> Path:
    connection = sqlite3.connect(run_dir / "study.db")
    connection.execute("PRAGMA foreign_keys = OFF")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return run_dir


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 4, 5, 6, 7, 8, 100])
def test_a_sound_study_is_good_at_every_moment(tmp_path: Path, looks: int) -> None:
    """Everything that is stored follows from the log and the progress of open segments: nothing is found."""
    run(tmp_path / "run", looks)
    before = snapshot(tmp_path / "run")
    assert check(tmp_path / "run").findings == []
    assert snapshot(tmp_path / "run") == before


def test_a_damaged_name_of_a_column_is_one_clear_error(whole: Path, tmp_path: Path) -> None:
    """Of bytes that are no text, so that it cannot even be asked for; and a repair brings the table back."""
    run_dir = copied(whole, tmp_path / "run")
    data = (run_dir / "study.db").read_bytes()
    assert b"    seconds    TEXT" in data
    (run_dir / "study.db").write_bytes(data.replace(b"    seconds    TEXT", b"    \xa0    TEXT      "))
    for reading in (RunFolder.to_read, RunFolder.to_write):
        with pytest.raises(StorageError) as caught:
            reading(run_dir)
        assert "\n" not in str(caught.value)
        str(caught.value).encode()
    assert check(run_dir).findings
    check_and_repair(run_dir)
    run(run_dir)
    assert results(run_dir) == results(whole)


def test_a_damaged_key_is_found_and_repaired(whole: Path, tmp_path: Path) -> None:
    """A table that has lost a part of its primary key: its rows are named by what is left of that."""
    run_dir = copied(whole, tmp_path / "run")
    data = (run_dir / "study.db").read_bytes()
    found = b'PRIMARY KEY (segment, "index")'
    assert found in data
    (run_dir / "study.db").write_bytes(data.replace(found, b"PRIMARY KEY (segment         )"))
    assert check(run_dir).findings
    check_and_repair(run_dir)
    run(run_dir)
    assert results(run_dir) == results(whole)


DAMAGES = {
    "a return": 'UPDATE episodes SET return = 1e9 WHERE segment = "0.0" AND "index" = 1',
    "a return in the log": "UPDATE events SET event = replace(event, '\"return_\":', '\"return_\":1') WHERE number > 2",
    "an event": "DELETE FROM events WHERE number = 3",
    "the last event": "DELETE FROM events WHERE number = (SELECT max(number) FROM events)",
    "many events": "DELETE FROM events WHERE number > 2 AND number < 5",
    "a segment": 'DELETE FROM segments WHERE id = "1.0"',
    "a config": "UPDATE segments SET config = replace(config, '1', '2') WHERE id = \"1.0\"",
    "a report": 'DELETE FROM reports WHERE segment = "0.0"',
    "episodes": "DELETE FROM episodes",
    "a checkpoint": "UPDATE checkpoints SET episode = episode + 1",
    "checkpoints": "DELETE FROM checkpoints",
    "sizes": "UPDATE files SET size_bytes = 9",
    "files": "DELETE FROM checkpoint_files WHERE position = 1",
    "a session": "UPDATE sessions SET wall_s = 1e9",
    "the spec": "UPDATE meta SET value = '{}' WHERE key = 'spec'",
    "the kind": "DELETE FROM meta WHERE key = 'kind'",
}


@pytest.mark.parametrize("what", DAMAGES)
@pytest.mark.parametrize("moment", ["half", "whole"])
def test_what_is_changed_is_found_and_repaired(
    what: str, moment: str, tmp_path: Path, request: pytest.FixtureRequest, whole: Path
) -> None:
    """Repaired and resumed, the study ends like one that nothing happened to; the damaged database is kept."""
    origin = request.getfixturevalue(moment)
    run_dir = changed(copied(origin, tmp_path / "run"), DAMAGES[what])
    damaged = (run_dir / "study.db").read_bytes()
    assert check(run_dir).findings
    assert (run_dir / "study.db").read_bytes() == damaged
    backup = check_and_repair(run_dir).backup
    assert backup == run_dir / "study.db.before-repair-1"
    assert backup.read_bytes() == damaged
    assert check(run_dir).findings == []
    run(run_dir)
    assert results(run_dir) == results(whole)


def test_what_a_study_is_cannot_be_guessed(tmp_path: Path, whole: Path) -> None:
    """Without its settings a study is refused, and stays as it is."""
    run_dir = changed(copied(whole, tmp_path / "run"), "DELETE FROM meta")
    damaged = (run_dir / "study.db").read_bytes()
    (finding,) = (finding for finding in check(run_dir).findings if "has been lost" in finding.cause)
    assert "restore a backup" in finding.remedy
    with pytest.raises(Exception, match="what the study is has been lost"):
        check_and_repair(run_dir)
    assert (run_dir / "study.db").read_bytes() == damaged


def test_a_log_that_its_tuner_would_not_have_written_is_found(tmp_path: Path, whole: Path) -> None:
    """Seals only say that the rows are Cartwheel's: the log must also be one of this study's tuner."""
    run_dir = copied(whole, tmp_path / "run")
    with RunFolder.to_write(run_dir) as folder, folder.commit() as writer:
        spec = folder.read.meta("spec")
        writer.set_meta("spec", {**spec, "tuner": {"name": "random-search", "num_trials": 1}})
    assert any("the tuner does not take it" in finding.cause for finding in check(run_dir).findings)


def test_the_study_file_is_compared_and_written_anew(tmp_path: Path, whole: Path) -> None:
    """It says what the database says."""
    run_dir = copied(whole, tmp_path / "run")
    (run_dir / "study.toml").write_text("seed = 7")
    (finding,) = check(run_dir).findings
    assert finding.place == "study.toml"
    check_and_repair(run_dir)
    assert (run_dir / "study.toml").read_bytes() == (whole / "study.toml").read_bytes()


def test_a_study_that_is_being_run_can_be_checked_and_not_repaired(tmp_path: Path, half: Path) -> None:
    """The owner is named, and is not held up."""
    run_dir = copied(half, tmp_path / "run")
    with RunFolder.to_write(run_dir) as folder:
        checked = check(run_dir)
        assert checked.owner is not None
        assert checked.findings == []
        with pytest.raises(AlreadyOwned):
            check_and_repair(run_dir)
        folder.begin_session()


def test_run_folders_inside_are_found(tmp_path: Path, whole: Path) -> None:
    """Reruns and controls are studies too."""
    outer = copied(whole, tmp_path / "run")
    inner = copied(whole, outer / "reruns" / "found")
    assert run_folders(outer) == [outer, inner]
    with pytest.raises(StorageError, match="no study here"):
        run_folders(tmp_path / "nothing")


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*words: Any) -> tuple[int, str]:
        code = app([str(word) for word in words], exit_on_error=False)
        return int(code), capsys.readouterr().out

    return call


def test_the_command(tmp_path: Path, whole: Path, shown: Callable[..., tuple[int, str]]) -> None:
    """0 and what was checked if all is good, 4 and what is bad if not; --repair says where the old database is."""
    code, text = shown("check", whole)
    assert code == ExitCode.DONE
    assert text.startswith(f"{whole}: good\n")
    run_dir = changed(copied(whole, tmp_path / "run"), DAMAGES["a return"])
    code, text = shown("check", run_dir)
    assert code == ExitCode.STORAGE
    bad = "study.db, episodes (segment 0.0, index 1): not what was written; --repair writes it anew from what is sound"
    assert bad in text
    assert text.endswith(f"next: cartwheel check {run_dir} --repair\n")
    code, text = shown("check", run_dir, "--json")
    facts = json.loads(text)
    assert (code, facts["is_good"], len(facts["findings"])) == (ExitCode.STORAGE, False, 1)
    code, text = shown("check", run_dir, "--repair")
    assert code == ExitCode.DONE
    assert f"the old database is {run_dir}/study.db.before-repair-1" in text
    assert shown("check", run_dir)[0] == ExitCode.DONE
