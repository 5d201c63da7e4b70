"""One process at a time may run a study: whoever holds the lock on ``study.lock``.

The kernel releases the lock when its holder dies, however it dies, so a stale owner needs no guessing; the file's
contents only say whom to name in the refusal.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path

from cartwheel.errors import AlreadyOwned, StorageError
from cartwheel.store.disk import cannot_write

RETRY_S = 0.05
"""Longer than ``is_owned`` holds the lock, so that who only asks keeps nobody from running a study."""

NAME_TRIES = 10


class Ownership:
    """The right to write in a run folder. Raises AlreadyOwned, naming process and host, if another has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write in the run folder: {error.strerror}", str(path)) from error
        try:
            self._lock()
        except BlockingIOError:
            os.close(self._descriptor)
            raise AlreadyOwned(
                f"the study is being run by {read_owner(path)}", str(path.parent), "wait for it or stop it first"
            ) from None
        except OSError as error:
            os.close(self._descriptor)
            raise StorageError(f"this file system has no locks: {error.strerror}", str(path)) from error
        # A forked child shares the lock: without this it would keep a killed study locked while it lives.
        os.register_at_fork(after_in_child=self._forget)
        self._write_name()

    def release(self) -> None:
        """Let another process run the study. Does nothing the second time."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # without the lock the name means nothing to anybody
                os.truncate(self._descriptor, 0)
        self._forget()

    def _lock(self) -> None:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(RETRY_S)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _write_name(self) -> None:
        name = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        try:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, name, 0)
        except OSError as error:
            self._forget()
            raise cannot_write(f"the owner's name of {len(name)} bytes", error.strerror, self._path) from error

    def _forget(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_owned(path: Path) -> bool:
    """Whether some process holds the lock on a lock file. Nothing is made or changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks: no study can be run on it
    finally:
        os.close(descriptor)
    return False


def read_owner(path: Path) -> str:
    """``process PID on HOST`` from a lock file, as far as it can be read.

    Who has just taken the lock writes its name a moment later: it is waited for.
    """
    for _ in range(NAME_TRIES):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            owner = json.loads(path.read_bytes()[:1000])
            return f"process {int(owner['pid'])} on {owner['host']}"
        time.sleep(RETRY_S)
    return "another process"
