"""What a real study wrote is what the tables hold. The loop and the store are real, the agent is a learning curve."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from cartwheel.analysis.load import load_arm, load_tables
from cartwheel.analysis.tables import (
    StudyTables,
    counts,
    curves_of_trials,
    incumbent,
    ranking,
    segment_score,
    validation_means,
)
from cartwheel.errors import StorageError
from cartwheel.records import Episode, Evaluation, Segment
from cartwheel.results import Study
from cartwheel.store.reading import StudyReader
from cartwheel.store.run_folder import ENVIRONMENT, RunFolder
from cartwheel.tuning import RERUNS, Running, rerun, tune
from synthetic_executor import LENGTH, SyntheticBackend, small_spec


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    tune(small_spec(), tmp_path / "run", Running(backend=SyntheticBackend()))
    return tmp_path / "run"


def test_everything_that_was_committed_is_in_the_tables(run_dir: Path) -> None:
    tables = load_tables(run_dir)
    with RunFolder.to_read(run_dir) as folder:
        assert list(tables.segments.values()) == folder.read.segments()
        assert tables.episodes == folder.read.all_episodes()
        assert tables.reports == folder.read.reports()
    assert tables.meta == {"name": "run", "env_id": "line", "tuner": "pbt", "seed": 3}
    assert tables.settings["tuner"]["population"] == 3
    assert tables.environment["cartwheel"]
    assert tables.space == small_spec().make_space()
    assert 0 < tables.timing.own_s <= tables.timing.wall_s


def test_counts_match_the_study_that_was_asked_for(run_dir: Path) -> None:
    """3 members x (4 episodes and a random one); each of the 3 finalists is validated for 2."""
    count = counts(load_tables(run_dir))
    assert (count.num_trials, count.num_episodes, count.num_random_episodes) == (3, 15, 3)
    assert count.env_steps == 15 * LENGTH
    assert count.evaluation_env_steps == 6 * LENGTH
    assert (count.num_failed, count.num_unfinished) == (0, 0)


def test_the_incumbent_is_the_best_of_the_validated(run_dir: Path) -> None:
    tables = load_tables(run_dir)
    means = validation_means(tables)
    assert sorted(means) == sorted(ranking(tables))
    assert means[incumbent(tables)] == max(means.values())
    assert all(math.isfinite(segment_score(tables, segment)) for segment in ranking(tables))


def test_an_evaluation_that_failed_ranks_worst(run_dir: Path) -> None:
    best = incumbent(load_tables(run_dir))
    assert best is not None
    another = Evaluation(best, 99, 1)
    with RunFolder.to_write(run_dir) as folder, folder.commit() as writer:
        writer.add_evaluation(another)
        writer.end_evaluation(another, "failed", 0.0, "broken")
    tables = load_tables(run_dir)
    assert validation_means(tables)[best] == -math.inf
    assert incumbent(tables) != best


def test_a_rerun_becomes_an_arm(run_dir: Path) -> None:
    """One run per seed with its evaluation returns; one config per model-driven episode."""
    study = rerun(run_dir, num_seeds=3, running=Running(backend=SyntheticBackend()))
    arm = load_arm(run_dir / RERUNS / "found", "schedule", "the schedule", tuning_env_steps=1500)
    assert [run.seed for run in arm.runs] == [0, 1, 2]
    assert sorted(run.returns for run in arm.runs) == sorted(e.returns for e in study.tables.evaluations)
    assert len(arm.configs) == 4
    assert dict(arm.configs[-1]) == dict(load_tables(run_dir).segments[incumbent(load_tables(run_dir))].config)
    assert (arm.num_failed, arm.tuning_env_steps) == (0, 1500)


def test_a_rerun_that_failed_is_a_failed_run_with_its_reason(run_dir: Path) -> None:
    rerun(run_dir, num_seeds=2, running=Running(backend=SyntheticBackend(failures={"1.0": 1})))
    arm = load_arm(run_dir / RERUNS / "found", "schedule", "the schedule")
    assert arm.num_failed == 1
    assert (arm.runs[1].returns, arm.runs[1].reason) == ((), "as asked")


def test_a_study_with_failures_is_read_as_it_is(tmp_path: Path) -> None:
    tune(small_spec(), tmp_path / "run", Running(backend=SyntheticBackend(failures={"1.0": 0, "2.1": 1})))
    tables = load_tables(tmp_path / "run")
    assert counts(tables).num_failed == 2
    assert all(curve.episodes for curve in curves_of_trials(tables))


@pytest.mark.parametrize("load", [load_tables, Study])
def test_a_running_study_is_read_as_of_one_moment(
    run_dir: Path, load: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed while it is read is not seen in part; its commit succeeds once the reading is over."""
    late = Segment(9, 0, {}, 0, 1)
    before = load_tables(run_dir)
    writers: list[Thread] = []

    def write() -> None:
        with RunFolder.to_write(run_dir) as folder, folder.commit() as writer:
            stored = folder.checkpoints.write({"x": np.zeros(1)}, {})
            writer.add_issued(late)
            writer.add_episode(late.id, Episode(0, 1.0, 1), stored.digest, (stored,))

    def segments_then_a_commit(reader: StudyReader) -> list[Segment]:
        found = read_segments(reader)
        writers.append(Thread(target=write))
        writers[0].start()
        writers[0].join(0.5)
        return found

    read_segments = StudyReader.segments
    with monkeypatch.context() as patched:
        patched.setattr(StudyReader, "segments", segments_then_a_commit)
        loaded = load(run_dir)
    writers[0].join(10.0)
    tables = loaded.tables if isinstance(loaded, Study) else loaded
    assert isinstance(tables, StudyTables)
    assert (tables.segments, tables.episodes) == (before.segments, before.episodes)
    assert late.id in load_tables(run_dir).episodes


def test_a_folder_without_a_study_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no study"):
        load_tables(tmp_path)


def test_damaged_versions_are_an_error(run_dir: Path) -> None:
    (run_dir / ENVIRONMENT).write_text("{")
    with pytest.raises(StorageError, match="versions"):
        load_tables(run_dir)
    (run_dir / ENVIRONMENT).write_text(json.dumps({"python": "3"}))
    assert load_tables(run_dir).environment == {"python": "3"}
