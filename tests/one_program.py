"""Studies of tiny agents in environments of equal sizes: all of them share one compiled program."""

import functools
from pathlib import Path
from typing import Any

import pytest

from cartwheel.backend import AgentBackend
from cartwheel.engines import engine
from cartwheel.envs import tasks
from cartwheel.envs.isolated import EnvMaker
from cartwheel.envs.lookup import task_for
from cartwheel.envs.task import Task
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, tune
from hostile import LIMIT, OBS_SIZE, Hostile

SETTINGS = {
    "num_networks": 2,
    "num_particles": 2,
    "num_layers": 1,
    "width": 8,
    "plan_horizon": 2,
    "num_samples": 8,
    "num_iterations": 1,
    "num_epochs": 1,
    "batch_size": 4,
}

INSIDE = EnvMaker("none")
_compile_programs = engine.compile_programs


def share_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """All these agents are the same but for their environment: from now on they share what is compiled."""
    monkeypatch.setattr(engine, "compile_programs", _compiled)
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))


@functools.cache
def _shared(shape: Any, num_lanes: int, device: Any) -> Any:
    return _compile_programs(task_for(Hostile, episode_length=LIMIT, maker=INSIDE), shape, num_lanes, device)


def _compiled(task: Any, shape: Any, num_lanes: int, device: Any, *, plays_whole: bool) -> Any:
    assert not plays_whole
    assert (task.obs_size, task.action_size, task.episode_length, task.learned) == (
        OBS_SIZE,
        1,
        LIMIT,
        "reward and termination",
    )
    return _shared(shape, num_lanes, device)


def spec(env_id: str, **changes: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "env_id": env_id,
            "num_episodes": 2,
            "tuner": {"name": "random-search", "num_trials": 2},
            "space": {"tune": "model"},
            "agent": SETTINGS,
            "validation": {"num_episodes": 1},
            **changes,
        }
    )


def run(kind: type[Hostile], path: Path, **changes: Any) -> Study:
    return run_task(task_for(kind, id=kind.__name__, episode_length=LIMIT, maker=INSIDE), path, **changes)


def run_task(task: Task, path: Path, **changes: Any) -> Study:
    """The same for any task of these sizes."""
    tasks._TASKS[task.id] = task  # may be there from another run
    return tune(spec(task.id, **changes), path, Running(backend=AgentBackend(has_compile_cache=False)))
