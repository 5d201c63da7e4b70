"""The run folder: what a commit promises, who may write, what is refused."""

import fcntl
import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cartwheel.errors import AlreadyOwned, ConfigError, StorageError
from cartwheel.records import CheckpointId, Episode, Evaluation, Issued, Report, Reported, Segment, Sources, StoredFile
from cartwheel.store.owner import is_owned, read_owner
from cartwheel.store.run_folder import RunFolder

FIRST = Segment(0, 0, {"learning_rate": 1e-3, "num_epochs": 5, "planner": "cem", "is_on": True}, 0, 3)
SECOND = Segment(1, 1, {"learning_rate": 2e-3}, 3, 5, Sources(FIRST.id, "2.0", "3.0", FIRST.id), "copy")  # type: ignore[arg-type]


def begun(path: Path) -> RunFolder:
    folder = RunFolder.to_write(path)
    if folder.is_blank:
        folder.create({"seed": 1})
    return folder


def stored(folder: RunFolder, number: float) -> StoredFile:
    return folder.checkpoints.write({"x": np.array([number])}, {})


def add_episode(folder: RunFolder, index: int, files: tuple[StoredFile, ...]) -> None:
    with folder.commit() as writer:
        writer.add_episode(FIRST.id, Episode(index, 1.0, 10), files[0].digest, files)


BROKEN = Episode(2, -math.inf, 4, warnings={"not_finite": 1})
"""As far as it came."""


def test_records_come_back_without_loss(tmp_path: Path) -> None:
    """Segments, episodes (NaN and infinite returns too), reports, events, evaluations: equal after a new opening."""
    episodes = (
        Episode(0, -math.inf, 7, True, {"loss": math.inf}, {"BADQACC": 2}, {"fit": 0.25}),
        Episode(1, 0.1 + 0.2, 9),
    )
    evaluation = Evaluation(FIRST.id, 5, 2)
    with begun(tmp_path) as folder:
        files = [stored(folder, number) for number in range(2)]
        with folder.commit() as writer:
            writer.add_issued(FIRST)
            writer.add_issued(SECOND)
            for episode, file in zip(episodes, files, strict=True):
                writer.add_episode(FIRST.id, episode, file.digest, [file])
            report = Report(FIRST.id, "done", episodes, files[1].digest, 2.5)
            writer.add_report(report)
            writer.add_evaluation(evaluation)
            writer.add_evaluation_episode(evaluation, Episode(0, math.nan, 3))
            writer.end_evaluation(evaluation, "diverged", 1.0, "NaN", BROKEN)
            failed = Report(SECOND.id, "failed", (), None, 0.5, "snapped", BROKEN)
            writer.add_report(failed)
    with RunFolder.to_read(tmp_path) as folder:
        read = folder.read
        assert read.segments() == [FIRST, SECOND]
        assert read.segment(SECOND.id) == SECOND
        assert read.open_segments() == []
        assert read.episodes(FIRST.id) == episodes
        assert read.all_episodes() == {FIRST.id: episodes}
        assert read.report(FIRST.id) == report
        assert read.report(SECOND.id) == failed
        assert read.reports() == {FIRST.id: report, SECOND.id: failed}
        assert read.events() == [Issued(FIRST), Issued(SECOND), Reported(report), Reported(failed)]
        (kept,) = read.evaluations()
        assert (kept.evaluation, kept.status, kept.reason, kept.wall_s) == (evaluation, "diverged", "NaN", 1.0)
        assert len(kept.returns) == 1
        assert kept.broken == BROKEN
        assert math.isnan(kept.returns[0])
        assert read.meta("seed") == 1


def test_a_commit_is_all_or_nothing(tmp_path: Path) -> None:
    """If anything fails on the way, none of the rows is there."""
    with begun(tmp_path) as folder:
        with pytest.raises(StorageError), folder.commit() as writer:
            writer.add_issued(FIRST), writer.add_issued(FIRST)
        assert folder.read.segments() == []
        assert folder.read.events() == []


