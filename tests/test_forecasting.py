"""``tune --dry-run``: what a study would take, and nothing of it is started."""

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import one_program
from cartwheel import forecasting
from cartwheel.agents.pets.setup import make_setup
from cartwheel.backend import AgentBackend
from cartwheel.envs import tasks
from cartwheel.envs.tasks import get_task
from cartwheel.executors import simulator_calibration
from cartwheel.executors.calibration import Calibration, peak_bytes, settled_bytes, without_cache, work_of
from cartwheel.executors.simulator_calibration import SimulatorCalibration, simulator_work_of
from cartwheel.forecasting import forecast
from cartwheel.rates import Rates, Work
from command_line import Cli
from fragile import setup
from hand_made import TINY

RATES = Rates(compile_s=20.0, load_s=9.0, step_s=0.5, plan_s=0.0, fit_s=3.0, update_s=0.0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in an empty folder, on a machine of known rates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Calibration, "measure", lambda *_: RATES)
    monkeypatch.setattr(forecasting, "_num_devices", lambda spec, *_: 1 if spec.model == "simulator" else 2)
    return Cli(capsys)


TINY_STUDY = (
    "--env-id", "line", "--episodes", "2", "--episode-length", "6", "--tuner", "random-search",
    "--tuner.num-trials", "2", "--validation.num-episodes", "1", "--no-compile-cache",
)  # fmt: skip


def test_the_forecast_is_said_and_nothing_is_written(run: Cli) -> None:
    """Two trials on two devices: 3 episodes each and a validation episode, of 6 env steps."""
    assert run("tune", *TINY_STUDY, "--dry-run") == 0
    assert 'env_id = "line"' in run.out
    assert "will run: 2 segments, 6 episodes and 2 of validation, 48 env steps" in run.out
    assert "time: 30 s, of which 9.0 s until its program is there" in run.out
    assert "of this process; up to " in run.out
    assert re.search("disk: about .*, at most .*; .* are free", run.out)
    assert os.listdir() == []
    facts = run.facts("tune", *TINY_STUDY, "--dry-run")
    assert facts["wall_s"] == pytest.approx(9.0 + 3 * (6 * 0.5 + 3.0) + 6 * 0.5)
    assert facts["settings"]["num_episodes"] == 2
    assert os.listdir() == []


def test_programs_of_several_shapes_are_counted(run: Cli, tmp_path: Path) -> None:
    """Each of two trials has networks of its own width: two programs, each on a device of its own.

    The study begins with the default width, which was measured; the other one is compiled when it is met.
    """
    space = """
[space.parameters.width]
kind = "choice"
values = [8, 16]
default = 8
group = "model"
is_static = true
[space.parameters.learning_rate]
kind = "float"
low = 1e-4
high = 1e-2
default = 1e-3
group = "model"
"""
    (tmp_path / "study.toml").write_text(space)
    options = ("study.toml", *TINY_STUDY, "--seed", "1", "--dry-run")
    assert run("tune", *options) == 0
    assert "of which 20 s until 2 different programs are there" in run.out
    facts = run.facts("tune", *options)
    assert facts["course"]["num_programs"] == 2
    assert facts["wall_s"] == pytest.approx(20.0 + 3 * (6 * 0.5 + 3.0) + 6 * 0.5)


