"""How fast, how energetic and how deep in each other are bodies in a MuJoCo task while its physics works?

    python -m benchmarks.plausible_ranges --out docs/results/plausible-ranges.csv

Commands at random and extreme ones, which go on where a robot has fallen, and a planner with the true dynamics under
the task's default settings. From these come the ranges that tasks declare (``Task.plausible``). Tasks that are in the
file are skipped.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from numpy.typing import NDArray

from benchmarks.rows import append, read
from cartwheel.ceiling import TruePlanner
from cartwheel.envs.pool import make_env
from cartwheel.envs.task import Plausible, Task
from cartwheel.envs.tasks import get_task, task_ids
from cartwheel.spec import StudySpec
from cartwheel.study_agents import agent_setup

QUANTITIES = ("top_speed_m_s", "top_energy_j", "top_penetration_m")
HOLD_STEPS = (2, 4, 8, 16, 32)
"""For how long extreme commands are held before they switch to the other end: what resonates differs by task."""
MAY_FALL = ("Ant-v5", "Hopper-v5", "Walker2d-v5")
"""Gymnasium ends their episodes when they fall, unless told not to."""
SEEDS = (0, 1)
PLANNED_STEPS = 200
Command = Callable[[int], NDArray[np.float32]]
"""From the step, from 0, to an action [A]."""


def mujoco_tasks() -> list[str]:
    """Those that ship and whose physics is MuJoCo's."""
    known = [name for name in task_ids() if not name.startswith("probe-")]
    return [name for name in known if isinstance(make_env(get_task(name)).env.unwrapped, MujocoEnv)]


def commands(task: Task, rng: np.random.Generator) -> dict[str, Command]:
    """Plays without a plan, by name."""
    low, high = np.asarray(task.action_low, np.float32), np.asarray(task.action_high, np.float32)

    def switching(hold: int) -> Command:
        return lambda t: (low, high)[t // hold % 2]

    return {
        "random": lambda t: rng.uniform(low, high).astype(np.float32),
        "random extremes": lambda t: np.where(rng.random(task.action_size) < 0.5, low, high),
        "highest": lambda t: high,
        "lowest": lambda t: low,
        **{f"switching every {hold}": switching(hold) for hold in HOLD_STEPS},
    }


def rows_of(env_id: str) -> Iterator[dict[str, object]]:
    """One row per play and seed; nothing is judged, but what MuJoCo itself or the task's bounds note is told."""
    task = _unjudged(get_task(env_id))
    if env_id in MAY_FALL:
        task = dataclasses.replace(task, env_kwargs={**task.env_kwargs, "terminate_when_unhealthy": False})
    env = make_env(task)
    for name, command in commands(task, np.random.default_rng(0)).items():
        for seed in SEEDS:
            started, total = time.process_time(), 0.0
            env.reset(seed)
            while env.step_index < task.episode_length and not env.is_over:
                total += env.step(command(env.step_index))[1]
            yield _row(env_id, name, seed, env.step_index, total, env.metrics, env.warnings, started)
    env.close()
    yield _planned(env_id)


def _planned(env_id: str) -> dict[str, object]:
    length = min(PLANNED_STEPS, get_task(env_id).episode_length)
    spec = StudySpec.model_validate({"env_id": env_id, "num_episodes": 1, "episode_length": length})
    setup, started = agent_setup(spec, []), time.process_time()
    planner = TruePlanner(dataclasses.replace(setup, task=_unjudged(setup.task)))
    episode, _ = planner.play({}, ("plausible",), 0)
    planner.close()
    return _row(env_id, "planned", 0, episode.length, episode.return_, episode.metrics, episode.warnings, started)


def _unjudged(task: Task) -> Task:
    return dataclasses.replace(task, plausible=Plausible())


def _row(env_id, play, seed, steps, total, metrics, warnings, started) -> dict[str, object]:  # type: ignore[no-untyped-def]
    tops = {name: f"{metrics[name]:.4g}" for name in QUANTITIES}
    noted = " ".join(f"{kind}:{count}" for kind, count in sorted(warnings.items()))
    told = {"env_id": env_id, "play": play, "seed": seed, "steps": steps, "return": f"{total:.5g}"}
    return {**told, **tops, "warnings": noted, "cpu_s": f"{time.process_time() - started:.0f}"}


def main() -> None:
    """Append what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="*", default=mujoco_tasks())
    options = parser.parse_args()
    there = {row["env_id"] for row in read(options.out)}
    for env_id in options.tasks:
        if env_id not in there:
            append(options.out, list(rows_of(env_id)))


if __name__ == "__main__":
    main()
