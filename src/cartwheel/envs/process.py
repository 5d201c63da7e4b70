"""The process of one environment, as the study sees it: started afresh, listened to, and ended. It runs ``child``."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from cartwheel.envs.channel import Broken, Channel
from cartwheel.envs.making import CannotMake, one_line

Recipe: TypeAlias = Mapping[str, Any]
"""What a process is to make, as JSON: ``isolated`` writes it, ``child`` reads it."""

START_S = 120.0
"""Starting an interpreter and importing takes seconds, on a busy machine more; no environment's code runs yet."""
END_S = 5.0
"""A process that was told to end, by closing its socket, gets so long to close its environment."""
MAX_LOG_BYTES = 2**20
_TAIL_BYTES = 2000


def begin(recipe: Recipe, max_call_s: float, log: Path | None) -> "tuple[Process, dict[str, Any]]":
    """A process that has made what the recipe says, and what it answered. Raises CannotMake if it could not."""
    process, what = Process(log), f"env_id {recipe['env_id']!r}"
    try:
        process.channel.receive(max(START_S, max_call_s))
        process.channel.send(dict(recipe))
        answer, _ = process.channel.receive(max_call_s)
    except TimeoutError:
        process.kill()
        reason = f"making it has taken longer than {max_call_s:g} s: its process was killed"
        raise CannotMake(f"{what}: {reason}", "timeout") from None
    except Broken:
        raise CannotMake(f"{what}: making it {process.death()}") from None
    if "cannot_make" in answer:
        process.end()
        raise CannotMake(str(answer["cannot_make"]))
    return process, answer


class Process:
    """A running child: the socket to it, and what it has printed last."""

    def __init__(self, log: Path | None) -> None:
        ours, theirs = socket.socketpair()
        paths = [path or os.getcwd() for path in sys.path]
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "cartwheel.envs.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the study's; and what it starts can be killed with it
                # it computes no agent, so it takes no accelerator
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"},
            )
        self.channel = Channel(ours)
        self._tail = b""
        self._log = log
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    def kill(self) -> None:
        """End it now, with whatever it has started."""
        self.channel.close()
        self._kill_group()
        self._popen.wait()

    def end(self) -> None:
        """Let it close its environment, then end it."""
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END_S)
        self.kill()

    def death(self) -> str:
        """How it ended, in words; it is ended if it has not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END_S)
        self.kill()
        self._reader.join(END_S)
        code = self._popen.returncode
        how = f"ended its process by {signal.Signals(-code).name}" if code < 0 else f"ended its process, code {code}"
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return one_line(how + (f"; it said: {lines[-1]}" if lines else ""))

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _read_output(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            while part := os.read(output.fileno(), 2**16):
                self._tail = (self._tail + part)[-_TAIL_BYTES:]
                self._write(part)

    def _write(self, part: bytes) -> None:
        """Into the log, as long as there is room; a log that cannot be written must not harm a study."""
        if self._log is None:
            return
        try:
            with self._log.open("ab") as file:
                file.write(part[: max(0, MAX_LOG_BYTES - file.tell())])
        except OSError:
            self._log = None
