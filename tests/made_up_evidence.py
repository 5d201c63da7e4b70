"""Everything that a page of evidence shows, made up: two tasks, four arms, five tuner seeds, transfers, an ablation."""

from pathlib import Path
from typing import Any

from cartwheel.analysis.ablation import Ablation, Step
from cartwheel.analysis.evidence import Compared, StudyResult
from cartwheel.analysis.incumbents import IncumbentCurve, Spent, incumbent_curve
from cartwheel.analysis.tables import StudyTables
from cartwheel.analysis.transfer import Kind, Moved
from cartwheel.report.evidence_page import Evidence
from cartwheel.seeds import numpy_rng
from made_up_results import studies
from made_up_study import made_up_study
from whole_studies import tuned

NUM_EPISODES = 9
RHYTHM = {"population": 8, "first_interval_episodes": 1, "interval_episodes": 1}
TUNERS: dict[str, tuple[dict[str, Any], float]] = {
    "default": ({"name": "fixed", "num_trials": 8}, 0.0),
    "random-search": ({"name": "random-search", "num_trials": 8}, 8.0),
    "hyperband": ({"name": "hyperband", "flavour": "hpbandster"}, 5.0),
    "selection-only": ({"name": "selection-only", **RHYTHM}, 4.0),
    "pbt": ({"name": "pbt", **RHYTHM}, 14.0),
}
"""The tuner of an arm, and how much better its agents are than the default's."""

SIMPLE = "pbt, 2 pieces"
MOVED: tuple[tuple[str, Kind, str], ...] = (
    ("pbt", "dynamic", ""),
    (SIMPLE, "dynamic", "pbt"),
    ("random-search", "static", ""),
)
"""The arms whose findings are moved: name, kind, and of which arm it is a simplification."""

BASES = {"line": 100.0, "cartpole-swingup": 150.0}
"""What the default config returns."""


def made_up_evidence(num_seeds: int = 5, tasks: tuple[str, ...] = ("line", "cartpole-swingup")) -> Evidence:
    """Studies on synthetic curves; results, transfers and the ablation as they are told to be."""
    every = [
        Compared(Path(task, arm, str(seed)), _result(task, arm, seed, shift, tables), tables)
        for task in tasks
        for arm, (tuner, shift) in TUNERS.items()
        for seed in range(1, num_seeds + 1)
        if (tables := _tables(task, tuner, seed))
    ]
    moved = [
        Moved(source, arm, kind, seed, target, _scores(source, arm, seed, target), whole)
        for source in tasks
        for target in tasks
        for arm, kind, whole in MOVED
        for seed in range(1, num_seeds + 1)
    ]
    defaults = {target: _scores(target, "default", 0, target) for target in tasks}
    first = Step("plan_horizon", 110.0, (("alpha", 95.0), ("plan_horizon", 110.0)))
    path = (first, Step("alpha", 108.0, (("alpha", 108.0),)))
    return Evidence(every, moved, defaults, {"pbt-1": Ablation(tasks[0], 100.0, path)})


def _tables(task: str, tuner: dict[str, Any], seed: int) -> StudyTables:
    """Of PBT a study with the diagnostics of models too."""
    if tuner["name"] == "pbt" and seed == 1:
        told = made_up_study(with_trouble=False)
        return StudyTables(**{**_fields(told), "meta": {**told.meta, "env_id": task}, "settings": {"num_episodes": 12}})
    told = tuned(tuner, NUM_EPISODES, seed)
    return StudyTables(**{**_fields(told), "meta": {**told.meta, "env_id": task}})


def _fields(tables: StudyTables) -> dict[str, Any]:
    return {name: getattr(tables, name) for name in StudyTables.__dataclass_fields__}


def _result(task: str, arm: str, seed: int, shift: float, tables: StudyTables) -> StudyResult:
    (made,) = studies(arm, [seed], task=task, base=BASES[task], shift=shift, rerun_shift=0.6 * shift, noise=3.0)
    untimed = incumbent_curve(tables, list(tables.reports))
    spent = tuple(Spent(s.env_steps, s.env_steps / 200, s.env_steps / 400) for s in untimed.spent)
    curve = IncumbentCurve(spent, untimed.scores)
    return StudyResult(task, arm, seed, made.agent, made.rerun, 8_000, 40.0, curve, made.random_return)


def _scores(source: str, arm: str, seed: int, target: str) -> dict[int, float]:
    rng = numpy_rng("moved", source, arm, seed, target)
    gains = {"default": 0.0, "random-search": 5.0, "pbt": 9.0 if source == target else -2.0, SIMPLE: 3.0}
    return dict(enumerate((BASES[target] + gains[arm] + 3 * rng.normal(size=10)).tolist()))