def test_a_planner_with_the_true_dynamics_is_foreseen(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One device, one lane, nothing is fitted: two trials one after the other, and their validation.

    Random episodes plan nothing; those that plan simulate samples x iterations x horizon in every step.
    """
    rates = Rates(compile_s=9.0, load_s=9.0, step_s=0.5, plan_s=0.01, fit_s=0.0, update_s=0.0)
    monkeypatch.setattr(SimulatorCalibration, "measure", lambda _: rates)
    study = ("--model", "simulator", "--engine.lanes", "2", *TINY_STUDY[:6], "--tuner", "fixed", *TINY_STUDY[8:])
    assert run("tune", *study, "--dry-run") == 0
    assert "planning 0.1 k of simulated env steps a second" in run.out
    assert "on 1 devices x 1 lanes" in run.out
    assert re.search("memory: .* of this process\n", run.out)
    assert re.search("disk: about .*, at most", run.out)
    facts = run.facts("tune", *study, "--dry-run")
    num_simulated = (48 + 48 + 32) * 10  # iCEM's 48, 38 and 30 samples in whole chunks of 16, 10 steps on the line
    assert facts["wall_s"] == pytest.approx(9.0 + 8 * 6 * 0.5 + 6 * 6 * 0.01 * num_simulated)
    assert os.listdir() == []


def test_simulated_plans_take_one_device_and_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the study says of engines: all cores simulate for one agent at a time."""
    monkeypatch.setattr(SimulatorCalibration, "measure", lambda _: RATES)
    engine = {"lanes": 4, "executor": "processes", "workers": 3}
    spec = one_program.spec(
        "line", num_episodes=1, episode_length=6, model="simulator", agent={}, space={}, engine=engine
    )
    found = forecast(spec, AgentBackend(has_compile_cache=False))
    assert (found.num_devices, found.num_lanes) == (1, 1)


def test_dynamics_that_nobody_knows_are_refused(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``tune`` refuses them."""
    unknown = dataclasses.replace(get_task("line"), id="unknown", equations=None)
    monkeypatch.setitem(tasks._TASKS, unknown.id, unknown)
    assert run("tune", "--env-id", "unknown", *TINY_STUDY[2:], "--model", "simulator", "--dry-run") == 3
    assert "its true dynamics are not known" in run.err


def test_rates_of_a_simulator_are_measured_on_its_planner(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that costs time is positive, nothing is fitted, and no cache holds its program."""
    monkeypatch.setattr(simulator_calibration, "PLAN_S", 0.1)
    task = get_task("line")
    setup = make_setup(task, {"num_samples": 16, "num_iterations": 1, "plan_horizon": 4}, [], num_episodes=1)
    assert simulator_work_of(setup, {}) == Work(plan=16 * 4, fit=0.0)
    calibration = SimulatorCalibration(setup, {})
    rates = calibration.measure()
    assert min(rates.compile_s, rates.step_s, rates.plan_s) > 0
    assert rates.compile_s == rates.load_s
    assert rates.fit_s == rates.update_s == 0
    assert calibration.memory_bytes > 2**26


def test_work_is_that_of_the_networks() -> None:
    """Samples in whole chunks x particles x horizon x weights; epochs x networks x weights for every row."""
    small, dear = ({"plan_horizon": 3, "num_iterations": 2, "num_samples": n, "num_epochs": 4} for n in (8, 16))
    config: dict[str, Any] = {"sample_decay": 1.0}
    few, many = (work_of(setup(), {**config, **own}) for own in (small, dear))
    assert many.plan == 2 * few.plan
    assert many.fit == few.fit == 4 * TINY.num_networks * (few.plan / (2 * 8 * TINY.num_particles * 3))
    longer = work_of(setup(), {**config, **small, "num_epochs": 8})
    assert (longer.plan, longer.fit) == (few.plan, 2 * few.fit)


def test_rates_are_measured_on_the_programs_themselves() -> None:
    """All are positive but for noise, and the programs are the study's own."""
    spec = one_program.spec("line", num_episodes=1, episode_length=6)
    found = forecast(spec, AgentBackend(has_compile_cache=False))
    assert min(found.rates.compile_s, found.rates.step_s, found.rates.fit_s, found.wall_s) > 0
    assert min(found.rates.plan_s, found.rates.update_s) >= 0
    assert found.wall_s < 600
    assert found.memory_bytes > 2**27 > found.course.device_bytes > 0
    assert found.rates.compile_s == found.rates.load_s


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """JAX's cache of programs, for this test alone."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: jax.config.values[name] for name in names}
    for name, value in zip(names, (str(tmp_path), 0.0), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_compiling_is_timed_without_the_cache(cache: Path) -> None:
    """Which is as it was afterwards, and then takes what is compiled."""

    def compiled() -> int:
        jax.jit(lambda x: 3.0 * x + 1.0).lower(1.0).compile()
        jax.clear_caches()
        return len(list(cache.glob("*-cache")))

    with without_cache():
        assert compiled() == 0
    assert compiled() > 0


def test_memory_settles_below_its_peak() -> None:
    """What compiling took is not counted, where it has been given back."""
    assert 2**26 < settled_bytes() <= peak_bytes()
