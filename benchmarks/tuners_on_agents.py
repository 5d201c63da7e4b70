"""What does each tuner buy on real agents, at equal cost? Six arms, two tasks, space `small`, three tuner seeds.

    python -m benchmarks.tuners_on_agents --runs runs/tuners-on-agents --out docs/results/tuners-on-agents.csv

The table, in Markdown, goes to standard output at the end.

Every tuner gets 80 episodes of 200 env steps, random ones included, and validates its best three on 5 episodes each;
Hyperband's table comes to 78. What it found trains 5 agents anew, seeds 0 to 4, for 9 model-driven episodes, and each
of these plays 5 evaluation episodes; the default config trains 15. Random Search and Hyperband are given seeds of
their own: under PBT's seed their first draws would be PBT's first population.

Resumable: what has run is not run again. One row per trained agent.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cartwheel
from cartwheel.analysis.load import load_arm
from cartwheel.analysis.statistics import mean_interval
from cartwheel.analysis.tables import counts
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.tuning import RERUNS

TASKS = ("cartpole-swingup", "Pendulum-v1")
TUNER_SEEDS = (1, 2, 3)
NUM_EPISODES = 9
NUM_RERUNS = 5
POPULATION = {"population": 8, "interval_episodes": 1}
TUNERS: Mapping[str, Mapping[str, Any]] = {
    "random-search": {"num_trials": 8},
    "hyperband": {"flavour": "hpbandster"},
    "pbt": POPULATION,
    "pbt-bt": POPULATION,
    "selection-only": POPULATION,
}
SEED_OFFSET = {"random-search": 100, "hyperband": 200}


def spec_of(task: str, tuner: str, seed: int) -> StudySpec:
    """The study of one arm under one tuner seed."""
    tables = {
        "env_id": task,
        "num_episodes": NUM_EPISODES,
        "seed": seed + SEED_OFFSET.get(tuner, 0),
        "tuner": {"name": tuner, **TUNERS[tuner]},
        "space": {"name": "small", "tune": "joint"},
        "validation": {"num_episodes": 5},
    }
    return parse_spec(tables, {}, "the benchmark")


def rows_of(runs: Path, task: str, tuner: str, seed: int) -> Iterator[dict[str, Any]]:
    """Tune, then train anew under what was found: one row per fresh agent."""
    folder = runs / f"{task}-{tuner}-{seed}"
    study = cartwheel.tune(spec_of(task, tuner, seed), folder)
    counted = counts(study.tables)
    cartwheel.rerun(folder, num_seeds=NUM_RERUNS)
    spent = {"tuning_env_steps": counted.env_steps + counted.evaluation_env_steps, "score": study.best.score}
    yield from _agents(folder / RERUNS / "found", task, tuner, seed, spent)


def default_rows(runs: Path, task: str) -> Iterator[dict[str, Any]]:
    """The default config needs no tuning; it hangs on Random Search's first folder."""
    folder, name = runs / f"{task}-random-search-{TUNER_SEEDS[0]}", "default"
    schedule = Schedule((Piece(0, NUM_EPISODES, {}),))
    cartwheel.rerun(folder, schedule, name=name, num_seeds=NUM_RERUNS * len(TUNER_SEEDS))
    yield from _agents(folder / RERUNS / name, task, "default", 0, {"tuning_env_steps": 0, "score": ""})


def _agents(folder: Path, task: str, arm: str, seed: int, spent: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for run in load_arm(folder, arm, arm).runs:
        place = {"task": task, "arm": arm, "tuner_seed": seed, "rerun_seed": run.seed}
        yield {**place, "return": round(run.mean, 4), **spent}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: by task and arm the mean return of the fresh agents, in all with its 95% interval and by tuner seed."""
    lines = [
        "| task | arm | fresh agents | mean return | 95% interval | by tuner seed | env steps of tuning |",
        "|---" * 7 + "|",
    ]
    for task, arm in dict.fromkeys((row["task"], row["arm"]) for row in rows):
        own = [row for row in rows if (row["task"], row["arm"]) == (task, arm)]
        interval = mean_interval([row["return"] for row in own])
        seeds = dict.fromkeys(row["tuner_seed"] for row in own)
        means = [mean_interval([row["return"] for row in own if row["tuner_seed"] == seed]).point for seed in seeds]
        lines.append(
            f"| {task} | {arm} | {len(own)} | {interval.point:.1f} | {interval.low:.1f} to {interval.high:.1f} "
            f"| {', '.join(f'{mean:.1f}' for mean in means)} | {own[0]['tuning_env_steps']:,} |"
        )
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table so far."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for the studies")
    parser.add_argument("--out", type=Path, required=True, help="CSV file")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in TUNER_SEEDS:
        for task in TASKS:
            for tuner in TUNERS:
                rows += rows_of(given.runs, task, tuner, seed)
                write(given.out, rows)
                print(task, tuner, seed, [row["return"] for row in rows[-NUM_RERUNS:]], flush=True)
    for task in TASKS:
        rows += default_rows(given.runs, task)
        write(given.out, rows)
    print(table(rows))


if __name__ == "__main__":
    main()
