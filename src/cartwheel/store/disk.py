"""What is said when a disk does not take something: how many bytes it was, and how many are free."""

import shutil
from pathlib import Path

from cartwheel.errors import StorageError

NEXT_STEP = "free or repair the disk, then run the same command again"


def cannot_write(what: str, cause: str | None, place: Path) -> StorageError:
    """The error to raise. ``what`` says how many bytes too, ``place`` is a file or folder, ``cause`` the system's."""
    return StorageError(f"cannot write {what}: {cause}; {_free_text(place)}", str(place), NEXT_STEP)


def _free_text(place: Path) -> str:
    """As far as the system says: this is asked of a disk that has just failed."""
    try:
        return f"{shutil.disk_usage(place if place.exists() else place.parent).free} bytes are free"
    except OSError:
        return "how many are free is unknown"
