"""What nobody can ask for any more is dropped, and what is asked for all the same is made again."""

from pathlib import Path
from typing import Any

import pytest

from cartwheel.checking import check
from cartwheel.errors import ConfigError, UsageError
from cartwheel.records import segment_id
from cartwheel.results import Study
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuning import Running, rerun, tune
from cartwheel.videos import Wanted, take
from snapshot import snapshot
from synthetic_executor import SyntheticBackend, small_spec
from test_mending import flip, run, stopped_after

LONG = small_spec(num_episodes=8)
THIN = small_spec(num_episodes=8, keep="needed")
"""Three members with four segments each, some of them copies; the best three are all that is needed in the end."""


@pytest.fixture
def thin(tmp_path: Path) -> Path:
    run(tmp_path / "thin", THIN)
    return tmp_path / "thin"


def rows(run_dir: Path) -> dict[str, Any]:
    """Everything but which checkpoints are there; what is made again may come in another order."""
    tables = snapshot(run_dir)
    kept = ("segments", "episodes", "reports", "evaluations", "evaluation_episodes")
    return {table: tables[table] for table in kept}


def num_files(run_dir: Path) -> int:
    return len(list((run_dir / "checkpoints").iterdir()))


def test_files_go_with_the_commit_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What dies before the files are deleted deletes them when it is opened again; no row ever names a missing file."""
    monkeypatch.setattr("cartwheel.store.checkpoints.CheckpointStore.delete", lambda *_: None)
    run(tmp_path, THIN)
    monkeypatch.undo()
    with RunFolder.to_read(tmp_path) as folder:
        needed = {file.digest for file in folder.read.files()}
        assert needed < folder.checkpoints.digests()
    with RunFolder.to_write(tmp_path) as folder:
        assert folder.checkpoints.digests() == needed


def test_while_it_runs_no_more_is_kept_than_can_be_asked_for(tmp_path: Path) -> None:
    """At every moment: what members go on from, what they have come to, and nothing of their past."""
    for looks in range(1, 14):
        run_dir = tmp_path / str(looks)
        stopped_after(run_dir, looks, THIN)
        with RunFolder.to_read(run_dir) as folder:
            finals = [kept.segment for kept in folder.read.checkpoints() if kept.is_final]
            done = [id_ for id_, report in folder.read.reports().items() if report.status == "done"]
        assert len(finals) <= 2 * 3 + 2, (looks, finals)  # two generations, and what two lanes have just ended
        assert check(run_dir).findings == []
    assert len(finals) < len(done)


def test_an_extended_study_makes_again_what_it_needs(thin: Path, tmp_path: Path) -> None:
    """It ends with the rows of one that kept all."""
    longer = {"num_episodes": 10}
    run(tmp_path / "all", LONG)
    run(tmp_path / "all", LONG.model_copy(update=longer))
    run(thin, THIN.model_copy(update=longer))
    assert rows(thin) == rows(tmp_path / "all")
    assert Study(thin).best == Study(tmp_path / "all").best


def test_damage_is_mended_from_the_beginning(tmp_path: Path) -> None:
    """Where the ancestors were dropped they run again too, and are dropped again."""
    run(tmp_path / "whole", THIN)
    stopped_after(tmp_path / "thin", 11, THIN)
    for path in sorted((tmp_path / "thin" / "checkpoints").iterdir()):
        flip(path)
    _, messages = run(tmp_path / "thin", THIN)
    assert any("runs again, because" in message for message in messages)
    whole, mended = snapshot(tmp_path / "whole"), snapshot(tmp_path / "thin")
    assert rows(tmp_path / "thin") == rows(tmp_path / "whole")
    assert mended["checkpoints"] == whole["checkpoints"]
    assert mended["files on disk"] == whole["files on disk"]


def test_a_finished_study_can_be_thinned_and_not_fattened(tmp_path: Path, thin: Path) -> None:
    """From then on it holds what one holds that was thin from the start."""
    run(tmp_path / "run", LONG)
    before = num_files(tmp_path / "run")
    run(tmp_path / "run", THIN)
    assert num_files(tmp_path / "run") < before
    assert snapshot(tmp_path / "run") == snapshot(thin)
    with pytest.raises(ConfigError, match="keep: needed -> all"):
        run(tmp_path / "run", LONG)


def test_resuming_a_finished_thin_study_runs_nothing(thin: Path) -> None:
    """What was dropped is not mistaken for lost."""
    before = snapshot(thin)
    executor, messages = run(thin, THIN)
    assert executor.submitted == []
    assert not any("again" in message for message in messages)
    assert snapshot(thin) == before


def test_checks_tell_dropped_from_lost(thin: Path) -> None:
    """Both are notes, in their own words, and no findings."""
    checked = check(thin)
    assert checked.findings == []
    assert [note.split(",")[0] for note in checked.notes] == ["9 checkpoints dropped"]
    best = Study(thin).best.segment
    with RunFolder.to_write(thin) as folder, folder.commit() as writer:
        writer.drop_checkpoint(best)
    notes = check(thin).notes
    assert any(note.startswith("1 checkpoint of finished segments not kept") for note in notes)
    run(thin, THIN)
    with RunFolder.to_read(thin) as folder:
        assert folder.read.checkpoint(best) is not None


def test_a_dropped_checkpoint_is_asked_for_in_vain(tmp_path: Path) -> None:
    """One line says what is not there, and what to do."""
    spec = small_spec(keep="needed", tuner={"name": "random-search", "num_trials": 5})
    tune(spec, tmp_path, Running(backend=SyntheticBackend()))
    study = Study(tmp_path)
    with RunFolder.to_read(tmp_path) as folder:
        kept = {found.segment for found in folder.read.checkpoints()}
    dropped = next(trial for trial in range(5) if segment_id(trial, 0) not in kept)
    with pytest.raises(UsageError, match=rf"segment {dropped}\.0 is not kept .*choose the best agent"):
        take(Wanted(tmp_path, trial=dropped, episode=1))
    assert study.checkpoint(study.best.segment) == study.best.checkpoint


def test_reruns_keep_their_agents_and_nothing_on_the_way(thin: Path) -> None:
    """Every seed's last checkpoint, and those alone."""
    found = rerun(thin, num_seeds=5, running=Running(backend=SyntheticBackend()))
    with RunFolder.to_read(found.run_dir) as folder:
        kept = {checkpoint.segment for checkpoint in folder.read.checkpoints()}
        assert kept == {segment.id for segment in folder.read.segments() if segment.stop == THIN.num_episodes}
        assert len(kept) == 5
