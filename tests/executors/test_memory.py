"""Too large an agent is refused before its arrays are made."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

import fragile
import one_program
from cartwheel.backend import AgentBackend
from cartwheel.engines.engine import Engine
from cartwheel.errors import ConfigError
from cartwheel.executors import lanes, memory
from cartwheel.executors.memory import MemoryPlan, available_bytes, needed_bytes
from cartwheel.tuning import Running, tune
from hand_made import TINY

GB = 10**9


def device(platform: str, number: int = 0, stats: dict[str, int] | None = None) -> Any:
    return SimpleNamespace(platform=platform, id=number, memory_stats=lambda: stats)


def test_devices_of_the_machine_share_its_memory_and_others_do_not() -> None:
    """Two programs of 3 GB fit neither into 5 GB of the machine nor on one GPU, but on two."""
    plan = MemoryPlan(lambda _: 5 * GB)
    plan.promise(device("cpu", 0), 3 * GB)
    with pytest.raises(ConfigError, match=r"3 GB of memory on cpu device 1, and 2 GB of 5 GB .*fewer lanes"):
        plan.promise(device("cpu", 1), 3 * GB)
    plan.release(device("cpu", 0), 3 * GB)
    plan.promise(device("cpu", 1), 3 * GB)
    first, second = device("gpu", 0), device("gpu", 1)
    plan.promise(first, 3 * GB)
    plan.promise(second, 3 * GB)
    with pytest.raises(ConfigError, match="gpu device 1"):
        plan.promise(second, 3 * GB)


def test_what_a_gpu_cannot_hold_is_refused() -> None:
    """By what JAX says of it: its limit less what is in use."""
    full = device("gpu", stats={"bytes_limit": 10 * GB, "bytes_in_use": 2 * GB})
    MemoryPlan().promise(full, 8 * GB)
    with pytest.raises(ConfigError, match=r"need 9 GB of memory on gpu device 0, and 8 GB of 8 GB are left"):
        MemoryPlan().promise(full, 9 * GB)


def test_where_nobody_knows_nothing_is_refused() -> None:
    MemoryPlan(lambda _: None).promise(device("cpu"), 10**18)


def test_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a GPU what it says; of the machine what it has, unless the container may have less."""
    assert available_bytes(device("gpu", stats={"bytes_limit": 10, "bytes_in_use": 3})) == 7
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert available_bytes(device("cpu")) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    2000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(device("cpu")) == 2000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert available_bytes(device("cpu")) == 600_000
    (tmp_path / "memory.stat").write_text("file 310000\nshmem 10000\nactive_file 100000\ninactive_file 200000\n")
    assert available_bytes(device("cpu")) == 900_000  # pages of files are given up on demand


def test_the_arrays_of_an_engine_are_within_the_plan() -> None:
    """All that lives on the device is counted, and it grows with lanes and with the buffer as they do."""
    engine = Engine(fragile.TASK, TINY, 2)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(engine._states))
    engine.close()
    assert 3 * held <= needed_bytes(fragile.TASK, TINY, 2) == 2 * needed_bytes(fragile.TASK, TINY, 1)
    large = dataclasses.replace(TINY, capacity=100 * TINY.capacity)
    assert needed_bytes(fragile.TASK, large, 1) > 20 * needed_bytes(fragile.TASK, TINY, 1)


def test_a_study_that_does_not_fit_ends_with_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is compiled."""
    monkeypatch.setattr(lanes, "PLAN", MemoryPlan(lambda _: 1000))
    spec = one_program.spec("line", num_episodes=1, episode_length=6)
    with pytest.raises(ConfigError, match=r"agents need .* of memory .*engine\.lanes.*use fewer lanes"):
        tune(spec, tmp_path, Running(backend=AgentBackend(has_compile_cache=False)))
