"""What a study will take on disk is said at its beginning, and is not exceeded."""

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from cartwheel import disk_use
from cartwheel.agents.pets.agent import init
from cartwheel.agents.pets.arrays import shard_to_arrays, to_arrays
from cartwheel.agents.pets.buffer import Transitions
from cartwheel.disk_use import BYTES_PER_LISTED, DiskUse, probable_bytes
from cartwheel.executors.file_sizes import file_sizes
from cartwheel.observer import SilentObserver
from cartwheel.records import CheckpointId, Episode, Evaluation, FileSizes, Segment, StoredFile
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import encode
from cartwheel.study_agents import agent_setup
from cartwheel.tuners.rehearsal import Amount
from cartwheel.tuning import Running, kept_in_the_end, rerun, tune
from synthetic_executor import SyntheticBackend, small_spec

MAX_FACTOR = 1.5


class Watching(SilentObserver):
    """Keeps what is said, and the most that the checkpoint folder ever held when an episode was acknowledged."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / "checkpoints"
        self.said: list[int] = []
        self.most_bytes = 0
        self.num_episodes = 0

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:  # noqa: ARG002
        self.num_episodes += 1
        self.most_bytes = max(self.most_bytes, held(self.folder.parent))

    def check(self) -> None:
        """It was said once, before anything ran, and was true."""
        (said,) = self.said
        assert self.most_bytes <= said <= MAX_FACTOR * self.most_bytes

    def on_message(self, message: str) -> None:
        found = re.findall(r"up to (\d+) bytes", message)
        assert not found or self.num_episodes == 0
        self.said += map(int, found)


@pytest.fixture
def in_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exact numbers in the message."""
    monkeypatch.setattr(disk_use, "data_size", lambda num_bytes: f"{num_bytes} bytes")
    return


TUNERS: list[dict[str, Any]] = [
    {"name": "pbt", "population": 4},
    {"name": "pbt-bt", "population": 4},
    {"name": "hyperband"},
    {"name": "random-search", "num_trials": 3},
    {"name": "random-search", "num_trials": 2, "replicates": 2},
    {"name": "fixed", "num_trials": 2},
]


@pytest.mark.usefixtures("in_bytes")
@pytest.mark.parametrize("keep", ["all", "needed"])
@pytest.mark.parametrize("tuner", TUNERS, ids=lambda tuner: "-".join(map(str, tuner.values())))
def test_the_bound_is_said_and_holds(tuner: dict[str, Any], keep: str, tmp_path: Path) -> None:
    """Before the first episode, and no more ever lies in the folder; nor is it much more than what does.

    What is there in the end is foreseen as well, however the study went.
    """
    watching = Watching(tmp_path)
    spec = small_spec(num_episodes=9, tuner=tuner, keep=keep, engine={"lanes": 1})
    tune(spec, tmp_path, Running((watching,), backend=SyntheticBackend()))
    watching.check()
    assert held(tmp_path) / MAX_FACTOR < foreseen(spec) < MAX_FACTOR * held(tmp_path)


def held(run_dir: Path) -> int:
    return sum(path.stat().st_size for path in (run_dir / "checkpoints").iterdir())


def foreseen(spec: StudySpec) -> float:
    """Bytes, on average over the ways in which the study may go."""
    sizes = SyntheticBackend().file_sizes()
    kept = kept_in_the_end(spec)
    return fmean(probable_bytes(each, lambda _: sizes.checkpoint, sizes.episode, sizes.episode) for each in kept)


def test_what_asha_keeps_is_foreseen(tmp_path: Path) -> None:
    """It promotes as it goes, so how much of it there is depends on who is good when."""
    spec = small_spec(num_episodes=3, tuner={"name": "asha", "num_trials": 9})
    tune(spec, tmp_path, Running(backend=SyntheticBackend()))
    assert held(tmp_path) / MAX_FACTOR < foreseen(spec) < MAX_FACTOR * held(tmp_path)


def test_shapes_are_those_of_the_study(tmp_path: Path) -> None:
    """Random Search draws the same widths in the forecast as in the study: the size of a checkpoint hangs on them."""
    width = {"kind": "int", "low": 8, "high": 512, "default": 16, "group": "model", "is_static": True}
    rate = {"kind": "float", "low": 1e-4, "high": 1e-2, "default": 1e-3, "group": "model"}
    tuner, space = {"name": "random-search", "num_trials": 3}, {"parameters": {"width": width, "learning_rate": rate}}
    study = tune(small_spec(tuner=tuner, space=space, seed=5), tmp_path, Running(backend=SyntheticBackend()))
    drawn = sorted(segment.config["width"] for segment in study.tables.segments.values())
    for kept in kept_in_the_end(small_spec(tuner=tuner, space=space, seed=5)):
        assert sorted(config["width"] for config in kept.configs) == drawn
    assert len(set(drawn)) == 3


