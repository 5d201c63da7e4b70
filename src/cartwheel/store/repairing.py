"""Make a damaged run folder sound again: drop what is bad, down to the newest good ancestors, and keep the rest.

The new database is written beside the old one and takes its place in one step, so a repair that is interrupted has
changed nothing but for files that are bad anyway. The old one is kept.
"""

import dataclasses
import os
import shutil
from pathlib import Path

from cartwheel.errors import StorageError
from cartwheel.store.checkpoints import CheckpointStore, sync_folder
from cartwheel.store.examining import Examination, written
from cartwheel.store.run_folder import CHECKPOINTS, DATABASE
from cartwheel.store.state import StudyState

BACKUP = f"{DATABASE}.before-repair"
_NEW = f"{DATABASE}.repaired"


def repair(path: Path, examination: Examination) -> Path:
    """Keep only what can be relied on; where the old database is now. Only for the folder's owner.

    Raises StorageError if the disk does not take it.
    """
    store = CheckpointStore(path / CHECKPOINTS)
    try:
        backup = _keep(path / DATABASE)
        _replace(path, examination.state)
        for digest in examination.bad_files:
            store.delete(digest)
    except OSError as error:
        raise StorageError(f"cannot repair: {error.strerror}", str(path), "free or repair the disk") from error
    return backup


def _keep(database: Path) -> Path:
    """Copy the database as it is to a name that nothing has yet."""
    number = 1
    while (backup := database.with_name(f"{BACKUP}-{number}")).exists():
        number += 1
    with database.open("rb") as old, backup.open("xb") as copy:
        shutil.copyfileobj(old, copy)
        copy.flush()
        os.fsync(copy.fileno())
    sync_folder(database.parent)
    return backup


def _replace(path: Path, state: StudyState) -> None:
    new = path / _NEW
    journals = [path / f"{name}-journal" for name in (DATABASE, _NEW)]
    for leftover in (new, journals[1]):
        leftover.unlink(missing_ok=True)
    # what was dropped may have to run again
    undone = dataclasses.replace(state, meta={**state.meta, "is_done": False})
    with written(undone, new, is_in_memory=False):
        pass
    for journal in journals:
        journal.unlink(missing_ok=True)
    new.replace(path / DATABASE)
    sync_folder(path)
