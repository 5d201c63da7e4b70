"""Workers as Ray actors: the contract of all executors, and what happens when an actor or a whole machine goes."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from cartwheel.errors import ConfigError
from cartwheel.executors.processes import environment
from cartwheel.executors.ray import RayActors
from cartwheel.executors.workers import UNBOUNDED, Bounds, WorkersExecutor
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.tuning import Running, tune
from executor_contract import ExecutorContract, Start, WorkersBackend, run, segment, told, work
from killing import Striker, check_that_kills_change_nothing
from snapshot import settled
from synthetic_executor import SyntheticBackend, SyntheticExecutor, population_spec
from synthetic_lanes import recipe

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
"""Ray leaves its own sockets and processes to the end of this one."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One machine that stays, with room for three workers."""
    os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    ray.init(address=made.address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


@pytest.fixture
def start(cluster: Any) -> Iterator[Start]:
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
        made.append(WorkersExecutor(RayActors(recipe(**behaviour), store, num_workers, num_lanes), on_message, bounds))
        return made[-1]

    yield new
    for executor in made:
        executor.close()


class TestRay(ExecutorContract):
    @pytest.fixture
    def start(self, start: Start) -> Start:  # type: ignore[override]
        return start


def test_killed_actors_change_nothing(start: Start, tmp_path: Path) -> None:
    """Processes of actors killed at random moments: the study completes, with the rows and files of a quiet one."""
    check_that_kills_change_nothing(start, kill_one, tmp_path, pace_s=0.1)


def kill_one(executor: WorkersExecutor, numbers: random.Random) -> bool:
    """Whichever is ready: of others the process is not known."""
    ready = [worker for worker in executor.workers if worker.signs.is_ready]
    if ready:
        os.kill(numbers.choice(ready).signs.pid, signal.SIGKILL)
    return bool(ready)


def test_a_removed_machine_changes_nothing(cluster: Any, start: Start, tmp_path: Path) -> None:
    """A node of the cluster goes in the middle of the study, with its actors: the same study, on what is left."""
    spec = population_spec(num_episodes=6, population=5)
    tune(spec, tmp_path / "quiet", Running(backend=SyntheticBackend()))
    node = cluster.add_node(num_cpus=3)

    def leave(executor: WorkersExecutor, _: random.Random) -> bool:
        if not all(worker.signs.is_ready for worker in executor.workers) or len(executor.workers) < 5:
            return False
        cluster.remove_node(node, allow_graceful=False)
        return True

    striker, messages = Striker(1, leave), list[str]()
    behaviour = {"pace_s": 0.3, "on_message": messages.append}
    study = tune(spec, tmp_path / "left", Running(backend=WorkersBackend(striker.watching(start), 5, behaviour)))
    assert striker.left == 0
    assert sum("was lost" in message for message in messages) >= 2, "the node had no actors"
    assert study.is_done
    assert settled(tmp_path / "left") == settled(tmp_path / "quiet")


def test_an_actor_asks_for_what_it_lacks(start: Start, store: CheckpointStore) -> None:
    """A checkpoint that another actor wrote reaches a new one, with its replay; one that is damaged fails its item."""
    first = [outcome for outcome in run(start(store), [work(segment(1))]) if getattr(outcome, "checkpoint", None)]
    copy = work(segment(2, start=2, stop=3), first[-1].checkpoint, next_episode=3)
    expected = run(SyntheticExecutor(store), [copy])
    assert told(run(start(store), [copy]), copy.item) == told(expected, copy.item)


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, store: CheckpointStore) -> None:
    """Cause, place and next step."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**_: Any) -> None:
        raise ConnectionError("nobody is there\nat all")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConfigError, match=r"cannot use the Ray cluster: nobody is there \(--ray-address 10.0.0.1:1\)"):
        RayActors(recipe(), store, 1, 1, "10.0.0.1:1")


def test_how_ray_is_started(monkeypatch: pytest.MonkeyPatch, store: CheckpointStore) -> None:
    """Without a dashboard; where no address is given, on this machine; and SIGTERM stays the study's."""
    seen: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        seen.append(options)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 3.0, "GPU": 1.0})
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append({"shutdown": True}))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    crew = RayActors(recipe(), store, None, 1)
    assert (seen[0]["address"], seen[0]["include_dashboard"], crew.num_workers) == ("local", False, 3)
    assert signal.getsignal(signal.SIGTERM) == before
    crew.close()
    assert seen[1] == {"shutdown": True}
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    RayActors(recipe(), store, None, 1)
    assert seen[2]["address"] == "10.0.0.2:6379"
