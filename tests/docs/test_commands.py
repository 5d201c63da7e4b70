"""Every command of the documents works: those of Cartwheel are run, in order, in a folder as a reader has it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from documents import DOCUMENTS, ROOT, blocks, command_lines

NOT_RUN = {
    r"make \w+": "installs, or takes minutes; that the targets exist is tested in test_docs.py, and CI runs them",
    r"source \.venv/bin/activate": "there is no such environment in the folder of a test",
    r"pip install .*": "installs; the lock file is checked by `make check`",
    r"ray (start|stop).*": "a cluster of machines; tests/executors starts one of Ray's on this machine",
    r"cartwheel (suite|compare|transfer|ablate) .*": "many trainings: test_evidence_of_documents.py runs each, smaller",
    r"python -m benchmarks\..*": "half an hour and more each; tests/benchmarks runs them small",
    r"python -m pytest -m slow .*": "tens of minutes: `make slow` runs them",
    r"pytest tests/contracts .*": "run by test_docs.py, with the tuner of that guide",
    r"cartwheel video .*": "needs agents that act, and OpenGL: tests/docs/test_films_of_documents.py runs each",
    r"optuna-dashboard .*": "serves until it is stopped; tests/exports starts it",
    r"tensorboard .*": "no part of Cartwheel; tests/exports reads its files",
}
"""What no test here runs, and why; a pattern for whole lines."""


def reasons(line: str) -> list[str]:
    """The patterns of ``NOT_RUN`` that a line matches."""
    return [pattern for pattern in NOT_RUN if re.fullmatch(pattern, line)]


def to_run(path: Path) -> list[str]:
    """The commands of Cartwheel's that a document tells, and that run here."""
    return [line for line in command_lines(path) if line.startswith("cartwheel ") and not reasons(line)]


WITH_COMMANDS = [path for path in DOCUMENTS if to_run(path)]


def furnish(folder: Path, document: Path) -> None:
    """What the document takes for granted: the repository's studies, and files that other blocks show."""
    shutil.copytree(ROOT / "studies", folder / "studies")
    shutil.copy(folder / "studies" / "demo.toml", folder / "STUDY.toml")
    for schedule in (ROOT / "tests" / "data" / "learned_schedules").glob("*.json"):
        (folder / schedule.name).write_text(json.dumps(json.loads(schedule.read_text())[:6]))  # of 300 episodes
    (folder / "my_reacher.py").write_text(blocks(ROOT / "docs" / "adding-a-task.md", "python")[0])
    if document.stem == "adding-a-tuner":
        source, line = blocks(document, "python")[:2]
        (folder / "latin_hypercube.py").write_text(source)
        about = "import latin_hypercube\nfrom cartwheel.tuners.registry import TUNERS, TunerEntry\n"
        (folder / "registered.py").write_text(f"{about}TUNERS.update({{{line}}})\n")


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that can be: studies wait for the disk thousands of times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: path.stem)
def test_every_command_of_a_document_works(document: Path, folder: Path) -> None:
    """Each one exits with 0, after those above it, and no traceback is printed."""
    furnish(folder, document)
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTEST_"))}
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("sandbox.py"))],
        input="\n".join(to_run(document)),
        cwd=folder,
        env={**mine, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    assert "Traceback" not in ended.stderr


def test_every_line_is_run_or_has_a_reason() -> None:
    """And no reason is left over for what is no longer told."""
    told = [line for path in DOCUMENTS for line in command_lines(path)]
    assert [line for line in told if not line.startswith("cartwheel ") and not reasons(line)] == []
    assert {pattern for line in told for pattern in reasons(line)} == NOT_RUN.keys()


def test_the_errors_of_the_questions_are_those_of_the_code() -> None:
    """Their headings are literally in messages of the package."""
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    told = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "faq.md").read_text(), re.MULTILINE)
    assert len(told) >= 8
    assert [message for message in told if message not in source] == []
