"""A warm interpreter that forks a child for every run of the command line: milliseconds in place of a second.

It imports no JAX and has one thread, so a child is as good as a fresh process. ``python -m faults.nursery`` is the
server: it reads requests from standard input, one JSON object a line, and answers each with a number.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cartwheel.tuning import Running, tune
from faults.child import Settings, run_command
from faults.steps import Fault
from synthetic_executor import SyntheticBackend, small_spec

LIMIT_S = 120
"""A child that hangs is ended, and the test fails."""
TESTS = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    """For processes that import the tests' modules: no threads of BLAS, no bytecode written while steps are counted."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"), "1")
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **single, "PYTHONPATH": path}


class Nursery:
    """Starts children and waits for them. ``prefix``: a command that makes surroundings and then becomes the server."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, "-m", "faults.nursery"]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        self.pid = self._answer()  # it is warm

    def start(self, folder: Path, words: Sequence[str], settings: Settings) -> int:
        """Run ``cartwheel WORDS`` in a folder; its process id, which is that of its process group too."""
        return self._ask(folder=str(folder), words=words, settings=dataclasses.asdict(settings))

    def wait(self, pid: int) -> int:
        """The exit code of a child; negative, the signal that ended it."""
        return self._ask(wait=pid)

    def close(self) -> None:
        """End the server."""
        self._server.communicate()

    def _ask(self, **request: Any) -> int:
        assert self._server.stdin is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return self._answer()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def serve() -> None:
    """Answer requests until there are no more."""
    _warm_up()
    assert "jax" not in sys.modules
    assert len(os.listdir("/proc/self/task")) == 1, "a process that has threads must not fork"
    print(os.getpid(), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(_waited(request["wait"]) if "wait" in request else _forked(request), flush=True)


def _warm_up() -> None:
    """Import what every child would: a study does."""
    from cartwheel.cli import app, commands  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        tune(small_spec(), Path(folder), Running(backend=SyntheticBackend()))


def _waited(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _forked(request: dict[str, Any]) -> int:
    if pid := os.fork():
        with contextlib.suppress(OSError):  # the child has done it already, or has come to its end
            os.setpgid(pid, pid)
        return pid
    os.setpgid(0, 0)  # by both, so that there is a process group when either goes on
    signal.alarm(LIMIT_S)
    about = request["settings"]
    settings = Settings(**{**about, "fault": Fault(**about["fault"]) if about["fault"] else None})
    os._exit(run_command(Path(request["folder"]), request["words"], settings))


if __name__ == "__main__":
    serve()
