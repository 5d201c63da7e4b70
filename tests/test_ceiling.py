"""The planner with the true dynamics in the model's place."""

import dataclasses
from typing import Any

import pytest

from cartwheel import ceiling, comparing
from cartwheel.agents.pets.setup import make_setup
from cartwheel.ceiling import play_true_dynamics
from cartwheel.envs import probes
from cartwheel.envs.pool import EnvironmentFailed
from cartwheel.envs.tasks import get_task
from cartwheel.errors import ConfigError
from cartwheel.playing import play_simulator
from cartwheel.spec import StudySpec


def test_the_line_is_played_nearly_perfectly() -> None:
    """The point is at rest in the middle after three steps (best -0.001), the same in every run of the same names."""
    setup = make_setup(get_task("line"), {"num_samples": 200, "num_iterations": 5}, [], num_episodes=1)
    episodes = play_true_dynamics(setup, {}, ("ceiling", 1), 2)
    assert [episode.length for episode in episodes] == [30, 30]
    assert min(episode.return_ for episode in episodes) > -0.0015
    again = play_true_dynamics(setup, {}, ("ceiling", 1), 2)
    assert [episode.return_ for episode in again] == [episode.return_ for episode in episodes]


def test_unknown_dynamics_have_no_ceiling() -> None:
    """A task without known dynamics is refused by name."""
    unknown = dataclasses.replace(probes.CLIFF.task, equations=None)
    setup = make_setup(unknown, {}, [], num_episodes=1)
    probes.register()
    with pytest.raises(ValueError, match="probe-cliff"):
        play_true_dynamics(setup, {}, ("ceiling", 1), 1)


def test_a_planner_that_breaks_the_simulator_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """And costs a comparison, which is at its end by then, its ceiling only."""

    def broken(*_: Any) -> None:
        raise EnvironmentFailed("Line-v0: step 3 broke the simulator: BADQVEL", "unstable_physics")

    monkeypatch.setattr(ceiling, "play_true_dynamics", broken)
    spec = StudySpec.model_validate({"env_id": "line", "num_episodes": 1})
    with pytest.raises(ConfigError, match=r"step 3 broke the simulator: BADQVEL .*try another --seed"):
        play_simulator(spec, 1)
    assert comparing._ceiling(spec, 1) is None
