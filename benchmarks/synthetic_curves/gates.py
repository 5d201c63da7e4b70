"""The gates of docs/decisions/0003-synthetic-learning-curves.md: what PBT and PBT-BT must show."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.synthetic_curves.formula import NOISES, Array, Noise, Scenario
from benchmarks.synthetic_curves.summary import BASELINE
from benchmarks.synthetic_curves.table import Table
from cartwheel.analysis.statistics import Interval, bootstrap_interval
from cartwheel.records import SCORE_WINDOW_EPISODES
from cartwheel.seeds import numpy_rng

RECOVERED_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition on one interval."""

    claim: str
    num_seeds: int
    interval: Interval
    is_met: bool

    def __str__(self) -> str:
        found = f"{self.interval.point:.3f} ({self.interval.low:.3f} to {self.interval.high:.3f})"
        return f"{'holds' if self.is_met else 'FAILS'}: {self.claim}: {found}, {self.num_seeds} seeds"


def needed(noise: Noise) -> list[tuple[Scenario, str]]:
    """The scenarios and arms that the gates read at one size of noise."""
    drifting, spared = Scenario("strong", noise, "off"), Scenario("none", noise, "off")
    struck = Scenario("none", noise, "common")
    return [
        *((drifting, arm) for arm in ("best-static", "pbt")),
        *((spared, arm) for arm in ("random-search", "pbt", "pbt-bt")),
        *((struck, arm) for arm in ("pbt", "pbt-bt")),
    ]


def gates(table: Table, noise: Noise) -> list[Gate]:
    """All gates at one size of noise, over the seeds of PBT under strong drift."""
    return [_drift(table, noise), _no_drift(table, noise), *_collapses(table, noise)]


def write_gates(found: Sequence[Gate], path: Path) -> None:
    """As CSV, with the bounds of 95% intervals."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["gate", "num_seeds", "found", "low", "high", "holds"])
        for gate in found:
            numbers = (gate.interval.point, gate.interval.low, gate.interval.high)
            held = "yes" if gate.is_met else "no"
            writer.writerow([gate.claim, gate.num_seeds, *(f"{x:.3f}" for x in numbers), held])


def _drift(table: Table, noise: Noise) -> Gate:
    scenario = Scenario("strong", noise, "off")
    gained = _finals(table, scenario, "pbt") - _finals(table, scenario, "best-static")
    return _gate(f"strong drift, {noise} noise: PBT minus best static value", scenario, gained, least=0.0)


def _no_drift(table: Table, noise: Noise) -> Gate:
    scenario = Scenario("none", noise, "off")
    gained = _finals(table, scenario, "pbt") - _finals(table, scenario, BASELINE)
    least = -NOISES[noise] / math.sqrt(SCORE_WINDOW_EPISODES)
    return _gate(f"no drift, {noise} noise: PBT minus Random Search", scenario, gained, least=least)


def _collapses(table: Table, noise: Noise) -> list[Gate]:
    spared, struck = Scenario("none", noise, "off"), Scenario("none", noise, "common")
    pbt, pbt_bt = (_finals(table, struck, arm) / _finals(table, spared, arm) for arm in ("pbt", "pbt-bt"))
    where = f"collapses, {noise} noise"
    return [
        _gate(f"{where}: share that PBT-BT keeps", struck, pbt_bt, least=RECOVERED_SHARE),
        _gate(f"{where}: share that PBT keeps", struck, pbt, most=RECOVERED_SHARE),
        _gate(f"{where}: share that PBT-BT keeps more than PBT", struck, pbt_bt - pbt, least=0.0),
    ]


def _gate(what: str, scenario: Scenario, values: Array, least: float = -math.inf, most: float = math.inf) -> Gate:
    """The interval of the mean has to lie strictly between the two."""
    interval = bootstrap_interval(values.tolist(), numpy_rng("synthetic-curves", "gates", scenario.name))
    bound = f"above {least:.4g}" if most == math.inf else f"below {most:.4g}"
    return Gate(f"{what}, {bound}", len(values), interval, least < interval.low and interval.high < most)


def _finals(table: Table, scenario: Scenario, arm: str) -> Array:
    seeds = table.seeds(Scenario("strong", scenario.noise, "off"), "pbt")
    return np.array(table.values(scenario, arm, "final", seeds))
