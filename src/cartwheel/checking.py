"""``cartwheel check``: is everything in a run folder, and in the run folders inside it, what was written?

Beside what the store can examine: whether the settings can be read, and whether a fresh tuner takes the log.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartwheel.analysis.wording import plural
from cartwheel.errors import ConfigError, StorageError
from cartwheel.records import Issued, SegmentId
from cartwheel.reruns import FollowSchedule
from cartwheel.retention import needed
from cartwheel.schedules.schedule import Schedule
from cartwheel.spec import StudySpec, load_spec, parse_spec
from cartwheel.store.examining import WRITES, Examination, Finding, examine
from cartwheel.store.owner import Ownership, is_owned, read_owner
from cartwheel.store.repairing import repair
from cartwheel.store.run_folder import DATABASE, LOCK, SPEC, write_text
from cartwheel.store.state import StudyState
from cartwheel.tuners.base import Tuner
from cartwheel.tuning import NUM_FINALISTS

SETTINGS = ("kind", "spec", "plan")
"""What of a study's own data nothing else follows from."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one run folder. ``notes`` are worth knowing and nothing bad; ``owner`` runs the study now.

    ``backup`` is where the old database went if it was repaired.
    """

    path: Path
    examination: Examination
    findings: list[Finding]
    notes: list[str]
    owner: str | None = None
    backup: Path | None = None


def run_folders(path: Path) -> list[Path]:
    """The run folders at and below a path, the outer ones first. Raises StorageError if there is none."""
    found = sorted(
        {database.parent for database in path.rglob(DATABASE)}, key=lambda folder: (len(folder.parts), folder)
    )
    if not found:
        raise StorageError("there is no study here", str(path), "name a folder that `cartwheel tune` has made")
    return found


def check(path: Path) -> Checked:
    """Examine one run folder and change nothing. Raises StorageError if too little is left of the study."""
    lock = path / LOCK
    owner = read_owner(lock) if is_owned(lock) else None
    examination = examine(path)
    findings, notes = list(examination.findings), _notes(examination)
    try:
        settings = _settings(examination.state.meta, path)
    except ConfigError as error:
        findings.append(Finding(f"{DATABASE}, meta", str(error), "restore a backup of the folder"))
        return Checked(path, examination, findings, notes, owner)
    findings += _about_missing_settings(examination)
    findings += _about_study_file(path, settings.spec)
    try:
        tuner = settings.tuner()
        findings += _about_tuner(tuner, examination.state)
        notes += _about_missing_checkpoints(examination.state, settings, tuner)
    except ConfigError as error:
        notes.append(f"the log was not replayed with the tuner: {error}")
    return Checked(path, examination, findings, notes, owner)


def check_and_repair(path: Path) -> Checked:
    """Examine one run folder and repair what is bad.

    Raises AlreadyOwned if another process runs the study, StorageError if it cannot be repaired.
    """
    ownership = Ownership(path / LOCK)
    try:
        checked = check(path)
        if not checked.findings:
            return dataclasses.replace(checked, owner=None)
        settings = _settings(checked.examination.state.meta, path)
        meta = {**checked.examination.state.meta, **settings.meta}
        state = dataclasses.replace(checked.examination.state, meta=meta)
        backup = repair(path, dataclasses.replace(checked.examination, state=state))
        write_text(path / SPEC, settings.spec.to_toml())
        return dataclasses.replace(checked, owner=None, backup=backup)
    finally:
        ownership.release()


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a study is."""

    kind: str
    spec: StudySpec
    plan: Mapping[str, Any]

    @property
    def meta(self) -> dict[str, Any]:
        return {"kind": self.kind, "spec": self.spec.to_dict(), "plan": dict(self.plan)}

    @property
    def num_best(self) -> int:
        """So many of the final ranking are chosen from."""
        return NUM_FINALISTS if self.kind == "tune" else len(self.plan["seeds"])

    def tuner(self) -> Tuner:
        """A fresh one. Raises ConfigError if it cannot be made here."""
        if self.kind == "tune":
            return self.spec.make_tuner()
        return FollowSchedule(Schedule.from_text(self.plan["schedule"]), len(self.plan["seeds"]))