def test_a_newer_checkpoint_replaces_the_older_one(tmp_path: Path) -> None:
    """Of a running segment the newest checkpoint is kept; its shards stay as long as it needs them."""
    with begun(tmp_path) as folder:
        with folder.commit() as writer:
            writer.add_issued(FIRST)
        shard, one, two = (stored(folder, number) for number in range(3))
        add_episode(folder, 0, (one, shard))
        add_episode(folder, 1, (two, shard))
        kept = folder.read.checkpoint(FIRST.id)
        assert kept is not None
        assert (kept.digest, kept.episode, kept.is_final) == (two.digest, 1, False)
        assert folder.checkpoints.digests() == {two.digest, shard.digest}
        assert folder.read.files_of(FIRST.id) == [two, shard]
        assert folder.read.files() == sorted([two, shard], key=lambda file: file.digest)


def test_a_file_that_two_checkpoints_need_stays(tmp_path: Path) -> None:
    """A shard that a copy inherited is not deleted with the checkpoint of the trial it came from."""
    with begun(tmp_path) as folder:
        other = Segment(1, 0, {}, 0, 3)
        shard, one, two = (stored(folder, number) for number in range(3))
        with folder.commit() as writer:
            writer.add_issued(FIRST)
            writer.add_issued(other)
            writer.add_episode(FIRST.id, Episode(0, 1.0, 10), one.digest, (one, shard))
            writer.add_episode(other.id, Episode(0, 1.0, 10), two.digest, (two, shard))
        with folder.commit() as writer:
            writer.add_report(Report(FIRST.id, "failed", (), None, reason="lost"))
        assert folder.checkpoints.digests() == {two.digest, shard.digest}


def test_final_checkpoints_stay_and_those_of_failures_go(tmp_path: Path) -> None:
    """The end of a done segment can be continued for ever; that of a failed one never."""
    with begun(tmp_path) as folder:
        other = Segment(1, 0, {}, 0, 3)
        one, two = stored(folder, 1), stored(folder, 2)
        with folder.commit() as writer:
            for segment, file in ((FIRST, one), (other, two)):
                writer.add_issued(segment)
                writer.add_episode(segment.id, Episode(0, 1.0, 10), file.digest, (file,))
            writer.add_report(Report(FIRST.id, "done", (), one.digest))
            writer.add_report(Report(other.id, "diverged", (), None))
        assert [(kept.segment, kept.is_final) for kept in folder.read.checkpoints()] == [(FIRST.id, True)]
        assert folder.checkpoints.digests() == {one.digest}


def test_a_row_never_promises_a_missing_file(tmp_path: Path) -> None:
    """An episode whose checkpoint is not on disk cannot be committed."""
    with begun(tmp_path) as folder:
        with folder.commit() as writer:
            writer.add_issued(FIRST)
        with pytest.raises(StorageError):
            add_episode(folder, 0, (StoredFile(CheckpointId("0" * 64), 10),))
        assert folder.read.episodes(FIRST.id) == ()


def test_forgotten_progress_can_be_made_again(tmp_path: Path) -> None:
    """A segment whose rolling checkpoint is bad loses its episodes, not its place in the log."""
    with begun(tmp_path) as folder:
        with folder.commit() as writer:
            writer.add_issued(FIRST)
        add_episode(folder, 0, (stored(folder, 1),))
        with folder.commit() as writer:
            writer.forget_progress(FIRST.id)
        assert folder.read.num_episodes(FIRST.id) == 0
        assert folder.checkpoints.digests() == set()
        assert folder.read.open_segments() == [FIRST]


def test_opening_clears_what_a_kill_left(tmp_path: Path) -> None:
    """Files that were written and never committed, and temporary ones, are gone; the committed ones stay."""
    with begun(tmp_path) as folder:
        with folder.commit() as writer:
            writer.add_issued(FIRST)
        kept, orphan = stored(folder, 1), stored(folder, 2)
        add_episode(folder, 0, (kept,))
        (folder.checkpoints.folder / "half.tmp").write_bytes(b"half")
    with RunFolder.to_read(tmp_path) as folder:
        assert orphan.digest in folder.checkpoints.digests()  # readers delete nothing
    with RunFolder.to_write(tmp_path) as folder:
        assert folder.checkpoints.digests() == {kept.digest}
        assert not (folder.checkpoints.folder / "half.tmp").exists()


