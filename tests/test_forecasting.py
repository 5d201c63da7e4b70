"""``tune --dry-run``: what a study would take, and nothing of it is started."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

import one_program
from cartwheel import forecasting
from cartwheel.backend import AgentBackend
from cartwheel.errors import ConfigError
from cartwheel.executors.calibration import Calibration, peak_bytes, settled_bytes, work_of
from cartwheel.forecasting import forecast
from cartwheel.rates import Rates
from command_line import Cli
from fragile import setup
from hand_made import TINY

RATES = Rates(compile_s=9.0, step_s=0.5, plan_s=0.0, fit_s=3.0, update_s=0.0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line in an empty folder, on a machine of known rates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Calibration, "measure", lambda *_: RATES)
    monkeypatch.setattr(forecasting, "_num_devices", lambda *_: 2)
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
    assert "time: 30 s, of which 9.0 s until programs are there" in run.out
    assert "of this process; up to " in run.out
    assert re.search("disk: about .*, at most .*; .* are free", run.out)
    assert os.listdir() == []
    facts = run.facts("tune", *TINY_STUDY, "--dry-run")
    assert facts["wall_s"] == pytest.approx(9.0 + 3 * (6 * 0.5 + 3.0) + 6 * 0.5)
    assert facts["settings"]["num_episodes"] == 2
    assert os.listdir() == []


def test_what_cannot_be_foreseen_is_refused(run: Cli) -> None:
    """With the next step."""
    assert run("tune", *TINY_STUDY, "--model", "simulator", "--dry-run") == ConfigError.exit_code
    assert "not foreseen" in run.err


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
    assert found.memory_bytes > 2**27 > found.device_bytes > 0


def test_memory_settles_below_its_peak() -> None:
    """What compiling took is not counted, where it has been given back."""
    assert 2**26 < settled_bytes() <= peak_bytes()
