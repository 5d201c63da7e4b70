"""One agent that plans on several devices."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fragile
import spread_life
from cartwheel.agents.pets.setup import make_setup
from cartwheel.engines.engine import Engine
from cartwheel.envs.tasks import get_task

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
    """Two, three and five: weights, optimiser, normaliser and returns."""
    assert elsewhere(2) == elsewhere(3) == elsewhere(5)


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