def test_checkpoints_without_a_study_are_not_cleared(tmp_path: Path) -> None:
    """Whoever lost study.db does not lose the checkpoints by starting again."""
    with begun(tmp_path) as folder:
        digest = stored(folder, 1).digest
    (tmp_path / "study.db").unlink()
    with pytest.raises(StorageError, match="no study"):
        RunFolder.to_write(tmp_path)
    assert folder.checkpoints.digests() == {digest}


HOLD = """
import sys, time
from pathlib import Path
from cartwheel.store.owner import is_owned
from cartwheel.store.run_folder import RunFolder
folder = RunFolder.to_write(Path(sys.argv[1]))
print("mine", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    """The refusal names the owner; a killed owner is taken over; reading is possible all the time."""
    with begun(tmp_path):
        pass
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with pytest.raises(AlreadyOwned, match=rf"process {process.pid} on \S+"):
            RunFolder.to_write(tmp_path)
        with RunFolder.to_read(tmp_path) as folder:
            assert folder.read.meta("seed") == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    with RunFolder.to_write(tmp_path) as folder:
        assert folder.read.meta("seed") == 1


def test_asking_for_the_owner_keeps_nobody_from_becoming_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another process holds for an instant only, to ask, is waited for."""
    begun(tmp_path).close()
    with (tmp_path / "study.lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda _: asking.close())
        with RunFolder.to_write(tmp_path):
            assert is_owned(tmp_path / "study.lock")
    assert not is_owned(tmp_path / "study.lock")


def test_a_name_that_is_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has just taken the lock is named all the same; a lock that never gets a name is another process's."""
    lock = tmp_path / "study.lock"
    lock.touch()
    monkeypatch.setattr("time.sleep", lambda _: lock.write_text('{"pid": 42, "host": "here"}'))
    assert read_owner(lock) == "process 42 on here"
    lock.write_text("")
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert read_owner(lock) == "another process"


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Somebody else's SQLite file keeps every byte."""
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = (tmp_path / "study.db").read_bytes()
    for opening in (RunFolder.to_write, RunFolder.to_read):
        with pytest.raises(StorageError, match="not a Cartwheel study"):
            opening(tmp_path)
    assert (tmp_path / "study.db").read_bytes() == before


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A schema that this version does not know is not guessed at."""
    begun(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match=r"newer Cartwheel \(schema 99"):
        RunFolder.to_write(tmp_path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file called study.db gives one clear error."""
    (tmp_path / "study.db").write_text("hello " * 200)
    with pytest.raises(StorageError, match=r"study\.db"):
        RunFolder.to_write(tmp_path)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    """Nobody's home folder becomes a run folder by a typing error."""
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        RunFolder.to_write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    """A run folder that cannot be made is a storage error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the run folder"):
        RunFolder.to_write(tmp_path / "file" / "run")


def test_reading_needs_a_study(tmp_path: Path) -> None:
    """A folder without a study, and one where it was never begun, say so."""
    with pytest.raises(StorageError, match="no study"):
        RunFolder.to_read(tmp_path)
    RunFolder.to_write(tmp_path).close()
    with pytest.raises(StorageError, match="never begun"):
        RunFolder.to_read(tmp_path)


def test_a_damaged_record_is_a_storage_error(tmp_path: Path) -> None:
    """A row that is not the one that was written is found out when the study is opened, before anything is read."""
    with begun(tmp_path) as folder, folder.commit() as writer:
        writer.add_issued(FIRST)
    connection = sqlite3.connect(tmp_path / "study.db")
    connection.execute("UPDATE events SET event = '{\"nothing\": 1}'")
    connection.commit()
    connection.close()
    for opening in (RunFolder.to_read, RunFolder.to_write):
        with pytest.raises(StorageError, match=r"damaged: events: number 1 .* see `cartwheel check"):
            opening(tmp_path)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """The connection runs with the journal and the sync level that the promise rests on."""
    with begun(tmp_path) as folder:
        database = folder._database
        assert database.rows("PRAGMA journal_mode")[0][0] == "truncate"
        assert database.rows("PRAGMA synchronous")[0][0] == 3  # EXTRA
