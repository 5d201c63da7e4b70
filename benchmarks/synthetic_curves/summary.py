"""What is made of the results: a line per scenario and arm, with intervals."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.synthetic_curves.arms import ARMS, ORACLES
from benchmarks.synthetic_curves.formula import SCENARIOS, Scenario
from benchmarks.synthetic_curves.table import Table
from cartwheel.analysis.statistics import Interval, mean_interval, paired_difference

BASELINE = "random-search"
MEASURES = ("final", "area", "regret", "gain")


@dataclass(frozen=True, slots=True)
class Line:
    """What one arm did in one scenario.

    ``regret``, ``gain``: final against the best schedule and Random Search, on the seeds that both have.
    """

    scenario: Scenario
    arm: str
    num_seeds: int
    final: Interval
    area: Interval
    regret: Interval
    gain: Interval
    spent_episodes: float


def summary(table: Table) -> Iterator[Line]:
    """In the order of scenarios and arms; of those that have results."""
    for scenario in SCENARIOS:
        for arm in (*ORACLES, *ARMS):
            if seeds := table.seeds(scenario, arm):
                yield _line(table, scenario, arm, seeds)


def _line(table: Table, scenario: Scenario, arm: str, seeds: Sequence[int]) -> Line:
    spent = table.values(scenario, arm, "spent_episodes", seeds)
    regret, gain = (_difference(table, scenario, arm, other) for other in ("best-schedule", BASELINE))
    return Line(
        scenario,
        arm,
        len(seeds),
        mean_interval(table.values(scenario, arm, "final", seeds)),
        mean_interval(table.values(scenario, arm, "area", seeds)),
        Interval(-regret.point, -regret.high, -regret.low),
        gain,
        sum(spent) / len(spent),
    )


def _difference(table: Table, scenario: Scenario, arm: str, other: str) -> Interval:
    seeds = sorted(set(table.seeds(scenario, arm)) & set(table.seeds(scenario, other)))
    first, second = (table.values(scenario, name, "final", seeds) for name in (arm, other))
    return paired_difference(first, second)


def write_summary(lines: Sequence[Line], path: Path) -> None:
    """As CSV: means and the ends of their 95% intervals."""
    ends = [f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scenario", "arm", "num_seeds", *ends, "spent_episodes"])
        for line in lines:
            intervals: list[Interval] = [getattr(line, measure) for measure in MEASURES]
            numbers = [f"{x:.2f}" for i in intervals for x in (i.point, i.low, i.high)]
            writer.writerow([line.scenario.name, line.arm, line.num_seeds, *numbers, f"{line.spent_episodes:.0f}"])


def shown(line: Line) -> str:
    """A line for the terminal."""
    intervals = {name: getattr(line, name) for name in MEASURES}
    numbers = [f"{name} {i.point:5.1f} ({i.low:5.1f} to {i.high:5.1f})" for name, i in intervals.items()]
    return "  ".join([f"{line.scenario.name:20s} {line.arm:22s} n={line.num_seeds:3d}", *numbers])
