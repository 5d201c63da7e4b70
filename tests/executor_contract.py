"""What every executor promises, whatever it runs items in: inherit ``ExecutorContract`` and say how one is started.

Agents are synthetic (see ``synthetic_lanes``), so a whole study takes no longer than starting its workers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cartwheel.errors import StorageError
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, StartFrom, Work
from cartwheel.records import CheckpointId, Config, Evaluation, FileSizes, Segment, SegmentId, Sources
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.study import TimedExecutor
from cartwheel.tuning import Running, tune
from snapshot import snapshot, unordered
from synthetic_executor import SyntheticBackend, SyntheticExecutor, small_spec

CONFIG = {"learning_rate": 3e-3, "num_epochs": 7}
Start = Callable[..., TimedExecutor]
"""Of checkpoints, a number of workers, lanes for each, and the behaviour of ``synthetic_lanes``."""


def segment(trial: int, stop: int = 2, start: int = 0) -> Segment:
    sources = None if start == 0 else Sources.whole(SegmentId(f"{trial}.0"))
    return Segment(trial, int(start > 0), CONFIG, start, stop, sources)


def work(item: Segment | Evaluation, checkpoint: CheckpointId | None = None, next_episode: int = 0) -> Work:
    name = item.id if isinstance(item, Segment) else "evaluation"
    return Work(item, CONFIG, ("test", name), checkpoint and StartFrom.whole(checkpoint), next_episode)


def run(executor: TimedExecutor, works: Sequence[Work], patience_s: float = 120.0) -> list[Outcome]:
    """Submit all at once and wait until all are done."""
    outcomes: list[Outcome] = []
    for one in works:
        executor.submit(one)
    until = time.monotonic() + patience_s
    while sum(isinstance(outcome, ItemDone) for outcome in outcomes) < len(works):
        outcomes.extend(executor.next_outcomes(1.0))
        assert time.monotonic() < until, outcomes
    return outcomes


def told(outcomes: Sequence[Outcome], item: Segment | Evaluation) -> list[Outcome]:
    """What was told of one item, in order."""
    return [outcome for outcome in outcomes if outcome.item == item]


def checkpoints_of(outcomes: Sequence[Outcome]) -> list[CheckpointId | None]:
    return [outcome.checkpoint for outcome in outcomes if isinstance(outcome, EpisodeDone)]


def end(outcomes: Sequence[Outcome], item: Segment | Evaluation) -> ItemDone:
    (found,) = [outcome for outcome in told(outcomes, item) if isinstance(outcome, ItemDone)]
    return found


@dataclass(frozen=True)
class WorkersBackend:
    """What ``Running.backend`` wants, for synthetic agents."""

    start: Start
    num_workers: int
    behaviour: dict[str, Any]

    def check(self, *_: object) -> None:
        """Nothing can be wrong with these."""

    def default_lanes(self, *_: object) -> int:
        return 1

    def agent_defaults(self, *_: object) -> Config:
        return {}

    def own_config(self, _: StudySpec) -> Config:
        return {}

    def file_sizes(self, *_: object) -> FileSizes:
        return FileSizes(0, 0)

    def make(
        self, spec: StudySpec, _: Sequence[Config], checkpoints: CheckpointStore, say: Callable[[str], None]
    ) -> TimedExecutor:
        say("synthetic agents")
        return self.start(checkpoints, self.num_workers, spec.engine.lanes, **self.behaviour)


class ExecutorContract:
    """Inherit it, and give the fixture ``start``."""

    @pytest.fixture
    def start(self) -> Iterator[Start]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> CheckpointStore:
        return CheckpointStore(tmp_path)

    @pytest.mark.parametrize("num_workers", [1, 2, 3])
    def test_the_number_of_workers_changes_nothing(
        self, start: Start, store: CheckpointStore, num_workers: int
    ) -> None:
        """Five segments and an evaluation, two lanes a worker: what is told of each is what one plain loop tells."""
        first = segment(9)
        (*_, last) = checkpoints_of(run(SyntheticExecutor(store), [work(first)]))
        items = [work(segment(trial, stop=1 + trial % 2)) for trial in range(5)]
        items.append(work(Evaluation(first.id, 7, 3), last))
        expected = run(SyntheticExecutor(store), items)
        executor = start(store, num_workers, 2)
        assert executor.num_free == 2 * num_workers
        outcomes = run(executor, items)
        for one in items:
            assert told(outcomes, one.item) == told(expected, one.item)
        assert executor.num_free == 2 * num_workers
        assert max(executor.device_compile_s) == 0.5
        assert set(executor.device_compile_s) <= {0.0, 0.5}  # who had no work has compiled nothing

    def test_files_are_there_when_an_episode_is_told(self, start: Start, store: CheckpointStore) -> None:
        """The checkpoint and every replay shard that it names are whole files of the study's folder by then."""
        executor = start(store, 1, 1)
        executor.submit(work(segment(1)))
        outcomes: list[Outcome] = []
        while not any(isinstance(outcome, ItemDone) for outcome in outcomes):
            outcomes = [*executor.next_outcomes(1.0)]
            for outcome in outcomes:
                for file in outcome.files if isinstance(outcome, EpisodeDone) else ():
                    store.verify(file.digest)
                    assert store.size(file.digest) == file.size_bytes

    def test_an_interrupted_segment_is_the_same_segment(self, start: Start, store: CheckpointStore) -> None:
        """Run in one go, or from the checkpoint after an episode: the same checkpoints, by digest."""
        executor = start(store, 1, 1)
        whole = checkpoints_of(run(executor, [work(segment(1))]))
        rest = checkpoints_of(run(executor, [work(segment(1), whole[0], next_episode=1)]))
        assert rest == whole[1:]

    def test_a_failing_item_fails_alone(self, start: Start, store: CheckpointStore) -> None:
        """Its finished episodes stay, its neighbour goes on to its end, its lane is free again."""
        executor = start(store, 1, 2, failures={"1.0": 1})
        outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
        assert (end(outcomes, segment(1)).status, end(outcomes, segment(1)).reason) == ("failed", "as asked")
        assert len(checkpoints_of(told(outcomes, segment(1)))) == 1
        assert end(outcomes, segment(2)).status == "done"
        assert len(checkpoints_of(told(outcomes, segment(2)))) == 3
        assert executor.num_free == 2

    def test_closing_abandons_the_running_episode(self, start: Start, store: CheckpointStore) -> None:
        """An executor in the middle of a long episode is gone within seconds, and no half episode comes out."""
        executor = start(store, 2, 1, pace_s=600.0)
        executor.submit(work(segment(1)))
        while executor.next_outcomes(1.0):
            raise AssertionError("an episode of ten minutes is over after a second")
        started = time.monotonic()
        executor.close()
        assert time.monotonic() - started < 5.0

    def test_errors_of_the_disk_reach_the_study(self, start: Start, store: CheckpointStore) -> None:
        """What the user can act on is the same error wherever it happened."""
        executor = start(store, 1, 1, mischief={"1.0": ["storage", 1]})
        with pytest.raises(StorageError, match=r"cannot write a checkpoint \(/nowhere\); free or repair the disk"):
            run(executor, [work(segment(1))])

    def test_defects_reach_the_study(self, start: Start, store: CheckpointStore) -> None:
        """What is nobody's fault but the program's is raised where outcomes are awaited, and says what it was."""
        executor = start(store, 1, 1, mischief={"1.0": ["defect", 1]})
        with pytest.raises(Exception, match="a defect"):
            run(executor, [work(segment(1))])

    @pytest.mark.parametrize("num_workers", [1, 2, 3])
    def test_a_study_is_the_same_study(self, start: Start, tmp_path: Path, num_workers: int) -> None:
        """Every row and every file of a synchronous tuner's study: those of one plain loop."""
        tune(small_spec(), tmp_path / "plain", Running(backend=SyntheticBackend()))
        tune(small_spec(), tmp_path / "workers", Running(backend=WorkersBackend(start, num_workers, {})))
        expected, found = (unordered(snapshot(tmp_path / name)) for name in ("plain", "workers"))
        assert found == expected
