"""Every step that a process takes on disk, counted, named and made to fail: Python's own calls and SQLite's.

A step is a call that changes the disk or makes a change durable: open to write, write, sync, rename, unlink, truncate,
mkdir. Python's are caught where ``os`` and ``io`` define them, SQLite's in its file layer (``sqlite_steps.py``).
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from faults import sqlite_steps

T = TypeVar("T")
CALLS = ("fsync", "ftruncate", "mkdir", "pwrite", "rename", "replace", "truncate", "unlink")
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR

Action = Literal["kill-before", "kill-after", "error"]


@dataclass(frozen=True)
class Fault:
    """``at``: the step, counted from 1. ``lasts``: every later step fails as well, as on a disk that stays full."""

    at: int
    action: Action
    errno: int = errno.ENOSPC
    lasts: bool = False


@dataclass
class Steps:
    """Takes the steps, until the one at which the fault happens."""

    fault: Fault | None
    names: list[str] = field(default_factory=list)

    def take(self, name: str, step: Callable[[], T]) -> T:
        """Raises OSError where the fault says so."""
        self.names.append(name)
        action = self._action()
        if action == "error":
            assert self.fault is not None
            raise OSError(self.fault.errno, os.strerror(self.fault.errno))
        if action == "kill-before":
            _die()
        result = step()
        if action == "kill-after":
            _die()
        return result

    def _action(self) -> Action | None:
        if self.fault is None:
            return None
        number = len(self.names)
        is_now = number == self.fault.at or (self.fault.lasts and number > self.fault.at)
        return self.fault.action if is_now else None


def install(fault: Fault | None) -> Steps:
    """From now on this process takes its steps on disk through the ``Steps`` that are returned. For ever."""
    steps = Steps(fault)
    for name in CALLS:
        setattr(os, name, _through(steps, name, getattr(os, name)))
    os.open = _open_through(steps, os.open)  # type: ignore[assignment]
    io.open = _file_through(steps, io.open)  # type: ignore[assignment]
    sqlite_steps.install(steps.take)
    return steps


def _through(steps: Steps, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda target, *rest, **more: steps.take(f"{name} {kind(target)}", lambda: call(target, *rest, **more))


def _open_through(steps: Steps, call: Callable[..., int]) -> Callable[..., int]:
    def open_(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not flags & WRITE_FLAGS or path == os.devnull:
            return call(path, flags, *rest, **more)
        return steps.take(f"open {kind(path)}", lambda: call(path, flags, *rest, **more))

    return open_


def _file_through(steps: Steps, call: Callable[..., Any]) -> Callable[..., Any]:
    def open_(path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if not set(mode) & set("wxa+"):
            return call(path, mode, *rest, **more)
        raw = steps.take(f"open {kind(path)}", lambda: _Raw(steps, path, mode.replace("b", "")))
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding=more.get("encoding"))

    return open_


class _Raw(io.FileIO):
    """A file whose writes are steps."""

    def __init__(self, steps: Steps, path: Any, mode: str) -> None:
        super().__init__(path, mode)
        self._steps, self._kind = steps, kind(path)

    def write(self, data: Any) -> int:
        return self._steps.take(f"write {self._kind}", lambda: super(_Raw, self).write(data))


def kind(target: Any) -> str:
    """What a path or a descriptor is, the same for all files of a sort."""
    path = Path(os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fsdecode(target))
    return f"*{path.suffix}" if path.suffix in (".tmp", ".safetensors") and len(path.stem) > 30 else path.name


def _die() -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
