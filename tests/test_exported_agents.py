"""An agent in a folder of its own: loaded, asked for actions, and played in environments that end their process."""

from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest

import deadly
from cartwheel.agent import Agent, export_agent
from cartwheel.agents.pets.agent import init
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.agents.pets.setup import make_setup
from cartwheel.envs.lookup import find_task
from cartwheel.errors import ExitCode
from cartwheel.seeds import seed_integer
from command_line import Cli
from one_program import SETTINGS

BROKEN = "tests/DeadInPlay-v0"
"""Ends its process in the first episode that ``cartwheel evaluate`` plays."""
_DEATH = {str(seed_integer("evaluation", 0, 0, "reset")): "exit"}

if BROKEN not in gymnasium.registry:
    gymnasium.register(BROKEN, entry_point=deadly.Deadly, max_episode_steps=6, kwargs={"deeds": _DEATH})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained agent."""
    setup = make_setup(find_task(BROKEN), SETTINGS, [], num_episodes=1)
    state = init(setup.task, setup.shape, jax.random.key(0))
    return export_agent(setup, {}, to_arrays(state), tmp_path_factory.mktemp("exported") / "agent")


def test_it_acts_and_plays(folder: Path) -> None:
    """The same actions after the same seed; episodes in an environment that runs in a process of its own."""
    agent, obs = Agent.load(folder), np.zeros(2, np.float32)
    actions = []
    for _ in range(2):
        agent.reset(seed=1)
        actions.append([agent.act(obs) for _ in range(3)])
    assert np.array_equal(*actions)
    (episode,) = agent.play(1, ("nobody", 1))
    assert episode.length == 6


def test_an_environment_that_dies_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In an episode, or as soon as it is looked at; the command lives to say so."""
    run = Cli(capsys)
    assert run("evaluate", str(folder), "--episodes", "1") == ExitCode.STORAGE
    assert "step 3 ended its process, code 3; it said: the cable has snapped" in run.err
    assert run.err.count("\n") == 1
    description = folder / "agent.json"
    description.write_text(description.read_text().replace(BROKEN, deadly.DEAD_AT_ONCE))
    assert run("evaluate", str(folder), "--episodes", "1") == ExitCode.STORAGE
    assert "making it ended its process, code 3; it said: the cable has snapped" in run.err
    assert run.err.count("\n") == 1
