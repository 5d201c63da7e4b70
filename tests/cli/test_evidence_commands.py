"""compare, suite, transfer and ablate: what they run, what they print, and that they go on where they stood."""

import shutil
from pathlib import Path

import pytest

from cartwheel.errors import ExitCode
from command_line import Cli, without_jax
from synthetic_executor import SyntheticBackend

STUDY = """
env_id = "line"
num_episodes = 2
tuner = { name = "pbt", population = 3, first_interval_episodes = 1, interval_episodes = 1 }
engine = { lanes = 2 }
validation = { num_episodes = 1 }
"""
SUITE = """
tuner_seeds = 1
num_agents = 3
tests = { num_seeds = 2, num_episodes = 1 }
study = { num_episodes = 2, engine = { lanes = 2 }, validation = { num_episodes = 1 } }
[tasks.line]
[arms.default.tuner]
name = "fixed"
[arms.pbt.tuner]
name = "pbt"
"""
SMALL = ("--seeds", "2", "--episodes", "1")


@pytest.fixture(autouse=True)
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SyntheticBackend:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "suite.toml").write_text(SUITE)
    return without_jax(monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_compare_runs_tests_and_controls_once(run: Cli, backend: SyntheticBackend) -> None:
    """One command: the study, its three controls, the tests of all four; the second time nothing is run."""
    assert run("tune", "study.toml", "--run-dir", "run", "--quiet") == ExitCode.DONE
    assert run("compare", "run", "--out", "page", *SMALL, "--json") == ExitCode.DONE
    assert run.facts()["evidence"] == "page/evidence.html"
    assert sorted(path.name for path in Path("run/controls").iterdir()) == [
        "default",
        "random-search",
        "selection-only",
    ]
    page = Path("page/evidence.html").read_text()
    assert all(f">{arm}<" in page for arm in ("pbt", "default", "random-search", "selection-only"))
    made = len(backend.made)
    assert run("compare", "run", "--out", "page", *SMALL, "--quiet") == ExitCode.DONE
    assert run("compare", "run", "--out", "page", "--only-read", "--quiet") == ExitCode.DONE
    assert len(backend.made) == made
    assert Path("page/evidence.html").read_text() == page


def test_tuners_under_one_seed_share_their_controls(run: Cli, backend: SyntheticBackend) -> None:
    """PBT and PBT-BT of one seed and size ask for the same three controls, which run once and count once."""
    for tuner in ("pbt", "pbt-bt"):
        assert run("tune", "study.toml", "--tuner.name", tuner, "--run-dir", tuner, "--quiet") == ExitCode.DONE
    assert run("compare", "pbt", "pbt-bt", "--out", "page", *SMALL, "--quiet") == ExitCode.DONE
    assert Path("pbt/controls/default").is_dir()
    assert not Path("pbt-bt/controls").exists()
    page = Path("page/evidence.html").read_text()
    assert all(f">{arm}<" in page for arm in ("pbt", "pbt-bt", "default", "random-search", "selection-only"))
    assert run("compare", "pbt-bt", "--out", "page", *SMALL, "--quiet") == ExitCode.DONE  # has none of its own yet
    assert run("compare", "pbt", "pbt-bt", "--out", "page", "--only-read", "--quiet") == ExitCode.DONE
    assert Path("page/evidence.html").read_text() == page


def test_a_study_is_not_compared_with_its_copy(run: Cli) -> None:
    assert run("tune", "study.toml", "--run-dir", "run", "--quiet") == ExitCode.DONE
    shutil.copytree("run", "copy")
    assert run("compare", "run", "copy", "--only-read") == ExitCode.USAGE
    assert "the same study as in run" in run.err


def test_compare_says_what_few_seeds_can_tell(run: Cli) -> None:
    assert run("tune", "study.toml", "--run-dir", "run", "--quiet") == ExitCode.DONE
    assert run("compare", "run", "--out", "page", *SMALL) == ExitCode.DONE
    assert "IQM over 1 tuner seed and 2 test seeds" in run.out
    assert "a claim takes at least 5 tuner seeds" in Path("page/evidence.html").read_text()


def test_an_unfinished_or_missing_study_is_refused(run: Cli) -> None:
    assert run("compare", "nowhere") == ExitCode.STORAGE
    assert run("train", "study.toml", "--run-dir", "trained", "--quiet") == ExitCode.DONE
    assert run("compare", "trained") == ExitCode.USAGE
    assert "not a finished tuning study" in run.err


def test_a_suite_writes_its_page(run: Cli, backend: SyntheticBackend) -> None:
    assert run("suite", "suite.toml", "--quiet") == ExitCode.DONE
    assert Path("runs/suite/evidence.html").is_file()
    assert Path("runs/suite/figures/results-line.csv").is_file()
    made = len(backend.made)
    assert run("suite", "suite.toml", "--only-read", "--json") == ExitCode.DONE
    assert len(backend.made) == made
    assert run.facts()["headlines"]


def test_hours_stop_a_suite_resumably(run: Cli) -> None:
    """The exit code says so; the same command goes on."""
    assert run("suite", "suite.toml", "--max-hours", "1e-9") == ExitCode.INTERRUPTED
    assert run.out.splitlines()[-1] == "stopped; the same command goes on where it stood"
    assert run("suite", "suite.toml", "--quiet") == ExitCode.DONE


def test_episodes_of_different_lengths_are_not_compared(run: Cli) -> None:
    for length in ("10", "20"):
        arguments = ["--episode-length", length, "--run-dir", f"run{length}", "--quiet"]
        assert run("tune", "study.toml", *arguments) == ExitCode.DONE
    assert run("compare", "run10", "run20", "--only-read") == ExitCode.USAGE
    assert "different lengths" in run.err


def test_a_suite_of_nothing_yet_has_no_page(run: Cli) -> None:
    assert run("suite", "suite.toml", "--only-read") == ExitCode.DONE
    assert not Path("runs/suite/evidence.html").exists()


def test_transfer_moves_studies_and_files(run: Cli) -> None:
    """To the study's own task and to another; a schedule file beside it."""
    assert run("tune", "study.toml", "--run-dir", "run", "--quiet") == ExitCode.DONE
    assert run("schedule", "run", "--out", "found.json", "--quiet") == ExitCode.DONE
    arguments = ["transfer", "run", "found.json", "--env-id", "cartpole-swingup", "--simplify", "1", *SMALL]
    assert run(*arguments) == ExitCode.DONE
    page = Path("runs/transfer/evidence.html").read_text()
    assert "pbt of line" in page
    assert "found of a file" in page
    assert "cartpole-swingup" in page


def test_transfer_of_files_alone_needs_a_target(run: Cli) -> None:
    assert run("tune", "study.toml", "--run-dir", "run", "--quiet") == ExitCode.DONE
    assert run("schedule", "run", "--out", "found.json", "--quiet") == ExitCode.DONE
    assert run("transfer", "found.json", *SMALL) == ExitCode.USAGE
    assert "nowhere to follow them" in run.err
    assert run("transfer", "found.json", "--to", "run", *SMALL, "--quiet") == ExitCode.DONE


def test_ablate_names_the_steps(run: Cli) -> None:
    """And compare shows them."""
    set_ = ["--tuner.name", "random-search", "--tuner.num_trials", "2"]
    Path("study.toml").write_text(STUDY.replace("tuner =", "#").replace("[", "#"))
    assert run("tune", "study.toml", *set_, "--space.tune", "model", "--run-dir", "run", "--quiet") == ExitCode.DONE
    assert run("ablate", "run", *SMALL, "--json") == ExitCode.DONE
    assert set(run.facts()["path"]) == {"learning_rate", "weight_decay", "num_epochs"}
    assert run("compare", "run", "--out", "page", *SMALL, "--quiet") == ExitCode.DONE
    assert "From the default to the found config on line" in Path("page/evidence.html").read_text()
