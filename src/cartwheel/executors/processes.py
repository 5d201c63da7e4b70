"""Workers in processes of this machine, each with its own JAX: started afresh (never forked: JAX has threads).

Workers write checkpoint files themselves, and tell outcomes over a socket.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import cast

from cartwheel.executors.messages import Channel, Message, Recipe, work_to_json
from cartwheel.executors.work import Work
from cartwheel.executors.workers import Signs
from cartwheel.store.checkpoints import CheckpointStore

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Processes:
    """The crew of this machine."""

    def __init__(self, recipe: Recipe, checkpoints: CheckpointStore, num_workers: int, lanes_per_worker: int) -> None:
        self.num_workers, self.lanes_per_worker = num_workers, lanes_per_worker
        self._recipe, self._folder = recipe, checkpoints.folder

    def start(self, index: int) -> "WorkerProcess":
        """A new process, on its share of the cores."""
        cores = cores_of(index, self.num_workers)
        return WorkerProcess(self._recipe, self._folder, self.lanes_per_worker, index, cores)

    def wait(self, workers: Sequence["WorkerProcess"], timeout_s: float) -> Sequence["WorkerProcess"]:
        """Those that have something to say, or have ended."""
        by_descriptor = {worker.fileno(): worker for worker in workers}
        return [by_descriptor[cast(int, descriptor)] for descriptor in wait(list(by_descriptor), timeout_s)]

    def close(self) -> None:
        """Nothing is left to free."""


class WorkerProcess:
    """One process."""

    def __init__(self, recipe: Recipe, checkpoints: Path, num_lanes: int, index: int, cores: Sequence[int]) -> None:
        self.signs = Signs()
        ours, theirs = socket.socketpair()
        with theirs, _without_interrupts():
            module = "cartwheel.executors.worker"
            self._process = subprocess.Popen(
                # -P: a file that happens to lie in the current folder is not imported
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment(),
            )
        self._channel = Channel(ours)
        hello = {"checkpoints": str(checkpoints.absolute()), "num_lanes": num_lanes, "index": index}
        about = {"maker": recipe.maker, "arguments": dict(recipe.arguments), "cores": list(cores)}
        with contextlib.suppress(EOFError):  # what ended it at once is seen when it is listened to
            self._channel.send({**hello, **about})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory_mib(self) -> float:
        """Resident memory; 0 if the process has ended."""
        try:
            statm = Path(f"/proc/{self.pid}/statm").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return int(statm.split()[1]) * _PAGE_BYTES / 2**20

    def fileno(self) -> int:
        """For waiting until it says something."""
        return self._channel.fileno()

    def send(self, work: Work) -> None:
        """Have it run an item. Nothing happens if it is gone: that is seen when it is listened to."""
        with contextlib.suppress(EOFError):
            self._channel.send({"work": work_to_json(work)})

    def receive(self) -> list[Message]:
        """What it has said. Raises EOFError when it has ended."""
        messages = self._channel.receive(0.0)
        self.signs.note(messages)
        return messages

    def let_go(self) -> None:
        """Tell it to stop."""
        self._channel.close()

    def end(self, timeout_s: float) -> str:
        """Wait so long until it has ended, then make it end; what ended it, in words."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._channel.close()
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def environment() -> dict[str, str]:
    """A worker's environment: it imports what this process would import."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path}


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """A terminal's Ctrl-C goes to the children too; a child born with it blocked is not hit while it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores_of(index: int, num_workers: int) -> list[int]:
    """A worker's share of the cores that this process may use; workers share them if there are more of these."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return cores[index::num_workers] or [cores[index % len(cores)]]
