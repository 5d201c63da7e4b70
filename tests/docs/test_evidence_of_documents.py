"""Every ``cartwheel suite``, ``compare``, ``transfer`` and ``ablate`` that a document tells does what it says."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cartwheel.cli import evidence_commands
from cartwheel.errors import ExitCode
from cartwheel.tuning import tune
from command_line import Cli, without_jax
from documents import DOCUMENTS, ROOT, command_lines
from synthetic_executor import small_spec

COMMAND = re.compile(r"cartwheel (suite|compare|transfer|ablate) ")
TOLD = [line for path in DOCUMENTS for line in command_lines(path) if COMMAND.match(line)]
FEW = {
    "suite": "--tuner-seeds 1 --test-seeds 1",
    "compare": "--seeds 2 --episodes 1",
    "transfer": "--seeds 2 --episodes 1",
    "ablate": "--seeds 2",
}
"""Behind what the documents tell: the last one counts."""
SMALLER = {
    r"num_agents = \d+": "num_agents = 4",
    r"num_episodes = \d{2,}": "num_episodes = 4",
    r"_episodes = 5\b": "_episodes = 1",
    r'(?m)^preset = "aistats2021"$': 'preset = "aistats2021"\npopulation = 4',
}
"""What makes hours of seconds, in the files of suites."""
RUNS = {
    "larger": "pbt", "pbt-1": "pbt", "pbt-2": "pbt", "pbt-3": "pbt", "pb2-1": "pb2", "random-1": "random-search",
    "cheetah": "fixed", "cheetah-pbt": "pbt", "cheetah-pbt-bt": "pbt-bt",
}  # fmt: skip
"""What the documents have made before."""
SIZES = {"random-search": "num_trials", "fixed": "replicates"}


def furnish(folder: Path) -> None:
    """Studies, suites and schedules as a reader has them, but small."""
    shutil.copytree(ROOT / "studies", folder / "studies")
    for suite in (folder / "studies" / "suites").glob("*.toml"):
        text = suite.read_text()
        for pattern, replacement in SMALLER.items():
            text = re.sub(pattern, replacement, text)
        suite.write_text(text)
    schedule = ROOT / "tests" / "data" / "learned_schedules" / "halfcheetah_pbt_model_train_incumbent.json"
    (folder / "halfcheetah_pbt.json").write_text(json.dumps(json.loads(schedule.read_text())[:4]))
    for name, tuner in RUNS.items():
        size = {SIZES.get(tuner, "population"): 4}
        seed = 1 + list(RUNS).index(name)
        tune(small_spec(tuner={"name": tuner, **size}, seed=seed), folder / "runs" / name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that can be: studies wait for the disk thousands of times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def told_nothing(out: Path, name: str, evidence: Any, say: Any) -> tuple[Path, list[str]]:
    """In the place of the page, which takes half a minute and has tests of its own (tests/report)."""
    assert evidence.studies or evidence.moved
    out.mkdir(parents=True, exist_ok=True)
    (out / "evidence.html").write_text(name)
    return out / "evidence.html", [f"{len(evidence.studies)} studies"]


def test_every_line_about_evidence_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each one exits with 0, after those above it, having read or run something."""
    assert len(TOLD) >= 10
    without_jax(monkeypatch)
    monkeypatch.setattr(evidence_commands, "write_evidence", told_nothing)
    monkeypatch.chdir(folder)
    furnish(folder)
    run = Cli(capsys)
    for line in TOLD:
        few = "" if "--only-read" in line else FEW[line.split()[1]]
        given = shlex.split(re.sub(r"--seeds \d+", "", line))[1:]
        assert run(*given, *few.split()) == ExitCode.DONE, f"{line}: {run.err}"
        assert run.out.splitlines()[-1]
