"""A population on several devices: virtual ones of a CPU, by the same path as GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]


def study(folder: Path, num_devices: int, num_lanes: int) -> tuple[list[int], Any]:
    """On which of so many devices agents ran, and the digests of their checkpoints."""
    folder.mkdir()
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    environment |= {"PYTHONPATH": path, "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}"}
    command = [sys.executable, str(TESTS / "devices_study.py"), str(folder), str(num_lanes)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, used, digests = json.loads(ended.stdout.splitlines()[-1])
    assert count == num_devices
    return used, digests


@pytest.mark.slow  # compiling for seven devices
@pytest.mark.timeout(1800)
def test_the_number_of_devices_changes_no_bit(tmp_path: Path) -> None:
    """One, two and four, with two agents in a program: all devices have a part in it, and digests are equal."""
    found = {number: study(tmp_path / str(number), number, num_lanes=2) for number in (1, 2, 4)}
    assert found[1][1] == found[2][1] == found[4][1]
    assert len(found[1][1]) >= 16
    assert {number: used for number, (used, _) in found.items()} == {1: [0], 2: [0, 1], 4: [0, 1, 2, 3]}
