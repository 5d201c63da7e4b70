"""Results on disk: one row per scenario, arm and seed."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.synthetic_curves.arms import ARMS, ORACLES
from benchmarks.synthetic_curves.formula import SCENARIOS, Scenario
from benchmarks.synthetic_curves.study import Result

RAW_COLUMNS = ("scenario", "arm", "seed", "final", "area", "age", "spent_episodes")
NUM_SEEDS = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One study."""

    scenario: Scenario
    arm: str
    seed: int


class Table:
    """The results so far."""

    def __init__(self) -> None:
        self._results: dict[tuple[Scenario, str], dict[int, Result]] = {}

    def add(self, job: Job, result: Result) -> None:
        self._results.setdefault((job.scenario, job.arm), {})[job.seed] = result

    def __contains__(self, job: Job) -> bool:
        return job.seed in self._results.get((job.scenario, job.arm), {})

    def seeds(self, scenario: Scenario, arm: str) -> list[int]:
        return sorted(self._results.get((scenario, arm), {}))

    def values(self, scenario: Scenario, arm: str, measure: str, seeds: Iterable[int]) -> list[float]:
        """One measure of ``Result`` by seed. Raises KeyError if a seed is missing."""
        results = self._results[scenario, arm]
        return [float(getattr(results[seed], measure)) for seed in seeds]


def all_jobs(arms: Iterable[str], max_seeds: int) -> list[Job]:
    """Seed by seed, so that an interrupted run has a few seeds of everything."""
    return [
        Job(scenario, arm, seed)
        for seed in range(max_seeds)
        for scenario in SCENARIOS
        for arm in arms
        if arm in ORACLES or (seed < ARMS[arm].num_seeds and scenario in ARMS[arm].scenarios)
    ]


def row(job: Job, result: Result) -> list[str]:
    """The fields of ``RAW_COLUMNS``."""
    return [job.scenario.name, job.arm, str(job.seed), *(f"{value:.6g}" for value in asdict(result).values())]


def whole_lines(path: Path) -> list[str]:
    """Those of a file, if there is one; without a last one that a kill cut short."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith("\n")]


def read_table(path: Path) -> Table:
    """The results in a file; an empty table if there is none."""
    table = Table()
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    for entry in csv.DictReader(whole_lines(path)):
        job = Job(by_name[entry["scenario"]], entry["arm"], int(entry["seed"]))
        result = Result(float(entry["final"]), float(entry["area"]), int(entry["age"]), int(entry["spent_episodes"]))
        table.add(job, result)
    return table
