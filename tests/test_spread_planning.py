"""One agent that plans on several devices."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

import fragile
import spread_life
from cartwheel.agents.pets.setup import make_setup
from cartwheel.backend import AgentBackend
from cartwheel.engines.engine import Engine
from cartwheel.envs.tasks import get_task
from cartwheel.records import Config
from cartwheel.results import Study
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, rerun, train, tune
from synthetic_executor import SyntheticBackend, small_spec

TESTS = Path(__file__).parent


def elsewhere(num_devices: int) -> str:
    """What a life came to in a process with so many devices."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(num_devices), "PYTHONPATH": path}
    command = [sys.executable, str(TESTS / "spread_life.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, _, life = ended.stdout.strip().partition(" ")
    assert int(count) == num_devices
    return life


def test_the_number_of_devices_changes_no_bit() -> None:
    """Two, three, and eight for six chunks: weights, optimiser, normaliser and returns."""
    assert elsewhere(2) == elsewhere(3) == elsewhere(8)


def test_several_devices_plan_like_one() -> None:
    """But for rounding: the plans of a first episode, whose model has seen the same."""
    found = []
    for shape in (spread_life.SHAPE, dataclasses.replace(spread_life.SHAPE, spreads_plans=False)):
        with contextlib.closing(Engine(fragile.TASK, shape, 1)) as engine:
            found.append(spread_life.life(engine)[1])
    np.testing.assert_allclose(*found, rtol=1e-4)
    assert np.ptp(found[0]) > 0.0


def test_spreading_holds_for_a_whole_study() -> None:
    """Agents that each want all devices would wait for each other, so no tuner may choose."""
    setup = make_setup(get_task("line"), {"spreads_plans": True}, [], num_episodes=1)
    assert setup.under({"learning_rate": 1e-3}).shape.spreads_plans
    with pytest.raises(ValueError, match=r"agent\.spreads_plans: cannot be tuned"):
        setup.under({"spreads_plans": False})


LARGE = {"num_layers": 3, "width": 128, "num_particles": 10, "num_samples": 100, "plan_horizon": 20}


def spreads(backend: AgentBackend, *configs: Config, **changes: Any) -> bool:
    spec = StudySpec.model_validate({"env_id": "line", "num_episodes": 1, "seed": 0, **changes})
    found: bool = backend.agent_defaults(spec, configs, configs)["spreads_plans"]
    return found


def test_a_large_agent_that_trains_alone_plans_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what its schedule asks for; not on a GPU, not in workers, and not where nothing is learned."""
    backend = AgentBackend(has_compile_cache=False)
    assert not spreads(backend, {})
    assert spreads(backend, {}, agent=LARGE)
    assert not spreads(backend, {"plan_horizon": 5}, agent=LARGE)
    assert spreads(backend, {"plan_horizon": 5}, {}, agent=LARGE)
    assert not spreads(backend, {}, agent=LARGE, model="simulator")
    assert not spreads(AgentBackend(has_compile_cache=False, executor="processes"), {}, agent=LARGE)
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(platform="gpu")])
    assert not spreads(backend, {}, agent=LARGE)


class Alone(SyntheticBackend):
    """Spreads the plans of agents that train alone."""

    def agent_defaults(self, _: StudySpec, __: Sequence[Config], alone: Sequence[Config]) -> Config:
        return {"spreads_plans": bool(alone)}


def is_spread(study: Study) -> bool | None:
    """What the study file says about it."""
    table = tomllib.loads((study.run_dir / "study.toml").read_text())
    found: bool | None = (table.get("agent_defaults", {}) | table.get("agent", {})).get("spreads_plans")
    return found


def test_a_training_goes_on_as_it_began(tmp_path: Path) -> None:
    """The choice is written down and holds elsewhere; what the user says goes before; no rerun is spread by itself."""
    spec, backend = small_spec(), Alone()
    schedule = Schedule((Piece(0, spec.num_episodes, spec.make_space().default),))
    begun = train(spec, schedule, tmp_path / "a", Running(backend=backend))
    assert is_spread(begun) is True
    assert is_spread(train(spec, schedule, tmp_path / "a", Running(backend=SyntheticBackend()))) is True
    told = small_spec(agent={"spreads_plans": False})
    assert is_spread(train(told, schedule, tmp_path / "b", Running(backend=backend))) is False
    before = train(spec, schedule, tmp_path / "c", Running(backend=SyntheticBackend()))
    assert is_spread(before) is is_spread(train(spec, schedule, tmp_path / "c", Running(backend=backend))) is None
    tune(spec, tmp_path / "d", Running(backend=backend))
    assert is_spread(rerun(tmp_path / "d", num_seeds=1, running=Running(backend=backend))) is False
