"""From run folders to the results that are compared. Reading only: what was not run is not there."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cartwheel.analysis.evidence import Compared, StudyResult
from cartwheel.analysis.incumbents import incumbent_curve
from cartwheel.analysis.load import load_arm
from cartwheel.analysis.tables import counts
from cartwheel.errors import AllTrialsFailed, UsageError
from cartwheel.evidence.controls import DEFAULT, TUNER_OF
from cartwheel.evidence.protocol import TESTS, found_name, read_agent_test
from cartwheel.records import Reported, SegmentId
from cartwheel.results import Study
from cartwheel.spec import WITHOUT_EFFECT
from cartwheel.store.run_folder import DATABASE, RunFolder

_IS_WHOLE = "agent is whole"
"""Whether a study has all that its agents have written down."""


def read_studies(run_dirs: Sequence[Path], arms: Mapping[Path, str] | None = None) -> list[Compared]:
    """The studies in these folders; ``arms`` names them, by default what tells their settings apart.

    Raises UsageError if one is not a tuning study, if one is there twice, or if episodes of one task differ in length.
    """
    studies = [Study(run_dir) for run_dir in run_dirs]
    for study in studies:
        if "tuner" not in study.tables.meta:
            raise UsageError("nobody tuned here", str(study.run_dir), "name folders that `cartwheel tune` has made")
    _check_lengths(studies)
    names = arm_names([study.tables.settings for study in studies])
    chosen = {s.run_dir: name for s, name in zip(studies, names, strict=True)} | dict(arms or {})
    _check_once(studies, chosen)
    return [_compared(study, chosen[study.run_dir]) for study in studies]


def arm_names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tuner's name of each study, and, where studies of one tuner and task differ, by what but their seed."""
    flat = [{key: value for key, value in _flat(_with_agents(table)).items() if key != "seed"} for table in settings]
    alike = [[other for other in flat if _kind(other) == _kind(own)] for own in flat]
    names = []
    for own, others in zip(flat, alike, strict=True):
        keys = {key for other in others for key in other.keys() | own.keys()} - WITHOUT_EFFECT - {_IS_WHOLE}
        differing = sorted(key for key in keys if any(_differ(key, own, other) for other in others))
        told = ", ".join(f"{key.rpartition('.')[2]} {own.get(key)}" for key in differing)
        name = DEFAULT if own["tuner.name"] == TUNER_OF[DEFAULT] else str(own["tuner.name"])
        names.append(name + (f" ({told})" if told else ""))
    return names


def _with_agents(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What agents have, said or not; of a study begun by a version that did not write it down, what was said."""
    others = {key: value for key, value in settings.items() if key != "agent_defaults"}
    defaults = settings.get("agent_defaults", {})
    return {**others, _IS_WHOLE: bool(defaults), "agent": {**defaults, **settings.get("agent", {})}}


def _differ(key: str, own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two studies do, as far as both say."""
    if key.startswith("agent.") and own[_IS_WHOLE] != other[_IS_WHOLE]:
        silent = other if own[_IS_WHOLE] else own
        return key in silent and own.get(key) != other.get(key)
    return own.get(key) != other.get(key)


def _check_lengths(studies: Sequence[Study]) -> None:
    lengths: dict[str, Any] = {}
    for study in studies:
        env_id, length = study.tables.meta["env_id"], study.tables.settings.get("episode_length")
        if lengths.setdefault(env_id, length) != length:
            cause = f"studies of {env_id} have episodes of different lengths, so their returns cannot be compared"
            raise UsageError(cause, str(study.run_dir), "leave it out")


def _check_once(studies: Sequence[Study], arms: Mapping[Path, str]) -> None:
    seen: dict[tuple[Any, ...], Path] = {}
    for study in studies:
        meta = study.tables.meta
        first = seen.setdefault((meta["env_id"], arms[study.run_dir], meta["seed"]), study.run_dir)
        if first != study.run_dir:
            raise UsageError(f"the same study as in {first}", str(study.run_dir), "leave one of them out")


def _compared(study: Study, arm: str) -> Compared:
    tables, counted = study.tables, counts(study.tables)
    random = [e.return_ for ran in tables.episodes.values() for e in ran if e.is_random and math.isfinite(e.return_)]
    result = StudyResult(
        task=str(tables.meta["env_id"]),
        arm=arm,
        tuner_seed=int(tables.meta["seed"]),
        agent=_agent_scores(study),
        rerun=_rerun_scores(study),
        env_steps=counted.env_steps + counted.evaluation_env_steps,
        device_s=math.fsum(tables.timing.parts.values()),
        curve=incumbent_curve(tables, _order(study.run_dir)),
        random_return=math.fsum(random) / len(random) if random else math.nan,
    )
    return Compared(study.run_dir, result, tables)


def _agent_scores(study: Study) -> dict[int, float]:
    """Of the present incumbent only: a study that went on has another one."""
    kept = read_agent_test(study.run_dir)
    try:
        is_current = kept is not None and kept.checkpoint == study.best.checkpoint
    except (AllTrialsFailed, UsageError):
        return {}
    return {seed: _score(values) for seed, values in kept.returns.items()} if kept is not None and is_current else {}


def _rerun_scores(study: Study) -> dict[int, float]:
    try:
        return scores_of_rerun(study.run_dir / TESTS / found_name(study))
    except (AllTrialsFailed, UsageError):
        return {}


def scores_of_rerun(path: Path) -> dict[int, float]:
    """Mean evaluation return by test seed; -inf for a training that failed. Empty unless the rerun is done."""
    if not (path / DATABASE).is_file() or not Study(path).is_done:
        return {}
    return {run.seed: _score(run.returns) for run in load_arm(path, "", "").runs}


def _score(returns: Sequence[float]) -> float:
    is_good = bool(returns) and all(map(math.isfinite, returns))
    return math.fsum(returns) / len(returns) if is_good else -math.inf


def _order(run_dir: Path) -> list[SegmentId]:
    """The segments in the order in which they ended."""
    with RunFolder.to_read(run_dir) as folder:
        return [event.report.segment for event in folder.read.events() if isinstance(event, Reported)]


def _kind(flat: Mapping[str, Any]) -> tuple[Any, Any]:
    return flat["env_id"], flat["tuner.name"]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
