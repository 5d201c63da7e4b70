"""The gates of docs/decisions/0003-synthetic-learning-curves.md: what PBT and PBT-BT must show."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.synthetic_curves.formula import NOISES, Array, Noise, Scenario
from benchmarks.synthetic_curves.table import Table
from cartwheel.analysis.statistics import Interval, bootstrap_interval
from cartwheel.records import SCORE_WINDOW_EPISODES
from cartwheel.seeds import numpy_rng

RECOVERED_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition on one interval."""

    claim: str
    interval: Interval
    is_met: bool

    def __str__(self) -> str:
        found = f"{self.interval.point:.3f} ({self.interval.low:.3f} to {self.interval.high:.3f})"
        return f"{'holds' if self.is_met else 'FAILS'}: {self.claim}: {found}"


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
        writer.writerow(["gate", "found", "low", "high", "holds"])
        for gate in found:
            numbers = (gate.interval.point, gate.interval.low, gate.interval.high)
            writer.writerow([gate.claim, *(f"{x:.3f}" for x in numbers), "yes" if gate.is_met else "no"])


def _drift(table: Table, noise: Noise) -> Gate:
    scenario = Scenario("strong", noise, "off")
    interval = _interval(scenario, _finals(table, scenario, "pbt") - _finals(table, scenario, "best-static"))
    return Gate(f"strong drift, {noise} noise: PBT minus best static value, above 0", interval, interval.low > 0)


def _no_drift(table: Table, noise: Noise) -> Gate:
    scenario = Scenario("none", noise, "off")
    interval = _interval(scenario, _finals(table, scenario, "pbt") - _finals(table, scenario, "random-search"))
    least = -NOISES[noise] / math.sqrt(SCORE_WINDOW_EPISODES)
    claim = f"no drift, {noise} noise: PBT minus Random Search, above {least:.2f}"
    return Gate(claim, interval, interval.low > least)


def _collapses(table: Table, noise: Noise) -> list[Gate]:
    spared, struck = Scenario("none", noise, "off"), Scenario("none", noise, "common")
    shares = {arm: _finals(table, struck, arm) / _finals(table, spared, arm) for arm in ("pbt", "pbt-bt")}
    pbt, pbt_bt = _interval(struck, shares["pbt"]), _interval(struck, shares["pbt-bt"])
    more = _interval(struck, shares["pbt-bt"] - shares["pbt"])
    where = f"collapses, {noise} noise"
    return [
        Gate(f"{where}: share that PBT-BT keeps, above {RECOVERED_SHARE}", pbt_bt, pbt_bt.low > RECOVERED_SHARE),
        Gate(f"{where}: share that PBT keeps, below {RECOVERED_SHARE}", pbt, pbt.high < RECOVERED_SHARE),
        Gate(f"{where}: what PBT-BT keeps more, above 0", more, more.low > 0),
    ]


def _finals(table: Table, scenario: Scenario, arm: str) -> Array:
    seeds = table.seeds(Scenario("strong", scenario.noise, "off"), "pbt")
    return np.array(table.values(scenario, arm, "final", seeds))


def _interval(scenario: Scenario, values: Array) -> Interval:
    return bootstrap_interval(values.tolist(), numpy_rng("synthetic-curves", "gates", scenario.name))
