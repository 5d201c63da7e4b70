"""A study as a storage of Optuna's (SQLite), for its dashboard, its importances and its plots.

Two studies: ``NAME trials`` has a trial of Optuna's for each of ours, with the config that it ended under, and
``NAME segments`` one for each segment, with the config that it ran under. Values are scores, returns over episodes are
intermediate values. What failed, diverged or has no finite score is failed to Optuna, too, and counts in no importance.
Optuna does not know that a segment's agent was trained before: the older it is, the higher its score, whatever its
config. So compare segments of equal ``stop``, or read the gain over the parent, which is beside it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartwheel.analysis.tables import StudyTables, segment_score
from cartwheel.exports.places import new_file, require
from cartwheel.records import Config, Episode, Segment, Value
from cartwheel.spaces.optuna_distributions import to_optuna_json
from cartwheel.spaces.parameters import Parameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def write_optuna(tables: StudyTables, out: Path) -> Path:
    """Write the storage into a new file, for ``optuna-dashboard sqlite:///FILE``; its path. Raises ConfigError."""
    require("optuna", "optuna")
    import optuna

    from cartwheel.tuners.models.optuna_samplers import quiet_optuna

    storage = f"sqlite:///{new_file(out)}"
    distributions = _distributions(tables)
    name, about = str(tables.meta["name"]), {key: value for key, value in tables.meta.items() if key != "name"}
    newest = {segment.trial: segment for segment in tables.segments.values()}
    shown = {"trials": [newest[trial] for trial in tables.trials], "segments": list(tables.segments.values())}
    with quiet_optuna():
        for kind, segments in shown.items():
            study = optuna.create_study(storage=storage, study_name=f"{name} {kind}", direction="maximize")
            study.set_metric_names(["score"])
            for key, value in about.items():
                study.set_user_attr(key, value)
            study.add_trials([_trial(tables, segment, kind == "trials", distributions) for segment in segments])
    return out


def _distributions(tables: StudyTables) -> "dict[str, BaseDistribution]":
    from optuna.distributions import json_to_distribution

    told = json.loads(to_optuna_json(tables.space))["distributions"]
    return {name: json_to_distribution(json.dumps(one)) for name, one in told.items()}


def _trial(
    tables: StudyTables, segment: Segment, is_whole: bool, distributions: "Mapping[str, BaseDistribution]"
) -> "FrozenTrial":
    """A segment as a trial of Optuna's; ``is_whole``: with everything that its trial ran before."""
    from optuna.trial import TrialState, create_trial

    segments = [s for s in tables.segments.values() if s.trial == segment.trial] if is_whole else [segment]
    params = _params(tables, segment.config, distributions)
    score, report = segment_score(tables, segment.id), tables.reports.get(segment.id)
    state = TrialState.COMPLETE if math.isfinite(score) else TrialState.RUNNING if report is None else TrialState.FAIL
    trial = create_trial(
        state=state,
        value=score if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        intermediate_values=_returns([e for s in segments for e in tables.episodes.get(s.id, ())]),
        user_attrs=_about(tables, segment, params),
    )
    # times of day are not recorded: all begin at the export, and what is true is how long they took
    trial.datetime_start = datetime.now()
    if report is not None:
        wall_s = sum(tables.reports[s.id].wall_s for s in segments if s.id in tables.reports)
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=wall_s)
    return trial


def _params(tables: StudyTables, config: Config, distributions: "Mapping[str, BaseDistribution]") -> dict[str, Any]:
    """What of a config was tuned and acted, and lies in the space: a schedule from elsewhere may leave it."""
    known = {name: value for name, value in config.items() if name in distributions}
    acting = tables.space.acting(known) if known.keys() == distributions.keys() else known.keys()
    return {
        name: value
        for name, value in known.items()
        if name in acting and _is_legal(tables.space.parameters[name], value)
    }


def _is_legal(parameter: Parameter, value: Value) -> bool:
    try:
        parameter.check(value)
    except ValueError:
        return False
    return True


def _about(tables: StudyTables, segment: Segment, params: Mapping[str, Any]) -> dict[str, Any]:
    """The lineage, the gain, and what of the config is no parameter."""
    report, score = tables.reports.get(segment.id), segment_score(tables, segment.id)
    before = -math.inf if segment.parent is None else segment_score(tables, segment.parent)
    gain = score - before if math.isfinite(score) and math.isfinite(before) else None
    return {
        "segment": segment.id,
        "trial": segment.trial,
        "parent": segment.parent,
        "origin": segment.origin,
        "start": segment.start,
        "stop": segment.stop,
        "gain": gain,
        "reason": report.reason if report is not None else "",
        **{f"config.{name}": value for name, value in segment.config.items() if name not in params},
    }


def _returns(episodes: Sequence[Episode]) -> dict[int, float]:
    """By episode of the agent; of one that was run twice, as after a return to an older checkpoint, the last."""
    return {episode.index: episode.return_ for episode in episodes if math.isfinite(episode.return_)}
