"""Where an export goes, and what it needs: both are checked before anything is written."""

import importlib.util
from pathlib import Path

from cartwheel.errors import ConfigError, StorageError


def require(package: str, extra: str) -> None:
    """Raises ConfigError, saying what to install, if a package is missing."""
    if importlib.util.find_spec(package) is None:
        step = f"pip install 'cartwheel[{extra}]'"
        raise ConfigError(f"this format needs the package {package}, which is not installed", "--format", step)


def new_folder(out: Path) -> Path:
    """The folder, made. Raises ConfigError if it exists and is not empty, StorageError if it cannot be made."""
    try:
        if out.exists() and any(out.iterdir()):
            raise ConfigError("the folder is not empty", str(out), "choose a new one with --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write the export: {error.strerror}", str(out), "choose another --out") from error
    return out


def new_file(out: Path) -> Path:
    """The path of a file that does not exist yet, in a folder that does. Raises as ``new_folder``."""
    if out.exists():
        raise ConfigError("the file exists", str(out), "choose a new one with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write the export: {error.strerror}", str(out), "choose another --out") from error
    return out
