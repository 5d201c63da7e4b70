"""What is compared: every registered tuner and its presets, at one budget, and two oracles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from benchmarks.synthetic_curves.agent import FormulaAgent
from benchmarks.synthetic_curves.formula import (
    MAX_AGE,
    NUM_LANES,
    SCENARIOS,
    SPACE,
    Drift,
    Scenario,
    best_schedule,
    best_static,
    draw_world,
)
from benchmarks.synthetic_curves.study import Result, run_study
from cartwheel.tuners.registry import make_tuner


@dataclass(frozen=True, slots=True)
class Arm:
    """A tuner with settings. Fewer ``num_seeds`` for tuners that fit models, fewer ``scenarios`` for slow ones."""

    tuner: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    num_seeds: int = 100
    scenarios: Sequence[Scenario] = tuple(SCENARIOS)


POPULATION = {"population": NUM_LANES}
FULL_TRIALS = {"num_trials": NUM_LANES}
HALVED_TRIALS = {"num_trials": 134, "min_episodes": 3}
DECAY = {"config": {"learning_rate": 1e-3}, "factor_per_episode": 0.1 ** (1 / MAX_AGE), "interval_episodes": 3}
CALM = tuple(scenario for scenario in SCENARIOS if scenario.noise == "low" and scenario.collapses == "off")
"""For PB2, which takes half a minute a study: it fits a model for every copy."""

ARMS = {
    "random-search": Arm("random-search", FULL_TRIALS),
    "fixed": Arm("fixed", FULL_TRIALS),
    "fixed-schedule": Arm("fixed-schedule", {**FULL_TRIALS, **DECAY}),
    "selection-only": Arm("selection-only", POPULATION),
    "successive-halving": Arm("successive-halving", HALVED_TRIALS),
    "hyperband:li": Arm("hyperband", {"min_episodes": 3}),
    "hyperband:hpbandster": Arm("hyperband", {"min_episodes": 3, "flavour": "hpbandster"}),
    "hyperband:aistats2021": Arm("hyperband", {"min_episodes": 3, "preset": "aistats2021"}),
    "asha": Arm("asha", HALVED_TRIALS),
    "tpe": Arm("tpe", FULL_TRIALS, num_seeds=10),
    "gp": Arm("gp", FULL_TRIALS, num_seeds=10),
    "cma-es": Arm("cma-es", FULL_TRIALS, num_seeds=10),
    "bohb": Arm("bohb", {"min_episodes": 3}, num_seeds=10),
    "dehb": Arm("dehb", {"min_episodes": 3}, num_seeds=10),
    "pbt": Arm("pbt", POPULATION),
    "pbt:aistats2021": Arm("pbt", {**POPULATION, "preset": "aistats2021"}),
    "pbt:ray": Arm("pbt", {**POPULATION, "preset": "ray"}),
    "pbt:jaderberg": Arm("pbt", {**POPULATION, "preset": "jaderberg"}),
    "pbt-asynchronous": Arm("pbt-asynchronous", POPULATION),
    "pbt-bt": Arm("pbt-bt", POPULATION),
    "pbt-bt:aistats2021": Arm("pbt-bt", {**POPULATION, "preset": "aistats2021", "backtrack_every_segments": 6}),
    "mf-pbt": Arm("mf-pbt", {"population": 15}),
    "mf-pbt:doulazmi2025": Arm("mf-pbt", {**POPULATION, "preset": "doulazmi2025"}),
    "ipbt": Arm("ipbt", POPULATION),
    "pb2": Arm("pb2", POPULATION, num_seeds=10, scenarios=CALM),
}
"""Of MF-PBT's three sub-populations 15 is the largest size."""

AVAILABLE = [name for name in ARMS if name != "gp" or find_spec("torch") is not None]
"""Optuna's Gaussian process needs torch, which Cartwheel does not install."""

ORACLES = ("best-schedule", "best-static")
"""What nobody can know: the best schedule of all, and the best single config, both without collapses."""


def run_arm(name: str, scenario: Scenario, seed: int) -> Result:
    """One study, or what an oracle reaches."""
    if name in ORACLES:
        return _oracle(name, scenario.drift, seed)
    arm = ARMS[name]
    return run_study(make_tuner(arm.tuner, arm.settings, SPACE, seed, MAX_AGE), FormulaAgent(scenario, seed))


@cache
def _oracle(name: str, drift: Drift, seed: int) -> Result:
    world = draw_world(seed, drift)
    course = best_schedule(world) if name == "best-schedule" else best_static(world, seed)
    return Result(float(course[-1]), float(course.mean()), MAX_AGE, MAX_AGE + 1)
