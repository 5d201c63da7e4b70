"""What a study will take on disk is said at its beginning, and is not exceeded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cartwheel import disk_use
from cartwheel.observer import SilentObserver
from cartwheel.records import Episode, Evaluation, Segment
from cartwheel.tuning import Running, rerun, tune
from synthetic_executor import SyntheticBackend, small_spec


class Watching(SilentObserver):
    """Keeps what is said, and the most that the checkpoint folder ever held when an episode was acknowledged."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / "checkpoints"
        self.said: list[int] = []
        self.most_bytes = 0

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:  # noqa: ARG002
        held = sum(path.stat().st_size for path in self.folder.iterdir())
        self.most_bytes = max(self.most_bytes, held)

    def check(self) -> None:
        assert self.said == sorted(self.said)
        assert self.most_bytes <= self.said[-1] <= 3 * self.most_bytes

    def on_message(self, message: str) -> None:
        self.said += map(int, re.findall(r"up to (\d+) bytes", message))


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
@pytest.mark.parametrize("tuner", TUNERS, ids=lambda tuner: "-".join(map(str, tuner.values())))
def test_the_bound_is_said_and_holds(tuner: dict[str, Any], tmp_path: Path) -> None:
    """From the first episode on, and no more lies in the folder; nor is it a bound without meaning.

    The checkpoints of synthetic agents are little more than a list of episodes, so the bound is corrected upwards.
    """
    watching = Watching(tmp_path)
    tune(small_spec(num_episodes=9, tuner=tuner), tmp_path, Running((watching,), backend=SyntheticBackend()))
    watching.check()


@pytest.mark.usefixtures("in_bytes")
def test_reruns_have_a_bound_too(tmp_path: Path) -> None:
    """From the schedule and the number of seeds."""
    tune(small_spec(), tmp_path, Running(backend=SyntheticBackend()))
    watching = Watching(tmp_path / "reruns" / "found")
    rerun(tmp_path, num_seeds=3, running=Running((watching,), backend=SyntheticBackend()))
    watching.check()


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
