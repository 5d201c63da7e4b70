"""A study in a folder of its own: run by children, then compared with one that nothing has happened to."""

import hashlib
import json
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartwheel.errors import ExitCode
from cartwheel.results import Study
from cartwheel.spec import Keep
from faults.child import ERRORS, RAN, STEPS, TOLD, Settings
from faults.nursery import Nursery
from snapshot import snapshot

RUN = "run"
STUDY = """
env_id = "line"
num_episodes = {num_episodes}
seed = 3
keep = "{keep}"
[tuner]
name = "pbt"
population = {population}
first_interval_episodes = 1
interval_episodes = 1
[engine]
lanes = {lanes}
[validation]
num_episodes = 2
"""
Told = set[tuple[str, str, int, float]]


@dataclass(frozen=True)
class Size:
    """How much a study has to do: ``population`` times ``num_episodes`` segments of one episode each."""

    population: int = 4
    num_episodes: int = 8
    lanes: int = 2
    keep: Keep = "all"


@dataclass(frozen=True)
class Case:
    """One folder, and in it the run folder. ``words`` is what a user types, again and again."""

    nursery: Nursery
    folder: Path
    size: Size
    elsewhere: Path | None = None
    """The run folder, where it is not inside ``folder``."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "study.toml").write_text(STUDY.format(**vars(self.size)))

    @property
    def run_dir(self) -> Path:
        return self.elsewhere or self.folder / RUN

    def start(self, **settings: Any) -> int:
        """Type the words; the process id."""
        return self.nursery.start(self.folder, self.words, Settings(**settings))

    @property
    def words(self) -> list[str]:
        return ["tune", "study.toml", "--run-dir", str(self.run_dir), "--json"]

    def wait(self, pid: int) -> int:
        return self.nursery.wait(pid)

    def run(self, **settings: Any) -> int:
        """Type the words and wait; the exit code."""
        return self.wait(self.start(**settings))

    def kill(self, pid: int) -> int:
        """SIGKILL to the process group; how the process ended, which may have been before."""
        os.killpg(pid, signal.SIGKILL)
        return self.wait(pid)

    def told(self) -> Told:
        """The episodes that were acknowledged to whoever reads standard output, also by processes that died."""
        path = self.folder / TOLD
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        # where a line passes from one page of memory to the next a kill can cut it; the next process's follows at once
        whole = [line[line.rfind('{"event"') :] for line in lines if line.endswith("}\n") and '{"event"' in line]
        events = [json.loads(line) for line in whole]
        kinds = ("episode", "evaluation_episode")
        return {(e["event"], e["segment"], e["index"], e["return"]) for e in events if e["event"] in kinds}

    def ran(self) -> Counter[str]:
        """How often every episode was begun, by all processes together."""
        path = self.folder / RAN
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def steps(self) -> list[str]:
        """The names of the steps on disk of the last process that came to its end."""
        return (self.folder / STEPS).read_text().splitlines()

    def errors(self) -> str:
        """What all processes wrote to standard error."""
        return (self.folder / ERRORS).read_text()

    def outcome(self) -> dict[str, Any]:
        """All that a finished study holds, timing apart, checkpoints checked against their digests, and the best."""
        for path in (self.run_dir / "checkpoints").iterdir():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        tables = snapshot(self.run_dir)
        reported = Counter(row["segment"] for row in tables["reports"])
        told = Counter(row["event"]["reported"]["segment"] for row in tables["events"] if "reported" in row["event"])
        assert set(reported.values()) == {1}, "each segment is recorded once"
        assert told == reported
        study = Study(self.run_dir)
        assert study.is_done
        return {**tables, "best": study.best, "temporary": [path.name for path in self.run_dir.glob("*.tmp")]}


@dataclass(frozen=True)
class Whole:
    """A study that nothing happened to, and what it took."""

    case: Case
    outcome: dict[str, Any]
    wall_s: float

    def check(self, case: Case, acknowledged: Told, num_deaths: int = 1) -> None:
        """The case has come to the same end, kept what was acknowledged, and redid at most the running episodes."""
        assert case.outcome() == self.outcome
        assert acknowledged <= self.case.told()
        again = case.ran() - self.case.ran()
        assert sum(again.values()) <= num_deaths * case.size.lanes
        assert not self.case.ran() - case.ran()


def finish(case: Case) -> None:
    """Type the words once more, and nothing goes wrong."""
    code = case.run()
    assert code == ExitCode.DONE, case.errors()
