"""A user's own task from a Python file, run because its user says so on the command line, and for no other reason.

    cartwheel tune --task-file my_task.py

A study remembers the file's SHA-256, so that it is never resumed with other formulas, and its path for people to read:
nothing that is read from a study or a run folder ever runs a file.
"""

import hashlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from cartwheel.envs.making import TASK_FILE_MODULE, describe, is_users_interrupt
from cartwheel.envs.tasks import Task, register_task
from cartwheel.errors import ConfigError
from cartwheel.user_files import read_user_file

NAME = "task"


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file that was run: the task that it defines is registered."""

    path: Path
    sha256: str
    task: Task


_loaded: dict[str, tuple[bytes, Task]] = {}
"""By the SHA-256 of the files that this process has run: what ran, and the task that came of it."""


def load_task_file(path: Path) -> TaskFile:
    """Run a Python file and register its ``task``. Raises ConfigError, with the line, if it cannot be used."""
    return run_task_source(read_user_file(path, "task file"), path)


def run_task_source(source: bytes, path: Path) -> TaskFile:
    """The same for what was read from ``path``."""
    digest = hashlib.sha256(source).hexdigest()
    module = ModuleType(f"{TASK_FILE_MODULE}{digest[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickling look classes up by their module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException as error:
        if is_users_interrupt(error):
            raise
        raise ConfigError(f"the task file raised {describe(error)}", _place(path, error), "correct it") from error
    task = getattr(module, NAME, None)
    if not isinstance(task, Task):
        found = "defines no" if task is None else f"has a {type(task).__name__} as"
        step = "write `task = task_for(...)` or `task = Task(...)`: see docs/adding-a-task.md"
        raise ConfigError(f"the task file {found} `{NAME}`", str(path), step)
    if digest not in _loaded:
        _register(task, path)
    _loaded[digest] = source, task
    return TaskFile(path, digest, task)


def source_of(sha256: str) -> bytes:
    """The text of a file that this process has run."""
    return _loaded[sha256][0]


def loaded_task(sha256: str) -> Task:
    """The task of a file that this process has run."""
    return _loaded[sha256][1]


def require_loaded(path: str, sha256: str) -> None:
    """Raises ConfigError unless this process has run that very file: a path that was read is never run."""
    if sha256 not in _loaded:
        others = "".join(f"; the one given has {other[:12]}..." for other in _loaded)
        cause = f"the task comes from a file with SHA-256 {sha256[:12]}...{others}"
        raise ConfigError(cause, path, f"give that file: --task-file {path}")


def _register(task: Task, path: Path) -> None:
    try:
        register_task(task)
    except ValueError as error:
        raise ConfigError(str(error), str(path), "give the task an id of its own") from error


def _place(path: Path, error: BaseException) -> str:
    """The file, and the last of its lines that the error passed."""
    if isinstance(error, SyntaxError):
        return f"{path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)