def _settings(meta: Mapping[str, Any], path: Path) -> _Settings:
    """What a study is, where one row of three is lost from what is left. Raises ConfigError if it cannot be known."""
    known = {name: meta[name] for name in SETTINGS if name in meta}
    if known.keys() == {"kind", "plan"}:
        known["spec"] = load_spec(path / SPEC, {}).to_dict()
    elif known.keys() == {"kind", "spec"} and known["kind"] == "tune":
        known["plan"] = {}
    elif known.keys() == {"spec", "plan"} and not known["plan"]:
        known["kind"] = "tune"
    if known.keys() != set(SETTINGS):
        raise ConfigError(f"what the study is has been lost: {', '.join(sorted(set(SETTINGS) - known.keys()))}")
    return _Settings(known["kind"], parse_spec(known["spec"], {}, str(path)), known["plan"])


def _notes(examination: Examination) -> list[str]:
    state, notes = examination.state, list[str]()
    if examination.num_spare_files:
        notes.append(f"{examination.num_spare_files} files that nothing needs: `cartwheel tune` deletes them")
    other = [id_ for id_ in _done(state) & state.checkpoints.keys() if _is_another(state, id_)]
    if other:
        notes.append(
            f"checkpoint of segment {', '.join(sorted(other))}: made again, with other bits than were reported"
        )
    return notes


def _about_missing_checkpoints(state: StudyState, settings: _Settings, tuner: Tuner) -> Iterator[str]:
    """``tuner`` was told the log."""
    missing = _done(state) - state.checkpoints.keys()
    if settings.spec.keep == "needed":
        open_segments = [event.segment for event in state.events if isinstance(event, Issued)]
        items = [own for own in open_segments if own.id not in state.reports]
        evaluations = [kept.evaluation for kept in state.evaluations]
        dropped = missing - needed(tuner, settings.num_best, [*items, *evaluations])
        missing -= dropped
        if dropped:
            yield f"{plural(len(dropped), 'checkpoint')} dropped, because nothing can ask for them any more (keep)"
    if missing:
        what = plural(len(missing), "checkpoint")
        yield f"{what} of finished segments not kept: made again where they are needed"


def _done(state: StudyState) -> set[SegmentId]:
    return {id_ for id_, report in state.reports.items() if report.status == "done"}


def _is_another(state: StudyState, id_: Any) -> bool:
    kept = state.checkpoints[id_].kept
    return kept.is_final and kept.digest != state.reports[id_].checkpoint


def _about_missing_settings(examination: Examination) -> Iterator[Finding]:
    for name in SETTINGS:
        place = f"{DATABASE}, meta (key {name})"
        if name not in examination.state.meta and all(finding.place != place for finding in examination.findings):
            yield Finding(place, "is missing", WRITES)


def _about_study_file(path: Path, spec: StudySpec) -> Iterator[Finding]:
    try:
        if load_spec(path / SPEC, {}) == spec:
            return
        cause = f"is not the study of {DATABASE}"
    except ConfigError as error:
        cause = error.cause
    yield Finding(SPEC, cause, f"--repair writes it anew from {DATABASE}")


def _about_tuner(tuner: Tuner, state: StudyState) -> Iterator[Finding]:
    """Whether the log could have come of this tuner."""
    for number, event in enumerate(state.events, start=1):
        try:
            tuner.tell(event)
        except ValueError as error:
            place = f"{DATABASE}, event {number} of {len(state.events)}"
            yield Finding(place, f"the tuner does not take it: {error}", "restore a backup, or begin anew")
            return
    if state.meta.get("is_done") and not tuner.is_done:
        yield Finding(f"{DATABASE}, meta", "says that the study is done, and its tuner is not", "run `cartwheel tune`")
