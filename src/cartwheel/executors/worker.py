"""A worker: an interpreter of its own that runs lanes for the process that started it, and ends with it.

    python -m cartwheel.executors.worker DESCRIPTOR PARENT

It is told over a socket how to make its lanes and which items to run, and tells outcomes back. The end of the socket
means stop: running episodes are abandoned at their next environment step. It takes no signals of a terminal: its
parent does, and decides.
"""

import contextlib
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cartwheel.envs.calls import Watcher
from cartwheel.executors.messages import Channel, Message, Recipe, error_to_json, outcome_to_json, work_from_json
from cartwheel.executors.work import Outcome, Place, Work, serve
from cartwheel.store.checkpoints import CheckpointStore

BEAT_S = 0.25
"""So often a worker says that it lives, and what it waits for."""
GRACE_S = 5.0
"""A worker whose parent is gone, or has closed, ends itself after so long, whatever it is in."""
_IDLE_POLL_S = 0.05
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


class Line(Protocol):
    """What a worker speaks to its parent by, such as a ``Channel``."""

    def send(self, message: Message) -> None:
        """Raises EOFError if nobody is there to receive it."""

    def receive(self, timeout_s: float) -> list[Message]:
        """Messages that have come, waiting so long for something; perhaps none. Raises EOFError at the end."""


class Worker:
    """One thread runs lanes; another one listens, and says that this process lives."""

    def __init__(self, channel: Line, messages: Sequence[Message] = ()) -> None:
        self._channel = channel
        self._todo: queue.Queue[Work] = queue.Queue()
        self._stop = threading.Event()
        self._take(messages)

    def run(self, recipe: Recipe, checkpoints: CheckpointStore, num_lanes: int, index: int) -> None:
        """Run lanes until the parent closes. What goes wrong is told to the parent."""
        threading.Thread(target=self._listen, args=(threading.current_thread(),), daemon=True).start()
        place = Place(checkpoints, num_lanes, self._stop.is_set, self._say, index)
        try:
            self._lanes = recipe.make(place)
            self._channel.send({"ready": os.getpid()})
            serve(self._lanes, self._next_work, self._tell, self._stop.is_set)
        except EOFError:
            return
        except BaseException as error:
            with contextlib.suppress(EOFError):
                self._channel.send({"error": error_to_json(error)})

    def _listen(self, runner: threading.Thread) -> None:
        watcher = Watcher()
        try:
            while True:
                self._take(self._channel.receive(BEAT_S))
                self._channel.send({"beat": _beat(runner, watcher)})
        except EOFError:
            self._stop.set()
            time.sleep(GRACE_S)
            os._exit(1)

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._todo.put(work_from_json(message["work"]))

    def _say(self, text: str) -> None:
        self._channel.send({"say": text})

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        told = [outcome_to_json(outcome) for outcome in outcomes]
        self._channel.send({"outcomes": told, "compile_s": self._lanes.compile_s})

    def _next_work(self, waits: bool) -> Work | None:
        try:
            return self._todo.get(timeout=_IDLE_POLL_S) if waits else self._todo.get_nowait()
        except queue.Empty:
            return None


def _beat(runner: threading.Thread, watcher: Watcher) -> Message:
    """What the lanes wait for in an environment, and since how long."""
    for call, waited_s in watcher.look([runner]).values():
        return {"call": call.what, "for_s": waited_s}
    return {}


def _end_with(parent: int) -> None:
    """Have the system end this process with its parent, where it can: even code that lets no thread listen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _use_cores(cores: Sequence[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def main() -> None:
    """The program."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    descriptor, parent = map(int, sys.argv[1:])
    _end_with(parent)
    channel = Channel(socket.socket(fileno=descriptor))
    hello, *works = _first_messages(channel)
    _use_cores(hello["cores"])
    recipe = Recipe(hello["maker"], hello["arguments"])
    store = CheckpointStore(Path(hello["checkpoints"]))
    Worker(channel, works).run(recipe, store, hello["num_lanes"], hello["index"])


def _first_messages(channel: Channel) -> list[Message]:
    while not (messages := channel.receive(GRACE_S)):
        pass
    return messages


if __name__ == "__main__":
    main()
