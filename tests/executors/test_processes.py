"""Workers in processes of their own: the contract of all executors, and what happens when a worker does not live."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cartwheel.errors import ConfigError, WorkersEnd
from cartwheel.executors.assignments import MAX_LOSSES
from cartwheel.executors.messages import Recipe
from cartwheel.executors.processes import Processes, WorkerProcess, cores_of, environment
from cartwheel.executors.work import Outcome
from cartwheel.executors.workers import UNBOUNDED, Bounds, Signs, WorkersExecutor
from cartwheel.store.checkpoints import CheckpointStore
from executor_contract import ExecutorContract, Start, checkpoints_of, end, run, segment, told, work
from killing import check_that_kills_change_nothing
from synthetic_executor import SyntheticExecutor
from synthetic_lanes import recipe


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


@pytest.fixture
def start() -> Iterator[Start]:
    """Executors of synthetic lanes, all closed in the end."""
    made: list[WorkersExecutor] = []

    def new(
        store: CheckpointStore,
        num_workers: int = 1,
        num_lanes: int = 1,
        bounds: Bounds = UNBOUNDED,
        on_message: Callable[[str], None] = print,
        **behaviour: Any,
    ) -> WorkersExecutor:
        crew = Processes(recipe(**behaviour), store, num_workers, num_lanes)
        made.append(WorkersExecutor(crew, on_message, bounds))
        return made[-1]

    yield new
    for executor in made:
        executor.close()


class TestProcesses(ExecutorContract):
    @pytest.fixture
    def start(self, start: Start) -> Start:  # type: ignore[override]
        return start


def test_killed_workers_change_nothing(start: Start, tmp_path: Path) -> None:
    """Workers killed at random moments: the study completes, with the rows and files of a quiet one."""
    check_that_kills_change_nothing(start, kill_one, tmp_path, pace_s=0.05)


def kill_one(executor: WorkersExecutor, numbers: random.Random) -> bool:
    """Whichever: at work, idle, or still starting."""
    worker = numbers.choice(executor.workers)
    assert isinstance(worker, WorkerProcess)
    os.kill(worker.pid, signal.SIGKILL)
    return True


@pytest.mark.parametrize("what", ["kill", "exit"])
def test_an_item_whose_worker_died_goes_on(start: Start, store: CheckpointStore, tmp_path: Path, what: str) -> None:
    """Killed, or ended by what it runs, before its third episode: the others are kept, and nothing is different."""
    executor = start(store, 1, 2, mischief={"1.0": [what, 2]}, once=str(tmp_path))
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    expected = run(SyntheticExecutor(store), [work(segment(trial)) for trial in (1, 2)])
    for trial in (1, 2):
        assert told(outcomes, segment(trial)) == told(expected, segment(trial))


def test_an_item_that_ends_every_worker_fails_alone(start: Start, store: CheckpointStore) -> None:
    """After some workers in a row it fails, and says what ended them; its episodes stay, and the others go on."""
    messages: list[str] = []
    executor = start(store, 1, 1, mischief={"1.0": ["kill", 1]}, on_message=messages.append)
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    assert sum("was lost (killed by SIGKILL)" in message for message in messages) == MAX_LOSSES
    assert end(outcomes, segment(1)).status == "failed"
    assert "workers in a row were lost with it: killed by SIGKILL" in end(outcomes, segment(1)).reason
    assert len(checkpoints_of(told(outcomes, segment(1)))) == 1
    assert end(outcomes, segment(2)).status == "done"
    assert executor.num_free == 1


def test_a_hanging_environment_ends_its_worker(start: Start, store: CheckpointStore) -> None:
    """The call that does not return is named, its worker is killed, and the next item runs in a new one."""
    executor = start(store, 1, 1, Bounds(max_call_s=0.5), mischief={"1.0": ["hang", 1]})
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    assert end(outcomes, segment(1)).status == "failed"
    assert "synthetic: step 1 has taken longer than 0.5 s" in end(outcomes, segment(1)).reason
    assert end(outcomes, segment(2)).status == "done"


def test_a_worker_that_is_not_heard_of_is_ended(start: Start, store: CheckpointStore) -> None:
    """Code that lets no other thread run hangs as well, though nobody in that process can say so."""
    bounds = Bounds(max_call_s=1.0, max_silence_s=4.0)
    executor = start(store, 1, 1, bounds, mischief={"1.0": ["seize", 1]})
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    assert end(outcomes, segment(1)).status == "failed"
    assert "nothing was heard of it for" in end(outcomes, segment(1)).reason
    assert end(outcomes, segment(2)).status == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
def test_memory_is_bounded(start: Start, store: CheckpointStore) -> None:
    """A worker beyond its bound is ended; the item fails, and says how much it was."""
    executor = start(store, 1, 1, Bounds(max_memory_mib=300), mischief={"1.0": ["eat", 1]})
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    assert end(outcomes, segment(1)).status == "failed"
    assert "MiB of memory are more than 300 (engine.max_worker_memory_mib)" in end(outcomes, segment(1)).reason
    assert end(outcomes, segment(2)).status == "done"


def test_a_bound_below_any_worker_is_refused(start: Start, store: CheckpointStore) -> None:
    """Rather than failing item after item."""
    with pytest.raises(ConfigError, match=r"needs \d+ MiB before it runs anything \(engine.max_worker_memory_mib\)"):
        run(start(store, 1, 1, Bounds(max_memory_mib=1)), [work(segment(1))])


def test_a_stopped_process_hears_nothing_and_counts_nothing() -> None:
    """Ctrl-Z stops workers and who listens to them alike: one look never counts for more than some seconds."""
    signs = Signs()
    signs.looked_at -= 3600.0
    signs.look()
    assert signs.silence_s <= 5.0
    signs.looked_at -= 1.0
    signs.look()
    assert 6.0 <= signs.silence_s < 7.0
    signs.note([])
    assert signs.silence_s == 0.0


def test_workers_that_cannot_start_stop_the_study(store: CheckpointStore) -> None:
    """A few in a row are enough to know. Lanes that cannot be made are an error of their own, with its reason."""
    executor = WorkersExecutor(Processes(Recipe("no_such:maker", {}), store, 1, 1))
    with pytest.raises(RuntimeError, match="no_such"):
        run(executor, [work(segment(1))])
    executor.close()
    executor = WorkersExecutor(Processes(recipe(dies=True), store, 1, 1))
    with pytest.raises(WorkersEnd, match="3 workers in a row ended before they were ready: exit code 4"):
        run(executor, [work(segment(1))])
    executor.close()


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Killed without a chance to say so, a parent leaves no process behind, whatever its workers are in."""
    for what in ("", "seize"):
        (folder := tmp_path / f"folder {what}").mkdir()
        command = [sys.executable, __file__, str(folder), what]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as parent:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            parent.kill()
        assert len(pids) == 2
        until = time.monotonic() + 10.0
        while any(map(is_alive, pids)):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_an_interrupt_of_the_terminal_is_the_parents(start: Start, store: CheckpointStore) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach all processes of a group: workers go on until their parent stops them."""
    executor = start(store, 2, 1, pace_s=1.0)
    assert isinstance(executor, WorkersExecutor)
    for trial in (1, 2):
        executor.submit(work(segment(trial)))
    pids, outcomes = until_ready(executor, 2), list[Outcome]()
    while len(outcomes) < 8:  # three episodes of each, and their ends
        for pid in pids:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        outcomes += executor.next_outcomes(0.02)
    assert pids_of(executor) == pids
    assert [end(outcomes, segment(trial)).status for trial in (1, 2)] == ["done", "done"]


def test_closing_leaves_no_process(start: Start, store: CheckpointStore) -> None:
    """Not even one that hangs, and all within ten seconds."""
    executor = start(store, 2, 1, mischief={"1.0": ["seize", 0]}, pace_s=600.0)
    assert isinstance(executor, WorkersExecutor)
    for trial in (1, 2):
        executor.submit(work(segment(trial)))
    pids = until_ready(executor, 2)
    executor.next_outcomes(0.5)
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 10.0
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every core is somebody's; with more workers than cores they take turns."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2, 7}, raising=False)
    assert [cores_of(index, 2) for index in range(2)] == [[1, 3], [2, 7]]
    assert [cores_of(index, 3) for index in range(3)] == [[1, 7], [2], [3]]
    assert [cores_of(index, 6) for index in range(6)] == [[1], [2], [3], [7], [1], [2]]


def pids_of(executor: WorkersExecutor) -> list[int]:
    """The processes of those workers that are ready."""
    return [worker.signs.pid for worker in executor.workers if worker.signs.is_ready]


def until_ready(executor: WorkersExecutor, num_workers: int) -> list[int]:
    """Wait until so many workers are; their processes."""
    while len(pids_of(executor)) < num_workers:
        assert not executor.next_outcomes(0.05)
    return pids_of(executor)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def be_a_parent(folder: Path, what: str) -> None:
    """Two workers in the middle of something; their ids on standard output."""
    mischief = {f"{trial}.0": [what, 0] for trial in (1, 2)} if what else {}
    executor = WorkersExecutor(Processes(recipe(pace_s=600.0, mischief=mischief), CheckpointStore(folder), 2, 1))
    for trial in (1, 2):
        executor.submit(work(segment(trial)))
    pids = until_ready(executor, 2)
    executor.next_outcomes(0.5)
    print(*pids, flush=True)
    while True:
        executor.next_outcomes(1.0)


if __name__ == "__main__":
    be_a_parent(Path(sys.argv[1]), sys.argv[2])
