"""Real agents in workers: the same bits as in this process, and what a worker can and cannot know."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from cartwheel import task_files
from cartwheel.backend import AgentBackend
from cartwheel.cli.options import Manner
from cartwheel.envs import tasks
from cartwheel.envs.tasks import LINE, register_task
from cartwheel.errors import ConfigError, UsageError
from cartwheel.spec import ExecutorName, StudySpec, differences
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.task_files import load_task_file
from cartwheel.worker_agents import recipe_of
from executor_contract import checkpoints_of, run, segment, told, work

AGENT = {
    "num_networks": 2, "num_layers": 1, "width": 8, "num_particles": 2, "batch_size": 4, "sample_chunk": 4,
    "plan_horizon": 3, "num_iterations": 2, "num_samples": 12, "num_epochs": 4,
}  # fmt: skip
MINE = """
import cartwheel
task = cartwheel.task_for("cartwheel/Line-v0", id="my-line", episode_length=6)
"""


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins as a fresh process does."""
    monkeypatch.setattr(task_files, "_loaded", {})
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))


def spec_of(**changes: Any) -> StudySpec:
    space = {"parameters": {"learning_rate": {"kind": "float", "low": 1e-4, "high": 1e-2, "group": "model"}}}
    table = {"env_id": "line", "num_episodes": 2, "episode_length": 6, "agent": AGENT, "space": space}
    return StudySpec.model_validate({**table, **changes})


def digests(executor: ExecutorName, spec: StudySpec, folder: Path) -> list[Any]:
    """The checkpoints of two segments."""
    folder.mkdir()
    made = AgentBackend(False, executor, 1).make(spec, [], CheckpointStore(folder), print)
    items = [dataclasses.replace(segment(trial, stop=1), config={"learning_rate": 1e-3 * trial}) for trial in (1, 2)]
    try:
        outcomes = run(made, [dataclasses.replace(work(item), config=item.config) for item in items])
        assert max(made.device_compile_s) > 0
    finally:
        made.close()
    return [checkpoints_of(told(outcomes, item)) for item in items]


def test_workers_compute_the_same_bits(tmp_path: Path) -> None:
    """The same checkpoints, by digest, as in this process; of a task that only its file, given here, knows."""
    (tmp_path / "mine.py").write_text(MINE)
    own = load_task_file(tmp_path / "mine.py")
    file = {"path": str(own.path), "sha256": own.sha256}
    spec = spec_of(env_id="my-line", task_file=file, episode_length=None)
    (tmp_path / "mine.py").write_text("raise RuntimeError('what ran here is what runs there')")
    assert digests("processes", spec, tmp_path / "processes") == digests("inline", spec, tmp_path / "inline")


def test_what_a_script_registers_is_refused(tmp_path: Path) -> None:
    """Before anything starts, and inline it stays usable; a task file of another id does not help."""
    register_task(dataclasses.replace(LINE, id="scripted"))
    spec = spec_of(env_id="scripted")
    AgentBackend().check(spec, [])
    with pytest.raises(ConfigError, match=r"'scripted' was registered by a script.*--task-file.*--executor inline"):
        AgentBackend(executor="processes").check(spec, [])


def test_what_travels_is_json() -> None:
    """The recipe is plain text, and the spec in it is the spec."""
    spec = spec_of(engine={"executor": "ray", "workers": 3})
    arguments = json.loads(json.dumps(recipe_of(spec, [{"learning_rate": 1e-3}], False).arguments))
    assert StudySpec.model_validate(arguments["spec"]) == spec
    assert arguments["reachable"] == [{"learning_rate": 1e-3}]
    assert arguments["task_file"] is None
    assert not arguments["allows_imports"]


def test_where_agents_run_is_no_part_of_the_study() -> None:
    """A study that was begun inline goes on in processes, with any number of them."""
    engine = {"executor": "processes", "workers": 7, "max_worker_memory_mib": 4000}
    assert differences(spec_of(), spec_of(engine=engine)) == []
    assert differences(spec_of(), spec_of(engine={"lanes": 2})) != []


def test_options_choose_the_executor() -> None:
    """They come before what the study says; an address is Ray's alone."""
    backend = Manner(executor="ray", workers=3, ray_address="auto").output().backend
    assert backend == AgentBackend(True, "ray", 3, "auto")
    with pytest.raises(UsageError, match=r"--ray-address.*add --executor ray"):
        Manner(ray_address="auto").output()
