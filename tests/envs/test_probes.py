"""Agents on environments with known answers."""

import contextlib

import numpy as np
import pytest

from cartwheel.agents.pets.setup import make_setup
from cartwheel.engines.engine import Engine, EpisodeJob
from cartwheel.envs import probes
from cartwheel.envs.pool import make_env
from cartwheel.envs.probes import BANDIT, CLIFF, DELAY, INTEGRATOR, Probe

SETTINGS = {
    "num_networks": 2,
    "num_particles": 2,
    "num_layers": 1,
    "width": 16,
    "learning_rate": 1e-2,
    "num_epochs": 100,
    "plan_horizon": 5,
    "num_samples": 48,
    "noise_exponent": 0.0,
    "executes": "best",
}


@pytest.fixture(autouse=True)
def _registered() -> None:
    probes.register()


def learned(probe: Probe, num_episodes: int, **more: float) -> float:
    """What planning with a model came to: of three agents the median, of each the mean of its last two episodes."""
    setup = make_setup(probe.task, {**SETTINGS, **more}, [], num_episodes)
    found = []
    with contextlib.closing(Engine(setup.task, setup.shape, 1)) as engine:
        for agent in range(3):
            engine.load(0, engine.fresh(("probe", agent)))
            jobs = [EpisodeJob(setup.base, ("probe", agent), k, is_random=k == 0) for k in range(num_episodes + 1)]
            returns = [engine.run_episode({0: job})[0].episode.return_ for job in jobs]
            found.append(np.mean(returns[1:][-2:]))
    return float(np.median(found))


def test_bandit_the_scored_action_is_executed() -> None:
    """The best action, 0.7 between -1 and 3, is found without any data: its reward is known."""
    assert learned(BANDIT, 1) >= -0.01


def test_delay_plans_through_the_model() -> None:
    """A reward two steps after the action is earned: random actions get about -4, doing nothing -2, the best -0.5."""
    assert learned(DELAY, 4) >= -1.0


def test_integrator_learns_the_dynamics() -> None:
    """The point goes straight to the origin and stays there. Full speed is best, so plans are drawn as wide as that."""
    assert learned(INTEGRATOR, 4, initial_std=1.0) >= INTEGRATOR.best_return - 0.1


def test_cliff_stops_where_the_episode_would_end() -> None:
    """Running over the cliff pays 3 at once; the planner that imagines the end waits before it."""
    assert learned(CLIFF, 5) >= 5.5


@pytest.mark.parametrize("probe", probes.PROBES, ids=lambda probe: probe.task.id)
def test_best_returns_are_possible_and_best(probe: Probe) -> None:
    """The stated answer is what the best actions earn, and no random episode earns more."""
    known = {
        "probe-bandit": [0.7],
        "probe-delay": [0.5] * 8,
        "probe-integrator": [-1, -1, -1, -1, 0, 0, 0, 0],
        "probe-cliff": [1, 1, 0, 0, 0, 0, 0, 0],
    }
    task, env = probe.task, make_env(probe.task)
    rng = np.random.default_rng(0)

    def play(actions: list[float]) -> float:
        env.reset(0)
        total = 0.0
        for action in actions:
            _, reward, ended = env.step(np.asarray([action], np.float32))
            total += reward
            if ended:
                break
        return total

    assert play([float(a) for a in known[task.id]]) == pytest.approx(probe.best_return, abs=1e-6)
    draws = rng.uniform(task.action_low[0], task.action_high[0], (200, task.episode_length))
    assert max(play(list(actions)) for actions in draws) <= probe.best_return
