"""How wide the program of a study is that does not say."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

import one_program
from cartwheel.backend import AgentBackend
from cartwheel.errors import ConfigError
from cartwheel.executors.devices import default_lanes
from cartwheel.executors.memory import needed_bytes
from cartwheel.records import MAX_LANES
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, tune
from synthetic_executor import SyntheticBackend, small_spec

GB = 10**9


def gpus(number: int, free_bytes: int) -> Callable[[], list[Any]]:
    """Devices as JAX shows them."""
    stats = {"bytes_limit": free_bytes + 5, "bytes_in_use": 5}
    return lambda: [SimpleNamespace(platform="gpu", id=i, memory_stats=lambda: stats) for i in range(number)]


@pytest.mark.parametrize(
    ("platform", "num_agents", "num_devices", "free_bytes", "expected"),
    [
        ("cpu", 8, 2, None, 1),
        ("gpu", 8, 1, 100 * GB, 8),
        ("gpu", 8, 1, None, 8),
        ("gpu", 9, 2, 100 * GB, 5),
        ("gpu", 1000, 1, 1000 * GB, MAX_LANES),
        ("gpu", 40, 1, 20 * GB + 1, 20),
        ("gpu", 40, 1, GB // 2, 1),  # that it does not fit is then said by the plan of memory
    ],
)
def test_one_program_for_a_population_on_a_gpu(
    platform: str, num_agents: int, num_devices: int, free_bytes: int | None, expected: int
) -> None:
    """Shared out over the devices, as far as memory goes: agents of 1 GB. One lane on CPUs."""
    assert default_lanes(platform, num_agents, num_devices, GB, free_bytes) == expected


def lanes_of(backend: AgentBackend, **changes: Any) -> int:
    return backend.default_lanes(one_program.spec("line", **changes), [], lambda most: min(most, 12))


def test_the_devices_of_this_machine_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they are, how many, and what is free; not for workers, nor where one agent plans on all of them."""
    backend = AgentBackend(has_compile_cache=False)
    assert lanes_of(backend) == 1
    monkeypatch.setattr(jax, "local_devices", gpus(2, 100 * GB))
    assert lanes_of(backend) == 6
    assert lanes_of(AgentBackend(False, executor="processes")) == 1
    assert lanes_of(backend, agent={**one_program.SETTINGS, "spreads_plans": True}) == 1
    from cartwheel.study_agents import agent_setup

    setup = agent_setup(one_program.spec("line"), [])
    monkeypatch.setattr(jax, "local_devices", gpus(1, 5 * needed_bytes(setup.task, setup.shape, 1)))
    assert lanes_of(backend) == 5


class Wide(SyntheticBackend):
    """Wants three lanes, and was asked for a population of three."""

    def default_lanes(self, _: StudySpec, __: object, num_agents: Callable[[int], int]) -> int:
        return num_agents(MAX_LANES)


def test_a_study_keeps_the_lanes_that_it_was_begun_with(tmp_path: Path) -> None:
    """They are written down, hold when it goes on elsewhere, and cannot be changed."""
    path, spec = tmp_path / "run", small_spec(engine={})
    tune(spec, path, Running(backend=Wide()))
    assert tomllib.loads((path / "study.toml").read_text())["engine"]["lanes"] == 3
    elsewhere = SyntheticBackend()
    longer = small_spec(engine={}, num_episodes=6)
    assert tune(longer, path, Running(backend=elsewhere)).is_done
    assert tomllib.loads((path / "study.toml").read_text())["engine"]["lanes"] == 3
    with pytest.raises(ConfigError, match=r"engine\.lanes: 3 -> 2"):
        tune(small_spec(engine={"lanes": 2}, num_episodes=6), path, Running(backend=elsewhere))
