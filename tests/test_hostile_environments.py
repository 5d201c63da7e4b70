"""Fifty environments that break their promises: a recorded failure each, or a finished study; never a dead one."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartwheel import engine
from cartwheel.backend import InlineBackend
from cartwheel.envs import tasks
from cartwheel.envs.lookup import task_for
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, tune
from hostile import HOSTILE, LIMIT, OBS_SIZE, Hostile

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


@pytest.fixture(autouse=True)
def _one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """All these agents are the same but for their environment: they share what is compiled."""
    monkeypatch.setattr(engine, "_compile_programs", _compiled)
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))


_compile_programs = engine._compile_programs


@functools.cache
def _shared(shape: Any, num_lanes: int, device: Any) -> Any:
    return _compile_programs(task_for(Hostile, episode_length=LIMIT), shape, num_lanes, device)


def _compiled(task: Any, shape: Any, num_lanes: int, device: Any) -> Any:
    assert (task.obs_size, task.action_size, task.episode_length, task.learned) == (
        OBS_SIZE,
        1,
        LIMIT,
        "reward and termination",
    )
    return _shared(shape, num_lanes, device)


def spec(env_id: str) -> StudySpec:
    return StudySpec.model_validate(
        {
            "env_id": env_id,
            "num_episodes": 2,
            "tuner": {"name": "random-search", "num_trials": 2},
            "space": {"tune": "model"},
            "agent": SETTINGS,
            "validation": {"num_episodes": 1},
        }
    )


def run(kind: type[Hostile], path: Path) -> Study:
    task = task_for(kind, id=kind.__name__, episode_length=LIMIT)
    tasks.register_task(task)
    return tune(spec(task.id), path, Running(backend=InlineBackend(has_compile_cache=False)))


def test_there_are_fifty() -> None:
    assert len(HOSTILE) == 50


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_outlives_its_environment(name: str, tmp_path: Path) -> None:
    """It ends. What broke is on record with its reason on one line, and with the env steps that it cost."""
    kind, must_fail = HOSTILE[name]
    study = run(kind, tmp_path / "run")
    assert study.is_done
    reports = list(study.tables.reports.values())
    assert len(reports) == 2
    assert (study.num_failed > 0) == must_fail
    for report in reports:
        if report.status == "done":
            assert len(report.episodes) == 3
            assert np.isfinite([episode.return_ for episode in report.episodes]).all()
            continue
        assert report.reason
        assert "\n" not in report.reason
        assert report.broken is not None
        assert report.broken.length == max(0, kind.moment - 1) < LIMIT


def test_siblings_of_a_broken_trial_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that breaks for one reset seed of all takes one trial with it, and its steps are counted."""
    kind, _ = HOSTILE["raises-at-4"]
    seen: list[int] = []
    honest = Hostile.reset

    def reset(self: Any, *, seed: int | None = None, options: Any = None) -> Any:
        seen.append(seed or 0)
        self.moment = 4 if len(seen) == 1 else LIMIT + 1
        return honest(self, seed=seed, options=options)

    monkeypatch.setattr(Hostile, "reset", reset)
    study = run(type("OnceBroken", (kind,), {}), tmp_path / "run")
    statuses = sorted(report.status for report in study.tables.reports.values())
    assert statuses == ["done", "failed"]
    (broken,) = (report.broken for report in study.tables.reports.values() if report.broken is not None)
    assert dataclasses.asdict(broken)["length"] == 3
    from cartwheel.analysis.tables import counts

    assert counts(study.tables).env_steps == 3 + 3 * LIMIT