def test_what_is_kept_is_counted_by_hand() -> None:
    """Two trials, each with its own 3 planned episodes: two checkpoints that list 4 episodes each, and 8 shards."""
    spec = small_spec(num_episodes=3, tuner={"name": "random-search", "num_trials": 2})
    for kept in kept_in_the_end(spec):
        assert (len(kept.configs), kept.num_listed, kept.num_random, kept.num_planned) == (2, 8, 2, 6)
        by_rate = probable_bytes(kept, lambda config: int(config["num_samples"]), random=1000, planned=100)
        samples = sum(int(config["num_samples"]) for config in kept.configs)
        assert by_rate == samples + 8 * BYTES_PER_LISTED + 2 * 1000 + 6 * 100


@pytest.mark.usefixtures("in_bytes")
def test_reruns_have_a_bound_too(tmp_path: Path) -> None:
    """From the schedule and the number of seeds."""
    tune(small_spec(), tmp_path, Running(backend=SyntheticBackend()))
    watching = Watching(tmp_path / "reruns" / "found")
    rerun(tmp_path, num_seeds=6, running=Running((watching,), backend=SyntheticBackend()))
    watching.check()


@pytest.mark.slow
@pytest.mark.usefixtures("in_bytes")
def test_the_bound_holds_for_agents_that_learn(tmp_path: Path) -> None:
    """Their sizes are known before they are: three PETS agents, five episodes each."""
    watching = Watching(tmp_path)
    spec = StudySpec.model_validate(
        {
            "env_id": "line",
            "num_episodes": 4,
            "tuner": {"name": "pbt", "population": 3, "interval_episodes": 1, "first_interval_episodes": 1},
            "agent": {"num_layers": 2, "width": 32, "num_networks": 2},
            "validation": {"num_episodes": 0},
        }
    )
    tune(spec, tmp_path, Running((watching,)))
    print(f"said {watching.said}, held at most {watching.most_bytes}")
    watching.check()


@pytest.mark.parametrize("planner", ["icem", "cem"])
def test_sizes_of_agents_are_those_of_their_files(planner: str) -> None:
    """To the byte, but for the names of segment and episode; the largest agent of a space counts."""
    spec = StudySpec.model_validate({"env_id": "line", "num_episodes": 3, "agent": {"planner": planner}})
    configs = [{"width": 16}, {"width": 48}]
    setup = agent_setup(spec, configs).under(configs[1])
    state = init(setup.task, setup.shape, jax.random.key(1))
    checkpoint = encode(to_arrays(state), {"segment": "0.0", "episode": 0, "replay": []})
    found = file_sizes(agent_setup(spec, configs), configs)
    sizes = (setup.task.obs_size, setup.task.action_size, setup.task.obs_size)
    rows = Transitions(*(np.ones((setup.task.episode_length, size), np.float32) for size in sizes))
    shard = encode(shard_to_arrays(rows), {"segment": "0.0", "episode": 0})
    assert found == FileSizes(len(checkpoint), len(shard))


def test_a_segment_that_failed_at_once_says_nothing(tmp_path: Path) -> None:
    """Its files are gone when its first episode is told of; the next one's sizes count, and only if they are larger."""
    files = {"0.0": [], "1.0": [StoredFile(CheckpointId("c"), 5000), StoredFile(CheckpointId("s"), 90)]}
    reading = SimpleNamespace(files_of=lambda segment: files[segment], files=lambda: [])
    said: list[str] = []
    amount = Amount(num_checkpoints=3, num_listed=6, max_listed=2, num_episodes=4)
    folder: Any = SimpleNamespace(path=tmp_path, read=reading)
    watching = DiskUse(folder, amount, 1, FileSizes(1000, 100), said.append)
    watching.on_begin([])
    assert len(said) == 1
    failed, sound = (Segment(trial, 0, {}, 0, 2) for trial in range(2))
    watching.on_episode(failed, Episode(0, 1.0, 1))
    assert len(said) == 1
    watching.on_episode(sound, Episode(0, 1.0, 1))
    assert len(said) == 2
    watching.on_episode(failed, Episode(0, 1.0, 1))
    assert len(said) == 2


def test_too_small_a_disk_is_known_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study begins all the same: somebody may free the disk meanwhile."""

    class Disk:
        free = 1000

    monkeypatch.setattr(disk_use.shutil, "disk_usage", lambda _: Disk)
    messages: list[str] = []

    class Listening(SilentObserver):
        def on_message(self, message: str) -> None:
            messages.append(message)

    study = tune(small_spec(), tmp_path, Running((Listening(),), backend=SyntheticBackend()))
    assert study.is_done
    assert any("1 kB are free; the study will stop, resumably" in message for message in messages)
