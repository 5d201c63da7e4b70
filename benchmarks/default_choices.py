"""Is Cartwheel's default well chosen? One choice changed at a time, on tasks that no learning curve reports.

    python -m benchmarks.default_choices --seeds 1 2 3 --out docs/results/default-choices.csv

An agent's score is the mean of its last five training episodes and five evaluations. What is in the file is skipped.
The table on standard output compares with published settings under the same seeds. *together, rate 0.0025* is the
default.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import append, read
from benchmarks.training import train_agent

NUM_LAST_EPISODES = 5
BASE = "as published"
PUBLISHED = {"learning_rate": 1e-3, "num_epochs": 5, "initial_std": 0.5, "noise_exponent": 2.0}
"""Chua et al. 2018, Pinneri et al. 2020: the default before these measurements."""


@dataclass(frozen=True)
class Length:
    """Model-driven episodes, and env steps of one where the task's own limit would take minutes."""

    num_episodes: int
    episode_length: int | None = None


TASKS: Mapping[str, Length] = {
    "Reacher-v5": Length(15),
    "InvertedDoublePendulum-v5": Length(15, 200),
    "Hopper-v5": Length(15, 200),
}
CHANGES: Mapping[str, Mapping[str, Any]] = {
    BASE: {},
    "planner cem": {"planner": "cem"},
    "propagation ts1": {"propagation": "ts1"},
    "propagation e": {"propagation": "e"},
    "horizon 15": {"plan_horizon": 15},
    "epochs 20": {"num_epochs": 20},
    "noise exponent 0.5": {"noise_exponent": 0.5},
    "initial std 0.2": {"initial_std": 0.2},
    "together": {"num_epochs": 20, "noise_exponent": 0.5, "initial_std": 0.2},
    "together, horizon 15": {"num_epochs": 20, "noise_exponent": 0.5, "initial_std": 0.2, "plan_horizon": 15},
    "together, epochs 50": {"num_epochs": 50, "noise_exponent": 0.5, "initial_std": 0.2},
    "together, rate 0.0025": {"num_epochs": 20, "noise_exponent": 0.5, "initial_std": 0.2, "learning_rate": 0.0025},
    "together, rate 0.005": {"num_epochs": 20, "noise_exponent": 0.5, "initial_std": 0.2, "learning_rate": 0.005},
}
"""What is changed; *together* are the three cheap ones that helped under the first seed on every task."""


def score_of(task: str, choice: str, seed: int) -> dict[str, Any]:
    """The row of one agent."""
    length, change = TASKS[task], CHANGES[choice]
    is_icem = "planner" not in change  # the others have no such noise
    published = {name: value for name, value in PUBLISHED.items() if is_icem or name != "noise_exponent"}
    settings: dict[str, Any] = {
        "env_id": task,
        "num_episodes": length.num_episodes,
        "seed": seed,
        "agent": {**published, **change},
        "validation": {"num_episodes": NUM_LAST_EPISODES},
    }
    if length.episode_length is not None:
        settings["episode_length"] = length.episode_length
    with tempfile.TemporaryDirectory() as folder:
        rows = train_agent(Path(folder) / "run", settings, {})
    trained = [row["return"] for row in rows if row["kind"] == "training"][-NUM_LAST_EPISODES:]
    played = [row["return"] for row in rows if row["kind"] == "evaluation"]
    return {
        "task": task,
        "choice": choice,
        "seed": seed,
        "random": next(row["return"] for row in rows if row["kind"] == "random"),
        "score": round(statistics.fmean(trained + played), 4),
        "cpu_s": round(sum(row["cpu_s"] for row in rows[1:]), 2),  # the first row holds the compilation
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line of Markdown per choice: what it gained by task, mean (lowest to highest seed), their mean, and its CPU.

    Both beside the published settings under the same seeds; gains are in units of what those gain over random actions.
    """
    yield f"| choice | {' | '.join(TASKS)} | mean | CPU |"
    yield "|---|" + "--:|" * (len(TASKS) + 2)
    by_name = {(row["task"], row["choice"], row["seed"]): row for row in rows}
    for choice in dict.fromkeys(row["choice"] for row in rows if row["choice"] != BASE):
        gains, costs = [], []
        for task in TASKS:
            mine = [row for row in rows if (row["task"], row["choice"]) == (task, choice)]
            base = [by_name[task, BASE, row["seed"]] for row in mine]
            unit = _unit([row for row in rows if (row["task"], row["choice"]) == (task, BASE)])
            pairs = zip(mine, base, strict=True)
            gains.append([(float(own["score"]) - float(other["score"])) / unit for own, other in pairs])
            costs.append(sum(float(row["cpu_s"]) for row in mine) / sum(float(row["cpu_s"]) for row in base))
        shown = [f"{statistics.fmean(one):+.2f} ({min(one):+.2f} to {max(one):+.2f})" for one in gains]
        mean = statistics.fmean(map(statistics.fmean, gains))
        yield f"| {choice} | {' | '.join(shown)} | {mean:+.2f} | {statistics.fmean(costs):.1f} |"


def _unit(base: Sequence[Mapping[str, Any]]) -> float:
    """What the published settings gain over random actions."""
    return statistics.fmean(float(row["score"]) - float(row["random"]) for row in base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--choices", nargs="+", choices=list(CHANGES), default=list(CHANGES), metavar="NAME")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows: list[Mapping[str, Any]] = [{**row, "seed": int(row["seed"])} for row in read(given.out)]
    done = {(row["task"], row["choice"], row["seed"]) for row in rows}
    wanted = [(task, choice, seed) for seed in given.seeds for choice in given.choices for task in TASKS]
    for task, choice, seed in wanted:
        if (task, choice, seed) in done:
            continue
        rows.append(row := score_of(task, choice, seed))
        append(given.out, [row])
        print(*row.values(), flush=True)
    print(*table_of(rows), sep="\n")


if __name__ == "__main__":
    main()
