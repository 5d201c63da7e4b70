"""A task from a user's own Python file: by the command line alone, and the same file again."""

from pathlib import Path
from typing import Any

import pytest

from cartwheel import task_files
from cartwheel.cli import commands
from cartwheel.envs import tasks
from cartwheel.errors import ConfigError
from cartwheel.spec import StudySpec, differences, load_spec
from cartwheel.study_agents import agent_setup
from cartwheel.task_files import load_task_file

MINE = """
import jax.numpy as jnp
from cartwheel import task_for

def reward(obs, action, next_obs):
    return -jnp.abs(next_obs[0])

task = task_for("cartwheel/Line-v0", id="my-line", reward=reward, encode=lambda obs: obs[1:])
"""


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins as a fresh process does."""
    monkeypatch.setattr(task_files, "_loaded", {})
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def spec_with(path: Path, **options: Any) -> StudySpec:
    own = commands.run_own_code(path, allow_env_import=False)
    return commands.read_spec(None, {"num_episodes": 1, **options}, {}, own)


def test_the_file_is_the_task(path: Path) -> None:
    """The study is about the file's task, remembers which file it was, and its agent uses the formulas."""
    spec = spec_with(path)
    assert spec.env_id == "my-line"
    assert spec.task_file is not None
    assert (spec.task_file.path, len(spec.task_file.sha256)) == (str(path), 64)
    task = agent_setup(spec, []).task
    assert task.learned == "termination"
    assert task.reward is not None
    assert load_task_file(path).sha256 == spec.task_file.sha256, "running it twice is harmless"
    assert list(path.parent.iterdir()) == [path], "nothing is written beside it"


def test_nothing_that_is_read_runs_the_file(path: Path) -> None:
    """A study file that names it, as a run folder's does, needs the option: the path alone is never run."""
    study = path.with_name("study.toml")
    study.write_text(spec_with(path).to_toml())
    task_files._loaded.clear()
    marker = path.with_name("ran")
    path.write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(ConfigError, match=r"give that file: --task-file .*mine\.py"):
        agent_setup(load_spec(study, {}), [])
    assert not marker.exists()


def test_another_content_is_another_study(path: Path) -> None:
    """The same formulas elsewhere are the same; one changed character is not."""
    spec = spec_with(path)
    moved = path.with_name("moved.py")
    moved.write_text(MINE)
    assert differences(spec, spec_with(moved)) == []
    tasks._TASKS.pop("my-line")
    moved.write_text(MINE.replace("jnp.abs", "2.0 * jnp.abs"))
    (found,) = differences(spec, spec_with(moved))
    assert found.startswith("task_file.sha256: ")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_of_this_name", r"raised ModuleNotFoundError\(.*mine\.py, line 1\)"),
        ("x = 1\n\ndef f():\n    raise ValueError('no\\nway')\n\nf()", r"raised ValueError\(.*mine\.py, line 4\)"),
        ("x = 1\nx =", r"raised SyntaxError\(.*mine\.py, line 2\)"),
        ("import sys\nsys.exit(0)", r"raised SystemExit\(0\).*line 2"),
        ("x = 1", r"the task file defines no `task`.*write `task = task_for"),
        ("task = 3", r"the task file has a int as `task`"),
        (MINE.replace('"my-line"', '"line"'), r"another task has this id.*give the task an id of its own"),
        ("\0", "raised SyntaxError|raised ValueError"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(path: Path, source: str, message: str) -> None:
    path.write_text(source)
    with pytest.raises(ConfigError, match=message) as failure:
        load_task_file(path)
    assert "\n" not in str(failure.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the task file: No such file.*absent\.py"):
        load_task_file(tmp_path / "absent.py")
    with pytest.raises(ConfigError, match="cannot read the task file: Is a directory"):
        load_task_file(tmp_path)


def test_formulas_of_a_wrong_shape_are_named(path: Path) -> None:
    """As those of any task, before anything runs."""
    path.write_text(MINE.replace("-jnp.abs(next_obs[0])", "-jnp.abs(next_obs)"))
    with pytest.raises(ConfigError, match=r"task 'my-line': reward must give shape \(\), not \(2,\)"):
        agent_setup(spec_with(path), [])


def test_the_file_and_the_study_must_agree(path: Path) -> None:
    with pytest.raises(ConfigError, match="the study is about 'line', the task of the file is 'my-line'"):
        spec_with(path, env_id="line")
