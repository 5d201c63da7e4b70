"""Checkpoints that are damaged are made again, and the study ends as if nothing had happened to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cartwheel.checking import check, check_and_repair
from cartwheel.errors import CorruptCheckpoint
from cartwheel.records import CheckpointId, Segment, SegmentId, segment_id
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuning import Running, tune
from snapshot import snapshot
from synthetic_executor import SyntheticBackend, SyntheticExecutor, small_spec
from test_study import Watcher

LONG = small_spec(num_episodes=8)
"""Three members with four segments each, some of them copies."""


def run(run_dir: Path, spec: StudySpec = LONG, **settings: Any) -> tuple[SyntheticExecutor, list[str]]:
    """Run to the end: the executor, and what the user was told."""
    backend, watcher = SyntheticBackend(**settings), Watcher()
    tune(spec, run_dir, Running((watcher,), backend=backend))
    return backend.made[0], watcher.messages


def stopped_after(run_dir: Path, num_looks: int, spec: StudySpec = LONG) -> None:
    looks = iter([False] * num_looks)
    tune(spec, run_dir, Running(backend=SyntheticBackend(), should_stop=lambda: next(looks, True)))


def files_of(run_dir: Path, segment: SegmentId) -> list[Path]:
    """The final checkpoint of a segment and its replay shards."""
    with RunFolder.to_read(run_dir) as folder:
        return [folder.checkpoints.path(file.digest) for file in folder.read.files_of(segment)]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def swap(path: Path) -> None:
    other = next(one for one in sorted(path.parent.iterdir()) if one != path)
    path.write_bytes(other.read_bytes())


DAMAGES: list[Callable[[Path], None]] = [flip, cut, swap, Path.unlink]


def results(run_dir: Path) -> dict[str, Any]:
    """What a study promises to hold; segments that run again report later, so the log is compared without order."""
    tables = snapshot(run_dir)
    return {**tables, "events": sorted(repr(row["event"]) for row in tables["events"])}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("whole") / "run"
    run(path)
    return results(path)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_source_is_made_again(tmp_path: Path, damage: Any, whole: dict[str, Any]) -> None:
    """Segments that start from a damaged final checkpoint wait until it has been made again, from its own source."""
    stopped_after(tmp_path, 3)
    with RunFolder.to_read(tmp_path) as folder:
        done = [kept.segment for kept in folder.read.checkpoints() if kept.is_final]
    assert done
    for segment in done:
        damage(files_of(tmp_path, segment)[0])
    executor, messages = run(tmp_path)
    assert results(tmp_path) == whole
    begun = [work.item for work in executor.submitted if isinstance(work.item, Segment)]
    needed = {segment.parent for segment in begun} & set(done)
    assert needed
    assert needed <= {segment.id for segment in begun}
    assert all(any(f"segment {segment} has been made again" in message for message in messages) for segment in needed)
    with RunFolder.to_read(tmp_path) as folder:
        for segment in needed:
            folder.checkpoints.verify(folder.read.files_of(segment)[0].digest)


def test_damage_is_mended_down_to_the_newest_good_ancestor(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Where the ancestors are damaged too, they run again first; what is good behind them is not touched."""
    stopped_after(tmp_path, 11)
    with RunFolder.to_read(tmp_path) as folder:
        open_segments = folder.read.open_segments()
        chains = {segment.id: lineage_of(folder, segment) for segment in open_segments}
    last = max(chains.values(), key=len)
    assert len(last) >= 2
    for segment in last[-2:]:
        flip(files_of(tmp_path, segment)[0])
    with RunFolder.to_write(tmp_path) as folder, folder.commit() as writer:
        for segment in open_segments:
            writer.forget_progress(segment.id)  # so that all of them need their sources
    executor, messages = run(tmp_path)
    again = [message.split()[1] for message in messages if "runs again, because" in message]
    assert sorted(again) == sorted(last[-2:])
    assert results(tmp_path) == whole
    assert len(executor.submitted) < 12 + 3 + 4


def lineage_of(folder: RunFolder, segment: Segment) -> list[SegmentId]:
    """The finished segments that led to one, oldest first."""
    chain: list[SegmentId] = []
    while segment.parent is not None:
        chain.insert(0, segment.parent)
        segment = folder.read.segment(segment.parent)
    return chain


@pytest.mark.parametrize("position", [1, -1], ids=["first shard", "last shard"])
def test_a_damaged_shard_is_made_again(tmp_path: Path, position: int, whole: dict[str, Any]) -> None:
    """A shard is made by the segment that ran its episode: everybody who inherited it goes on from there."""
    stopped_after(tmp_path, 7)
    with RunFolder.to_read(tmp_path) as folder:
        last = max((lineage_of(folder, segment) for segment in folder.read.open_segments()), key=len)[-1]
        rolling = [segment.id for segment in folder.read.open_segments()]
    cut(files_of(tmp_path, last)[position])
    _, messages = run(tmp_path)
    assert any("is not used" in message for message in messages) or rolling
    assert results(tmp_path) == whole


