"""What XLA is told before JAX starts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from cartwheel.errors import ConfigError
from cartwheel.executors import xla

TESTS = Path(__file__).parents[1]


def in_a_process(folder: Path, executor: str, platform: str) -> Any:
    """Platform, recorded flags and digests of a deterministic study."""
    folder.mkdir()
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": platform}
    environment.pop(xla.FLAGS, None)
    command = [sys.executable, str(TESTS / "deterministic_life.py"), str(folder), executor]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def flags_of_workers(folder: Path) -> list[list[str]]:
    """What the processes that ran agents were told; the first process had loaded its task before."""
    return [path.read_text().split() for path in folder.glob("flags-*") if path.read_text()]


@pytest.mark.parametrize("platform", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_two_processes_compute_equal_bits(tmp_path: Path, platform: str) -> None:
    """In this process and in a worker's, which is told what its parent was; and the run folder says so."""
    here = in_a_process(tmp_path / "here", "inline", platform)
    there = in_a_process(tmp_path / "there", "processes", platform)
    assert here == there
    assert here[0] == {"cpu": "cpu", "cuda": "gpu"}[platform]
    assert here[1].split() == list(xla.DETERMINISTIC)
    assert len(here[2]) >= 4
    assert flags_of_workers(tmp_path / "here") == []
    assert flags_of_workers(tmp_path / "there") == [list(xla.DETERMINISTIC)]


def test_what_the_user_told_xla_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours are put behind it, once; of two that contradict each other, XLA takes the last."""
    monkeypatch.setattr(xla, "has_started", lambda: False)
    monkeypatch.setenv(xla.FLAGS, "--xla_gpu_autotune_level=4")
    xla.make_deterministic()
    xla.make_deterministic()
    assert os.environ[xla.FLAGS].split() == ["--xla_gpu_autotune_level=4", *xla.DETERMINISTIC]


def test_too_late_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are chosen from the start on; where the flags were there already, it is not too late."""
    num_devices = jax.config.jax_num_cpu_devices
    jax.block_until_ready(jnp.ones(1))
    assert xla.has_started()
    assert jax.config.jax_num_cpu_devices == num_devices
    monkeypatch.setenv(xla.FLAGS, "")
    with pytest.raises(ConfigError, match=r"JAX has already started.*XLA_FLAGS='--xla_gpu_deterministic_ops=true"):
        xla.make_deterministic()
    assert os.environ[xla.FLAGS] == ""
    monkeypatch.setenv(xla.FLAGS, " ".join(xla.DETERMINISTIC))
    xla.make_deterministic()
