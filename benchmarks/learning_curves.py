"""Do default agents learn? Five tasks, three seeds, small planning budgets, beside the ceiling and published curves.

    python -m benchmarks.learning_curves --out docs/results/learning-curves.csv [--figure FILE.svg]

Every agent has the default settings of its task. It plays 5 evaluation episodes at its end. The ceiling is the same
planner with the true dynamics as its model. CPU seconds are those of the process, the first of an agent with its
compilation; tasks and seeds that are in the file are skipped, and only drawn.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.rows import append, read
from benchmarks.training import train_agent
from cartwheel.playing import play_simulator
from cartwheel.spec import parse_spec

SEEDS = (1, 2, 3)
NUM_EVALUATIONS = 5
NUM_CEILING_EPISODES = 3
TASKS: Mapping[str, int] = {
    "cartpole-swingup": 15,
    "Pendulum-v1": 10,
    "InvertedPendulum-v5": 20,
    "pets-reacher3d": 40,
    "pets-pusher": 40,
}
"""Model-driven episodes of each."""


def rows_of(task: str, seed: int) -> Iterator[dict[str, Any]]:
    """One row per episode of an agent."""
    settings = {
        "env_id": task,
        "num_episodes": TASKS[task],
        "seed": seed,
        "validation": {"num_episodes": NUM_EVALUATIONS},
    }
    with tempfile.TemporaryDirectory() as folder:
        for row in train_agent(Path(folder) / "run", settings, {}):
            yield {"task": task, "seed": seed, **row}


def ceiling_of(task: str) -> Iterator[dict[str, Any]]:
    """One row per episode of the planner with the true dynamics."""
    spec = parse_spec({"env_id": task, "num_episodes": 1}, {}, "the benchmark")
    before = time.process_time()
    episodes = play_simulator(spec, NUM_CEILING_EPISODES)
    cpu_s = round((time.process_time() - before) / len(episodes), 2)
    for episode in episodes:
        shared = {"task": task, "seed": spec.seed, "kind": "ceiling", "episode": episode.index}
        yield {
            **shared,
            "return": round(episode.return_, 4),
            "cpu_s": cpu_s,
            "warnings": sum(episode.warnings.values()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="CSV file")
    parser.add_argument("--figure", type=Path, help="SVG file")
    given = parser.parse_args()
    done = {(row["task"], row["seed"], row["kind"] == "ceiling") for row in read(given.out)}
    for task in TASKS:
        for seed in SEEDS:
            if (task, str(seed), False) not in done:
                append(given.out, rows := list(rows_of(task, seed)))
                print(task, seed, [row["return"] for row in rows], flush=True)
        if (task, "0", True) not in done:
            append(given.out, list(ceiling_of(task)))
    if given.figure is not None:
        from benchmarks.learning_figure import draw

        draw(read(given.out), given.figure)


if __name__ == "__main__":
    main()
