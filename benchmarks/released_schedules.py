"""What are the schedules worth that came with Zhang et al. 2021, followed at a CPU's planning budget?

    python -m benchmarks.released_schedules FOLDER --runs runs/released --out docs/results/released-schedules.csv

The table, in Markdown, goes to standard output after every schedule. FOLDER holds the files of the paper's code, of
which ``halfcheetah_*.json`` are followed on ``pets-halfcheetah``: each by new agents on test seeds 0, 1, ..., which
play evaluation episodes at the end. What a file does not set stays at our default. Sample counts are scaled by 48/500,
from the paper's default to ours; iterations and horizons stay as they were found, so budgets differ, and the table says
by how much. All agents of a test seed meet the same start states.

Resumable: what has run is not run again. One row per trained agent; one that failed has no returns.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import write
from cartwheel.analysis.statistics import mean_interval, paired_difference
from cartwheel.analysis.tables import StudyTables
from cartwheel.exploits import is_implausible
from cartwheel.records import SCORE_WINDOW_EPISODES, Episode, trial_of
from cartwheel.schedules.files import ScheduleFile
from cartwheel.schedules.scaling import scaled
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.study_agents import agent_setup
from cartwheel.tuning import Running, follow

TASK = "pets-halfcheetah"
FILES = "halfcheetah_*.json"
SCALE = 48 / 500
"""Samples of a plan: our default for a CPU, over the paper's."""
OURS = "our default"


def schedules(folder: Path, num_episodes: int) -> Iterator[tuple[str, Schedule]]:
    """Our default config, then the paper's default and what was found, by the file's name."""
    yield OURS, Schedule((Piece(0, num_episodes, {}),))
    for path in sorted(folder.glob(FILES), key=lambda path: (not path.stem.endswith("default"), path.stem)):
        found = ScheduleFile(path).read(num_episodes)
        yield path.stem, scaled(found, {"num_samples": SCALE} if "num_samples" in found.pieces[0].config else {})


def spec_of(num_episodes: int, num_evaluations: int) -> StudySpec:
    """The task with our defaults."""
    tables = {"env_id": TASK, "num_episodes": num_episodes, "validation": {"num_episodes": num_evaluations}}
    return parse_spec(tables, {}, "the benchmark")


def network_evaluations(spec: StudySpec, schedule: Schedule) -> float:
    """To plan one env step, mean over the episodes."""
    configs = [schedule.config_at(episode) for episode in range(1, schedule.num_episodes + 1)]
    setup = agent_setup(spec, configs)
    return sum(map(setup.network_evaluations, configs)) / len(configs)


def rows_of(name: str, schedule: Schedule, tables: StudyTables, cost: float) -> Iterator[dict[str, Any]]:
    """One row per agent: the last training episodes, the evaluation, and how many episodes broke physics."""
    evaluated = {trial_of(one.segment): one for one in tables.evaluations if one.failure is None}
    for trial in tables.trials:
        trained = [e for id_, ran in tables.episodes.items() if trial_of(id_) == trial for e in ran if not e.is_random]
        is_whole = len(trained) == schedule.num_episodes and trial in evaluated
        played = evaluated[trial].episodes if is_whole else ()
        yield {
            "schedule": name,
            "seed": trial,
            "network_evaluations": round(cost),
            "training_return": _mean(trained[-SCORE_WINDOW_EPISODES:]) if is_whole else "",
            "evaluation_return": _mean(played) if is_whole else "",
            "training_episodes": len(trained),
            "broken_training_episodes": sum(map(is_implausible, trained)),
            "evaluation_episodes": len(played),
            "broken_evaluation_episodes": sum(map(is_implausible, played)),
        }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: returns by seed, and the evaluation less that of our default, in pairs, with its 95% interval."""
    lines = [
        "| schedule | network evaluations | last training episodes | evaluation | less our default | broken physics |",
        "|---|--:|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["schedule"] for row in rows):
        own = [row for row in rows if row["schedule"] == name]
        broken = sum(row["broken_training_episodes"] + row["broken_evaluation_episodes"] for row in own)
        of = sum(row["training_episodes"] + row["evaluation_episodes"] for row in own)
        lines.append(
            f"| {name} | {own[0]['network_evaluations']:,} | {_returns(own, 'training_return')} "
            f"| {_returns(own, 'evaluation_return')} | {_gain(own, rows)} | {broken} of {of} episodes |"
        )
    return "\n".join(lines)


def _gain(own: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Over the seeds on which both came to their ends."""
    ours = {row["seed"]: row["evaluation_return"] for row in rows if row["schedule"] == OURS}
    pairs = [(row["evaluation_return"], ours[row["seed"]]) for row in own if row["seed"] in ours]
    pairs = [(a, b) for a, b in pairs if a != "" and b != ""]
    if own[0]["schedule"] == OURS or not pairs:
        return ""
    gain = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    return f"{gain.point:+.0f} ({gain.low:+.0f} to {gain.high:+.0f})"


def _returns(own: Sequence[Mapping[str, Any]], column: str) -> str:
    values = [row[column] for row in own]
    there = [value for value in values if value != ""]
    mean = f"{mean_interval(there).point:.0f}" if there else "none"
    return f"{mean} ({', '.join('failed' if value == '' else f'{value:.0f}' for value in values)})"


def _mean(episodes: Sequence[Episode]) -> float:
    return round(sum(episode.return_ for episode in episodes) / len(episodes), 2)


def main(arguments: Sequence[str] | None = None, running: Running | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with the released schedules")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the studies")
    parser.add_argument("--out", type=Path, required=True, help="CSV file")
    parser.add_argument("--seeds", type=int, default=3, help="agents per schedule")
    parser.add_argument("--episodes", type=int, default=10, help="model-driven ones of each")
    parser.add_argument("--evaluations", type=int, default=5, help="episodes that each plays at its end")
    given = parser.parse_args(arguments)
    spec = spec_of(given.episodes, given.evaluations)
    rows: list[dict[str, Any]] = []
    for name, schedule in schedules(given.folder, given.episodes):
        study = follow(given.runs / name, "test", spec, schedule, list(range(given.seeds)), running or Running())
        rows += rows_of(name, schedule, study.tables, network_evaluations(spec, schedule))
        write(given.out, rows)
        print(table(rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
