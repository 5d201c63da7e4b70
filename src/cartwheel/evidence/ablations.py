"""Ablation of a study: from the default config to what was found, one hyperparameter at a time, trained anew each time.

The trainings lie under ``tests/`` of the run folder, named by what they change, so they resume and are shared between
paths. The path and what was tried lie in ``ablation.json``.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cartwheel.analysis.ablation import Ablation, Step, ablation_path, differing, mixed
from cartwheel.analysis.statistics import iqm
from cartwheel.errors import StorageError, UsageError
from cartwheel.evidence.protocol import TESTS, HowTested, RunStep, followed, spec_in
from cartwheel.evidence.reading import scores_of_rerun
from cartwheel.results import Study
from cartwheel.store.run_folder import write_text

ABLATION = "ablation.json"


class _Stopped(Exception):
    """A training was stopped: the path goes no further now."""


def ablate(study: Study, tests: HowTested, run_step: RunStep) -> Ablation | None:
    """The path of a finished study; None if it was stopped: the same call goes on.

    Raises UsageError if the study found nothing but the default config, or did not end.
    """
    schedule, default = study.schedule(), study.tables.space.default
    names = differing(schedule, default)
    if not study.is_done or not names:
        cause = "nothing differs from the default config" if study.is_done else "the study is not done"
        raise UsageError(cause, str(study.run_dir), "there is nothing to ablate")
    numbers = {name: number for number, name in enumerate(schedule.pieces[0].config)}
    spec, folder = spec_in(study.run_dir), study.run_dir / TESTS

    def score(changed: frozenset[str]) -> float:
        path = folder / "-".join(["ablation", *map(str, [schedule.num_episodes, *sorted(numbers[n] for n in changed)])])
        title = f"Ablation: {', '.join(sorted(changed)) or 'the default config'}"
        if not followed(path, spec, mixed(schedule, default, changed), tests, title, run_step):
            raise _Stopped
        return float(iqm(np.array(list(scores_of_rerun(path).values()))))

    try:
        found = Ablation(str(study.tables.meta["env_id"]), score(frozenset()), tuple(ablation_path(names, score)))
    except _Stopped:
        return None
    write_text(study.run_dir / ABLATION, json.dumps(asdict(found), indent=1) + "\n")
    return found


def read_ablation(run_dir: Path) -> Ablation | None:
    """None if there is none. Raises StorageError if it cannot be read."""
    path = run_dir / ABLATION
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        steps = tuple(Step(s["name"], float(s["score"]), _pairs(s["tried"])) for s in data["path"])
        return Ablation(str(data["task"]), float(data["default"]), steps)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"not an ablation: {error}", str(path), "delete it and ablate again") from error


def _pairs(tried: Sequence[Sequence[str | float]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(score)) for name, score in tried if not math.isnan(float(score)))
