"""Do agents learn, with default settings? Every table prints beside it what the planner gets with the true dynamics."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from cartwheel.agents.pets.setup import AgentSetup, make_setup
from cartwheel.ceiling import play_true_dynamics
from cartwheel.engines.engine import Engine, EpisodeJob
from cartwheel.envs.lookup import task_for
from cartwheel.envs.tasks import get_task


@dataclasses.dataclass(frozen=True)
class Run:
    """Returns of one agent: the random episode, the training episodes, and evaluations of the agent by its age."""

    training: list[float]
    evaluations: dict[int, list[float]]


def train(setup: AgentSetup, seeds: Sequence[int], num_episodes: int, evaluate: Mapping[int, int]) -> dict[int, Run]:
    """Train one agent per seed, side by side; ``evaluate`` says how many evaluations come after which episode."""
    engine = Engine(setup.task, setup.shape, len(seeds))
    runs = {seed: Run([], {}) for seed in seeds}
    for lane, seed in enumerate(seeds):
        engine.load(lane, engine.fresh(("learning", seed)))

    def play(name: str, index: int, **options: Any) -> list[float]:
        jobs = {
            lane: EpisodeJob(setup.base, ("learning", seed, name), index, **options) for lane, seed in enumerate(seeds)
        }
        results = engine.run_episode(jobs)
        assert not any(result.failure for result in results.values())
        return [results[lane].episode.return_ for lane in range(len(seeds))]

    for index in range(num_episodes + 1):
        for seed, value in zip(seeds, play("train", index, is_random=index == 0), strict=True):
            runs[seed].training.append(value)
        for i in range(evaluate.get(index, 0)):
            for seed, value in zip(seeds, play(f"evaluate-{index}", i, learns=False), strict=True):
                runs[seed].evaluations.setdefault(index, []).append(value)
    engine.close()
    return runs


def show(setup: AgentSetup, runs: Mapping[int, Run], num_ceiling: int) -> float:
    """Print the table by seed, and the ceiling that it has to be read against."""
    print(f"\n{setup.task.id}, default settings")
    for seed, run in runs.items():
        print(f"  seed {seed}: training {' '.join(f'{value:.4g}' for value in run.training)}")
        for index, values in run.evaluations.items():
            print(f"    after {index:2d} episodes: {np.mean(values):.4g} over {len(values)} evaluations")
    ceiling = float(np.mean([e.return_ for e in play_true_dynamics(setup, {}, ("ceiling",), num_ceiling)]))
    print(f"  the same planner with the true dynamics: {ceiling:.4g} over {num_ceiling} episodes")
    return ceiling


def test_line() -> None:
    """The line probe is learned: at least -0.005 as the mean of the last 3 of 8 episodes (doing nothing: -0.030)."""
    setup = make_setup(get_task("line"), {}, [], num_episodes=7)
    run = train(setup, [0], 7, {})[0]
    print(run.training)
    assert np.mean(run.training[-3:]) >= -0.005


@pytest.mark.slow
def test_pendulum() -> None:
    """Pendulum-v1: at least -220 over 10 fresh evaluation episodes after 10 training episodes, on 4 of 5 seeds."""
    setup = make_setup(get_task("Pendulum-v1"), {}, [], num_episodes=10)
    runs = train(setup, range(5), 10, {10: 10})
    show(setup, runs, 10)
    assert sum(float(np.mean(run.evaluations[10])) >= -220 for run in runs.values()) >= 4


@pytest.mark.slow
def test_swing_up() -> None:
    """CartPole swing-up: the default config reaches an evaluation mean of 150 of 200 within 15 episodes."""
    setup = make_setup(get_task("cartpole-swingup"), {}, [], num_episodes=15)
    runs = train(setup, range(2), 15, dict.fromkeys((9, 12, 15), 3))
    ceiling = show(setup, runs, 3)
    best = max(float(np.mean(values)) for run in runs.values() for values in run.evaluations.values())
    assert best >= 150
    assert ceiling >= 150


@pytest.mark.slow
def test_inverted_pendulum() -> None:
    """InvertedPendulum-v5 is solved within 10 episodes: no fall in 300 steps in most evaluations, on 4 of 5 seeds."""
    setup = make_setup(dataclasses.replace(get_task("InvertedPendulum-v5"), episode_length=300), {}, [], 10)
    runs = train(setup, range(5), 10, {10: 3})
    ceiling = show(setup, runs, 3)
    assert sum(float(np.median(run.evaluations[10])) >= 300 for run in runs.values()) >= 4
    assert ceiling >= 300


@pytest.mark.slow
def test_pendulum_without_formulas() -> None:
    """Reward and termination learned: at least -350 over 5 evaluations after 10 training episodes, on 4 of 5 seeds."""
    setup = make_setup(task_for("Pendulum-v1", id="pendulum-learned"), {}, [], num_episodes=10)
    assert setup.task.learned == "reward and termination"
    runs = train(setup, range(5), 10, {10: 5})
    print(f"\nwithout formulas: {[round(float(np.mean(run.evaluations[10])), 1) for run in runs.values()]}")
    assert sum(float(np.mean(run.evaluations[10])) >= -350 for run in runs.values()) >= 4
