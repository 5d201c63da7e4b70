"""Moving what was found: configs and schedules of studies and of files, followed on their own and on other tasks.

Under one folder, every training is a study of its own, and ``transfers.json`` says what was moved where:

    FOLDER/TARGET/default/           the default config on the target's test seeds
    FOLDER/TARGET/SOURCE-ARM-SEED/   what was found there, followed here
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cartwheel.analysis.evidence import Compared
from cartwheel.analysis.transfer import Kind, Moved, kind_of_tuner
from cartwheel.errors import ConfigError, StorageError
from cartwheel.evidence.protocol import HowTested, RunStep, followed
from cartwheel.evidence.reading import scores_of_rerun
from cartwheel.results import Study
from cartwheel.schedules.files import ScheduleFile
from cartwheel.schedules.fitting import simplify
from cartwheel.schedules.scaling import scales_in_words
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec
from cartwheel.store.run_folder import write_text

MANIFEST = "transfers.json"
FROM_FILE = "a file"


@dataclass(frozen=True, slots=True)
class Source:
    """What is moved; ``task``: where it was found, ``arm``: how; ``is_tested``: its study has rerun it already;
    ``whole``: the arm that it simplifies."""

    task: str
    arm: str
    kind: Kind
    tuner_seed: int
    schedule: Schedule
    is_tested: bool = False
    whole: str = ""

    @property
    def slug(self) -> str:
        """A folder's name. Another schedule under the same name, as of an edited file, is refused by ``followed``."""
        return slug(f"{self.task}-{self.arm}-{self.tuner_seed}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the manifest; ``path`` below the folder. The default config has no source."""

    target: str
    path: str
    source: str = ""
    arm: str = ""
    kind: Kind = "static"
    tuner_seed: int = 0
    whole: str = ""


def sources_of(compared: Compared, num_pieces: int | None = None) -> list[Source]:
    """A study's found schedule; with ``num_pieces``, where it changes, the nearest one of so many pieces beside it."""
    about, study = compared.result, Study(compared.run_dir)
    kind = kind_of(compared)
    found = Source(about.task, about.arm, kind, about.tuner_seed, study.schedule(), bool(about.rerun))
    if num_pieces is None or len(found.schedule.pieces) <= num_pieces:
        return [found]
    space = compared.tables.space.only(found.schedule.pieces[0].config)
    simple = simplify(found.schedule, space, num_pieces, "constant").schedule
    name = f"{about.arm}, {num_pieces} pieces"
    return [found, Source(about.task, name, kind, about.tuner_seed, simple, whole=about.arm)]


def source_of_file(file: ScheduleFile) -> Source:
    """A schedule of a file, such as one that came with the paper: known by its name, and by what was scaled in it."""
    schedule = file.read()
    arm = ", ".join(filter(None, [file.path.stem, scales_in_words(schedule)]))
    return Source(FROM_FILE, arm, "dynamic" if len(schedule.pieces) > 1 else "static", 0, schedule)


def transfer(
    sources: Sequence[Source], targets: Mapping[str, StudySpec], folder: Path, tests: HowTested, run_step: RunStep
) -> bool:
    """Follow every source, and the default config, on every target. False if it was stopped: the same call goes on.

    What its own study has rerun is not followed at home again: ``analysis.transfer.with_home`` has that.
    Schedules longer than a target's training are cut; of shorter ones the last config stays in force.
    """
    entries = []
    for target, spec in targets.items():
        default = Schedule((Piece(0, spec.num_episodes, {}),))
        moved = [(Entry(target, f"{slug(target)}/default"), default)]
        for source in sources:
            if source.is_tested and source.task == target:
                continue
            path = f"{slug(target)}/{source.slug}"
            entry = Entry(target, path, source.task, source.arm, source.kind, source.tuner_seed, source.whole)
            moved.append((entry, fitted(source.schedule, spec.num_episodes)))
        for entry, schedule in moved:
            title = f"{source_label(entry)} on {target}"
            if not followed(folder / entry.path, spec, schedule, tests, title, run_step):
                return False
            entries.append(entry)
    _write_manifest(folder, entries)
    return True


def read_transfers(folder: Path) -> tuple[list[Moved], dict[str, dict[int, float]]]:
    """What was moved, with its scores, and the scores of the default config by target. Empty without a manifest."""
    entries = _read_manifest(folder)
    scores = {entry.path: scores_of_rerun(folder / entry.path) for entry in entries}
    moved = [
        Moved(entry.source, entry.arm, entry.kind, entry.tuner_seed, entry.target, scores[entry.path], entry.whole)
        for entry in entries
        if entry.source and scores[entry.path]
    ]
    return moved, {entry.target: scores[entry.path] for entry in entries if not entry.source}


def kind_of(one: Compared) -> Kind:
    """Whether a study's tuner changes configs while agents train."""
    return kind_of_tuner(one.tables.meta["tuner"])


def fitted(schedule: Schedule, num_episodes: int) -> Schedule:
    """The schedule for a training of that length."""
    if schedule.num_episodes >= num_episodes:
        return schedule.first(num_episodes)
    *before, last = schedule.pieces
    return replace(schedule, pieces=(*before, Piece(last.start, num_episodes, last.config)))


def source_label(entry: Entry) -> str:
    """What is moved, for people."""
    return f"{entry.arm} of {entry.source}, seed {entry.tuner_seed}" if entry.source else "The default config"


def slug(text: str) -> str:
    """A folder's name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()


def _write_manifest(folder: Path, entries: Sequence[Entry]) -> None:
    """Beside what is there already: other sources may have been moved before."""
    kept = {entry.path: entry for entry in [*_read_manifest(folder), *entries]}
    write_text(folder / MANIFEST, json.dumps([asdict(entry) for entry in kept.values()], indent=1) + "\n")


def _read_manifest(folder: Path) -> list[Entry]:
    path = folder / MANIFEST
    if not path.exists():
        return []
    try:
        data: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in data]
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"not a list of transfers: {error}", str(path), "delete it and transfer again") from error
    for entry in entries:
        if Path(entry.path).is_absolute() or ".." in Path(entry.path).parts:
            raise ConfigError(f"a transfer outside its folder: {entry.path}", str(path), "delete it and transfer again")
    return entries
