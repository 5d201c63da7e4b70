"""What the documents say is true: their Python runs, their commands parse, their files exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from cartwheel.cli.app import app, with_dotted_options
from documents import ROOT, blocks

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TINY = 'num_episodes=1, validation={"num_episodes": 0}, tuner={"name": "random-search", "num_trials": 1}'
TUNED = re.compile(r"num_episodes=\d+(, seed=1)?(, tuner=\{.*?\})?")

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


def run(arguments: list[str], folder: Path, **environment: str) -> str:
    """What a fresh interpreter prints, as a user's own does: without the strictness of this test suite."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTEST_"))}
    cache = ROOT / ".pytest_cache" / "user"
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**mine, "XDG_CACHE_HOME": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", ["README.md", "docs/adding-a-task.md"])
def test_an_environment_of_your_own_is_tuned(name: str, tmp_path: Path) -> None:
    """The Python runs as it is written, but for one trial of one episode, and a study comes out."""
    text, num_cut = TUNED.subn(TINY, "\n".join(blocks(ROOT / name, "python")))
    assert num_cut == 1
    (tmp_path / "mine.py").write_text(text)
    assert "learning_rate" in run(["mine.py"], tmp_path)
    assert len(list(tmp_path.glob("runs/*/study.db"))) == 1


def test_ten_lines_tune_an_environment_of_your_own(tmp_path: Path) -> None:
    """The guide's, as they are written but for one trial of one episode; the environment lies beside them."""
    lines, puck = blocks(ROOT / "docs" / "own-environment.md", "python")
    assert len([line for line in lines.splitlines() if line.strip()]) <= 10
    text, num_cut = TUNED.subn(TINY, lines)
    assert num_cut == 1
    (tmp_path / "puck.py").write_text(puck)
    (tmp_path / "mine.py").write_text(text)
    assert "learning_rate" in run(["mine.py"], tmp_path)
    assert (tmp_path / "curves.pdf").is_file()


def test_the_task_file_of_the_guide_has_ten_lines_and_works(tmp_path: Path) -> None:
    """It is a task whose reward is known and whose termination is learned."""
    source = blocks(ROOT / "docs" / "adding-a-task.md", "python")[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    (tmp_path / "mine.py").write_text(source)
    look = "from pathlib import Path; from cartwheel.task_files import load_task_file as load; "
    assert run(["-c", look + "print(load(Path('mine.py')).task.learned)"], tmp_path) == "termination\n"


def test_the_tuner_of_the_guide_keeps_the_contract(tmp_path: Path) -> None:
    """Its file and its line of the registry are all it takes."""
    source, line = blocks(ROOT / "docs" / "adding-a-tuner.md", "python")
    (tmp_path / "latin_hypercube.py").write_text(source)
    (tmp_path / "registered.py").write_text(
        f"import latin_hypercube\nfrom cartwheel.tuners.registry import TUNERS, TunerEntry\nTUNERS.update({{{line}}})\n"
    )
    contract = ROOT / "tests" / "contracts" / "test_tuner_contract.py"
    options = ["-p", "registered", "-p", "no:cacheprovider", "-n", "0", "-k", "latin-hypercube", str(contract)]
    assert re.search(r"\d+ passed", run(["-m", "pytest", *options], ROOT, PYTHONPATH=str(tmp_path)))


def test_the_tables_of_presets_are_those_of_the_code() -> None:
    """What tools/preset_tables.py would write is what is there."""
    written = run_path(str(ROOT / "tools" / "preset_tables.py"))
    document = (ROOT / "docs" / "presets.md").read_text()
    assert written["updated"](document) == document, "run tools/preset_tables.py"


def commands() -> list[str]:
    """Every command line of the documents that begins with ``cartwheel``."""
    told = [block.replace("\\\n", " ") for path in DOCUMENTS for block in blocks(path, "sh")]
    lines = [line for block in told for line in block.splitlines()]
    return [line for line in lines if line.startswith("cartwheel ")]


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command: str) -> None:
    tokens = shlex.split(command, comments=True)[1:]
    app.parse_args(with_dotted_options(tokens), exit_on_error=False, print_error=False)


@every_document
def test_targets_of_make_exist(path: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = re.findall(r"(?:`|^)make ([a-z]+)", path.read_text(), re.MULTILINE)
    assert set(told) <= set(targets)


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", path.read_text()) + re.findall(r'src="([^"]+)"', path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


@every_document
def test_files_of_the_package_exist(path: Path) -> None:
    """Those in backquotes, such as ``tuners/base.py``."""
    named = re.findall(r"`(?:src/cartwheel/)?([a-z_]+(?:/[a-z_]+)*\.py)[`:]", path.read_text())
    examples = {"tuners/latin_hypercube.py", "puck.py"}
    known = [str(file) for folder in ("src", "tests", "tools") for file in (ROOT / folder).rglob("*.py")]
    missing = [name for name in named if not any(file.endswith(f"/{name}") for file in known)]
    assert set(missing) <= examples


@every_document
def test_lines_are_short_and_name_no_machine(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if len(line) > 120] == []
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root)/", path.read_text())