def test_damage_while_it_runs_is_mended_when_it_is_met(tmp_path: Path, whole: dict[str, Any]) -> None:
    """The executor finds it at the load, and no failure is recorded."""

    class Unlucky(SyntheticExecutor):
        """Damages what the fifth work item starts from, once."""

        def submit(self, work: Any) -> None:
            super().submit(work)
            if len(self.submitted) == 5 and work.start_from is not None:
                flip(self.checkpoints.path(work.start_from.weights))

    backend, watcher = SyntheticBackend(), Watcher()
    backend.executor_class = Unlucky
    tune(LONG, tmp_path, Running((watcher,), backend=backend))
    assert any("is not used: checkpoint has changed on disk" in message for message in watcher.messages)
    assert any("made again, bit for bit" in message for message in watcher.messages)
    assert results(tmp_path) == whole


def test_a_disk_that_goes_on_damaging_ends_in_a_failure_on_record(tmp_path: Path) -> None:
    """A checkpoint that was made again and is damaged once more is not made a third time."""

    class Cursed(SyntheticExecutor):
        def submit(self, work: Any) -> None:
            super().submit(work)
            if work.start_from is not None and getattr(work.item, "trial", None) == 1:
                cut(self.checkpoints.path(work.start_from.weights))

    backend = SyntheticBackend()
    backend.executor_class = Cursed
    study = tune(small_spec(), tmp_path, Running(backend=backend))
    report = study.tables.reports[segment_id(1, 1)]
    assert (report.status, report.kind) == ("failed", "corrupt_checkpoint")
    assert study.is_done


def test_making_again_can_be_interrupted(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Stopped at every look, it goes on behind the last committed episode."""
    stopped_after(tmp_path, 6)
    with RunFolder.to_read(tmp_path) as folder:
        done = [kept.segment for kept in folder.read.checkpoints() if kept.is_final]
    for segment in done:
        files_of(tmp_path, segment)[0].unlink()
    for _ in range(60):
        stopped_after(tmp_path, 1)
        if Study(tmp_path).is_done:
            break
    assert results(tmp_path) == whole


def test_a_segment_that_cannot_be_made_again_fails_what_needs_it(tmp_path: Path) -> None:
    """The followers are on record as failed, with the reason, and the study goes on."""
    spec = small_spec()
    stopped_after(tmp_path, 3, spec)
    with RunFolder.to_read(tmp_path) as folder:
        done = [kept.segment for kept in folder.read.checkpoints() if kept.is_final]
    for segment in done:
        files_of(tmp_path, segment)[0].unlink()
    run(tmp_path, spec, failures={done[0]: 0})
    study = Study(tmp_path)
    assert study.is_done
    reasons = [report.reason for report in study.tables.reports.values() if report.status == "failed"]
    assert reasons
    assert all(f"segment {done[0]} was run again and failed: as asked" in reason for reason in reasons)


def test_other_bits_are_told(tmp_path: Path) -> None:
    """On another machine the checkpoint that is made again may differ: the study goes on, says so, and best is that."""
    spec = small_spec(tuner={"name": "random-search", "num_trials": 1}, num_episodes=2)
    run(tmp_path, spec)
    best = Study(tmp_path).best
    files_of(tmp_path, best.segment)[0].unlink()

    class Other(SyntheticExecutor):
        def next_outcomes(self, timeout_s: float) -> Any:
            for lane in self.lanes:
                lane.state = lane.state + 1e-9
            return super().next_outcomes(timeout_s)

    backend, watcher = SyntheticBackend(), Watcher()
    backend.executor_class = Other
    tune(spec, tmp_path, Running((watcher,), backend=backend))
    assert any("with other bits than before" in message for message in watcher.messages)
    again = Study(tmp_path).best
    assert again.checkpoint != best.checkpoint
    assert (tmp_path / "checkpoints" / f"{again.checkpoint}.safetensors").exists()
    checked = check(tmp_path)
    assert checked.findings == []
    assert any("other bits" in note for note in checked.notes)


def test_a_finished_study_is_made_whole_again(tmp_path: Path, whole: dict[str, Any]) -> None:
    """What is missing or cut off is found by its size at the next run; what is flipped, by ``cartwheel check``."""
    run(tmp_path)
    best = Study(tmp_path).best
    cut(files_of(tmp_path, best.segment)[0])
    run(tmp_path)
    assert results(tmp_path) == whole
    flip(files_of(tmp_path, best.segment)[0])
    run(tmp_path)  # nothing is loaded, so nothing is noticed
    with RunFolder.to_read(tmp_path) as folder, pytest.raises(CorruptCheckpoint, match=r"cartwheel check \S+ --repair"):
        folder.checkpoints.verify(CheckpointId(best.checkpoint))
    assert check_and_repair(tmp_path).backup is not None
    run(tmp_path)
    assert results(tmp_path) == whole


def test_observers_hear_no_episode_twice(tmp_path: Path) -> None:
    """What runs again was acknowledged before."""
    run(tmp_path)
    files_of(tmp_path, segment_id(0, 0))[0].unlink()
    backend, watcher = SyntheticBackend(), Watcher()
    tune(LONG, tmp_path, Running((watcher,), backend=backend))
    assert any(isinstance(work.item, Segment) for work in backend.made[0].submitted)
    assert watcher.told == []
