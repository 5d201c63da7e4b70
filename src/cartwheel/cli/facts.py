"""A study in numbers, as ``status`` and the ends of commands say it."""

import contextlib
import math
from pathlib import Path
from typing import Any

from cartwheel.analysis.tables import (
    counts,
    implausible_episodes,
    num_failed_by_kind,
    num_retried_by_kind,
    trial_noun,
    turning_episodes,
)
from cartwheel.analysis.timing import Timing
from cartwheel.errors import AllTrialsFailed, UsageError
from cartwheel.exploits import num_turns
from cartwheel.results import Study
from cartwheel.store.owner import is_owned, read_owner
from cartwheel.store.run_folder import LOCK


def study_facts(study: Study) -> dict[str, Any]:
    """A study in numbers, for people and programs."""
    tables, counted = study.tables, counts(study.tables)
    best = None
    with contextlib.suppress(UsageError, AllTrialsFailed):
        best = study.best
    return {
        "run_dir": str(study.run_dir),
        "state": "done" if study.is_done else _activity(study.run_dir),
        "env_id": tables.meta["env_id"],
        "tuner": tables.meta.get("tuner"),
        f"{trial_noun(tables)}s": counted.num_trials,
        "episodes": counted.num_episodes,
        "env_steps": counted.env_steps,
        "validation_env_steps": counted.evaluation_env_steps,
        "segments_done": counted.num_segments_done,
        "segments_unfinished": counted.num_unfinished,
        "segments_failed": counted.num_failed,
        "segments_diverged": counted.num_diverged,
        "failures": dict(num_failed_by_kind(tables)),
        "retries": dict(num_retried_by_kind(tables)),
        "copies": counted.num_copies,
        "implausible_episodes": len(implausible_episodes(tables)),
        "most_turns": max((num_turns(turned.episode) for turned in turning_episodes(tables)), default=0),
        "best_segment": None if best is None else best.segment,
        "best_score": None if best is None else best.score,
        "best_validation_mean": None if best is None else best.validation_mean,
        "wall_s": round(tables.timing.wall_s, 3),
        "own_share": round(tables.timing.own_share, 5),
        "where_time_went": _shares(tables.timing),
    }


def _shares(timing: Timing) -> dict[str, float]:
    """The devices' time by what it went into, as shares of what they had."""
    spent = timing.of_devices
    total = math.fsum(spent.values())
    return {name: round(seconds / total, 4) for name, seconds in spent.items()}


def _activity(run_dir: Path) -> str:
    """Whether somebody runs the study now."""
    lock = run_dir / LOCK
    return f"run by {read_owner(lock)}" if is_owned(lock) else "stopped, resumable"
