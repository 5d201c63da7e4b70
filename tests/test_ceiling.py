"""The planner with the true dynamics in the model's place."""

import pytest

from cartwheel.agents.pets.setup import make_setup
from cartwheel.ceiling import play_true_dynamics
from cartwheel.envs import probes
from cartwheel.envs.tasks import get_task


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
    setup = make_setup(probes.CLIFF.task, {}, [], num_episodes=1)
    probes.register()
    with pytest.raises(ValueError, match="probe-cliff"):
        play_true_dynamics(setup, {}, ("ceiling", 1), 1)
