"""A study of very many segments: memory, open files and the time that a segment takes stay flat."""

import json
import subprocess
import sys
from pathlib import Path

import faults
from faults.nursery import environment

MAX_BYTES_PER_SEGMENT = 3000
"""The tuner remembers every segment: its config, scores and parent. That is its job; nothing else may grow."""
MAX_SLOWDOWN = 2.0


def test_a_soak(quick_folder: Path) -> None:
    """Beyond what the tuner remembers of each segment, nothing grows from the first fifth to the end."""
    num_segments = faults.count(ci=5_000, long=200_000)
    command = [sys.executable, "-m", "faults.soak", str(quick_folder / "soak"), str(num_segments)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    samples = [json.loads(line) for line in ended.stdout.splitlines()]
    assert samples[-1]["segments"] == num_segments
    fifth = len(samples) // 5
    early, late = samples[fifth], samples[-1]
    grown = (late["bytes"] - early["bytes"]) / (late["segments"] - early["segments"])
    print(f"{grown:.0f} bytes per segment, {late['cpu_s']:.0f} s")
    assert grown <= MAX_BYTES_PER_SEGMENT
    assert len({sample["files"] for sample in samples}) == 1
    second, last = samples[2 * fifth]["cpu_s"] - early["cpu_s"], late["cpu_s"] - samples[-1 - fifth]["cpu_s"]
    assert last <= MAX_SLOWDOWN * second
