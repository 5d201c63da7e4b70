"""From run folders to ``StudyTables`` and to the arms of a comparison. Reading disturbs nobody who runs a study."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from cartwheel.analysis.comparison import Arm, Run
from cartwheel.analysis.tables import EvaluationResult, StudyTables
from cartwheel.analysis.timing import Timing
from cartwheel.errors import StorageError
from cartwheel.exploits import OnExploit, counted_return
from cartwheel.records import in_words
from cartwheel.schedules.schedule import Schedule
from cartwheel.spec import parse_spec
from cartwheel.store.reading import KeptEvaluation, StudyReader
from cartwheel.store.run_folder import ENVIRONMENT, RunFolder
from cartwheel.tuners.registry import TUNERS, replicates_settings
from cartwheel.tuners.replicates import NO_REPLICATES


def load_tables(path: Path) -> StudyTables:
    """The tables of the study in a run folder. Raises StorageError if there is none."""
    with RunFolder.to_read(path) as folder, folder.snapshot():
        return read_tables(folder)


def read_tables(folder: RunFolder) -> StudyTables:
    """The tables of an open run folder: of one moment only within its ``snapshot``."""
    spec = parse_spec(folder.read.meta("spec"), {}, str(folder.path))
    evaluations = folder.read.evaluations()
    # a training under a given schedule has a spec, but nobody tunes
    tuner = {"tuner": spec.tuner.name} if folder.read.meta("kind") == "tune" else {}
    return StudyTables(
        meta={"name": folder.path.name, "env_id": spec.env_id, **tuner, "seed": spec.seed},
        settings=spec.to_dict(),
        environment=_environment(folder.path / ENVIRONMENT),
        space=spec.make_space(),
        segments={segment.id: segment for segment in folder.read.segments()},
        episodes=folder.read.all_episodes(),
        reports=folder.read.reports(),
        evaluations=tuple(_result(kept, spec.on_exploit) for kept in evaluations if kept.status is not None),
        retries=tuple(folder.read.retries()),
        timing=_timing(folder.read, evaluations),
        ranks_longest_first="tuner" in tuner and TUNERS[spec.tuner.name].stops_early,
        replicates=replicates_settings(spec.tuner.name, spec.tuner.settings) if tuner else NO_REPLICATES,
    )


def load_arm(path: Path, name: str, label: str, tuning_env_steps: int = 0) -> Arm:
    """The arm whose runs are the trials of a rerun in its own run folder: one per seed, each evaluated at its end.

    A trial without a finished evaluation is a run that failed; returns are those that the study counts, whatever was
    paid (``on_exploit``). Raises StorageError if there is no rerun.
    """
    with RunFolder.to_read(path) as folder, folder.snapshot():
        plan, on_exploit = folder.read.meta("plan"), parse_spec(folder.read.meta("spec"), {}, str(path)).on_exploit
        schedule = Schedule.from_text(plan["schedule"])
        by_trial = {
            _trial(kept): tuple(counted_return(episode, on_exploit) for episode in kept.episodes)
            for kept in folder.read.evaluations()
            if kept.status == "done"
        }
        reasons = {int(id_.partition(".")[0]): report.reason for id_, report in folder.read.reports().items()}
    runs = tuple(Run(seed, by_trial.get(trial, ()), reasons.get(trial, "")) for trial, seed in enumerate(plan["seeds"]))
    configs = tuple(schedule.config_at(episode) for episode in range(1, schedule.num_episodes + 1))
    return Arm(name, label, configs, runs, tuning_env_steps)


def _result(kept: KeptEvaluation, on_exploit: OnExploit) -> EvaluationResult:
    """An evaluation that failed gets a return that is not finite: it ranks worst."""
    counted = tuple(counted_return(episode, on_exploit) for episode in kept.episodes)
    returns = counted if kept.status == "done" else (*counted, math.nan)
    broken = () if kept.broken is None else (kept.broken,)
    env_steps = sum(episode.env_steps for episode in (*kept.episodes, *broken))
    failure = None if kept.status == "done" else in_words(kept.kind)
    played = (*kept.episodes, *broken)
    return EvaluationResult(kept.evaluation.segment, kept.evaluation.seed, returns, env_steps, played, failure)


def _timing(reader: StudyReader, evaluations: list[KeptEvaluation]) -> Timing:
    times = [session.times for session in reader.sessions()]
    broken = (
        *(report.broken for report in reader.reports().values()),
        *(retry.broken for retry in reader.retries()),
        *(kept.broken for kept in evaluations),
    )
    ended_badly = [episode for episode in broken if episode is not None]
    parts: Counter[str] = Counter()
    for episodes in (*reader.all_episodes().values(), *(kept.episodes for kept in evaluations), ended_badly):
        for episode in episodes:
            parts.update(episode.seconds)
    return Timing(
        wall_s=sum(one.wall_s for one in times),
        own_s=sum(one.loop_s for one in times),
        compile_s=sum(one.compile_s for one in times),
        parts=dict(parts),
        commit_s=sum(one.commit_s for one in times),
        device_s=sum(one.num_devices * one.wall_s for one in times),
        device_compile_s=sum(one.device_compile_s for one in times),
    )


def _trial(kept: KeptEvaluation) -> int:
    return int(kept.evaluation.segment.partition(".")[0])


def _environment(path: Path) -> dict[str, Any]:
    """Versions and platform. Raises StorageError if the file is missing or is not what was written."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"cannot read versions and platform: {error}", str(path), "restore the file") from error
