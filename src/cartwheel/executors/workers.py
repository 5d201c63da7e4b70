"""Runs work items in workers, wherever these are: what ends one of them does not end the study.

A worker that dies is replaced, and its items go on behind their last episode. One that hangs in an environment, or
needs more memory than it may have, is ended, and its items fail. Which worker runs what changes no result (see
``cartwheel.engines.engine``).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cartwheel.envs.calls import MAX_LOOK_S
from cartwheel.errors import ConfigError, WorkersEnd
from cartwheel.executors.assignments import Assignments
from cartwheel.executors.messages import Message, error_from_json, outcome_from_json
from cartwheel.executors.work import Outcome, Work
from cartwheel.executors.worker import GRACE_S
from cartwheel.records import FailureKind

EXIT_S = 1.0
"""What has closed its side is about to end; if it does not, it is made to."""
_WATCH_S = 0.25
_MAX_FALSE_STARTS = 3


@dataclass(slots=True)
class Signs:
    """What a worker has said of itself. ``call_s``: how long ``call`` of its environment takes; 0 if it is in none.

    ``pid`` is 0 until it has made its lanes.
    """

    pid: int = 0
    compile_s: float = 0.0
    call: str = ""
    call_s: float = 0.0
    silence_s: float = 0.0
    looked_at: float = field(default_factory=time.monotonic)

    @property
    def is_ready(self) -> bool:
        """Whether it can run items."""
        return self.pid > 0

    def look(self) -> None:
        """Count how long nothing was heard of it, several times a second: while this process is stopped, it is, too."""
        now = time.monotonic()
        self.silence_s += min(now - self.looked_at, MAX_LOOK_S)
        self.looked_at = now

    def note(self, messages: Sequence[Message]) -> None:
        """Take in what it says."""
        self.silence_s, self.looked_at = 0.0, time.monotonic()
        for message in messages:
            self.pid = message.get("ready", self.pid)
            self.compile_s = message.get("compile_s", self.compile_s)
            if "beat" in message:
                self.call, self.call_s = message["beat"].get("call", ""), message["beat"].get("for_s", 0.0)


class RemoteWorker(Protocol):
    """A worker as the study's process sees it."""

    signs: Signs

    @property
    def memory_mib(self) -> float:
        """Resident memory; 0 if it has ended, or if somebody else watches that."""

    def send(self, work: Work) -> None:
        """Have it run an item. Nothing happens if it is gone: that is seen when it is listened to."""

    def receive(self) -> list[Message]:
        """What it has said, which ``signs`` has taken in. Raises EOFError when it has ended."""

    def let_go(self) -> None:
        """Tell it to stop."""

    def end(self, timeout_s: float) -> str:
        """Wait so long until it has ended, then make it end; what ended it, in words."""


class Crew(Protocol):
    """Where workers come from."""

    num_workers: int
    lanes_per_worker: int

    def start(self, index: int) -> Any:
        """A new RemoteWorker, in the place of that number."""

    def wait(self, workers: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those that have something to say, waiting so long for the first."""

    def close(self) -> None:
        """Free what it holds; its workers have ended."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Beyond which a worker is ended. ``max_memory_mib`` of resident memory; None: as much as there is.

    ``max_silence_s``: a worker that lives is heard of several times a second, whatever its lanes do; one that is not
    has stopped, or is in code that lets no other thread run. Starting takes seconds, too.
    """

    max_call_s: float = math.inf
    max_memory_mib: int | None = None
    max_silence_s: float = 60.0


UNBOUNDED = Bounds()


class WorkersExecutor:
    """Lanes in the workers of a crew, started when there is work for them."""

    def __init__(
        self, crew: Crew, on_message: Callable[[str], None] = lambda message: None, bounds: Bounds = UNBOUNDED
    ) -> None:
        self._crew, self._bounds = crew, bounds
        self._say = on_message
        self._items = Assignments(crew.num_workers, crew.lanes_per_worker)
        self._workers: dict[int, RemoteWorker] = {}
        self._num_false_starts = 0
        self._errors: list[Exception] = []
        self._compile_s: dict[tuple[int, int], float] = {}  # by worker and process

    @property
    def device_compile_s(self) -> Sequence[float]:
        """What compiling took so far, by worker; one that took another's place goes on counting."""
        by_worker = [0.0] * self._crew.num_workers
        for (index, _), spent_s in self._compile_s.items():
            by_worker[index] += spent_s
        return by_worker

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""
        return self._items.num_free

    @property
    def workers(self) -> list[RemoteWorker]:
        """Those that run now."""
        return list(self._workers.values())

    def submit(self, work: Work) -> None:
        """Queue one item; returns at once."""
        self._items.add(work)
        self._hand_out()

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes since the last call, waiting up to ``timeout_s`` for the first. May be empty.

        Raises what ended a worker where it is not an item's own failure, and WorkersEnd if none can even start; but
        what came before it is handed over first.
        """
        until = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, until - time.monotonic())
            outcomes = [] if self._errors else [*self._listen(min(left_s, _WATCH_S)), *self._watch()]
            if self._errors and not outcomes:
                raise self._errors.pop(0)
            if not self._errors:
                self._hand_out()
            if outcomes or not left_s:
                return outcomes

    def close(self) -> None:
        """Have all workers abandon their episodes and end; those that do not, within seconds, are made to."""
        for worker in self._workers.values():
            worker.let_go()
        until = time.monotonic() + GRACE_S + EXIT_S
        for worker in self._workers.values():
            worker.end(max(0.0, until - time.monotonic()))
        self._workers.clear()
        self._crew.close()

    def _hand_out(self) -> None:
        num_wanted = min(self._crew.num_workers, self._items.num_open)
        for index in range(self._crew.num_workers):
            if index not in self._workers and len(self._workers) < num_wanted:
                self._workers[index] = self._crew.start(index)
        ready = [index for index, worker in self._workers.items() if worker.signs.is_ready]
        for index, work in self._items.hand_out(ready, len(self._workers) - len(ready)):
            self._workers[index].send(work)

    def _listen(self, timeout_s: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        if not self._workers:
            time.sleep(timeout_s)
        talking = self._crew.wait(self.workers, timeout_s)
        for index, worker in list(self._workers.items()):
            if not any(worker is one for one in talking):
                continue
            try:
                for message in worker.receive():
                    outcomes += self._take(index, message)
            except EOFError:
                outcomes += self._lost(index)
        return outcomes

    def _take(self, index: int, message: Message) -> list[Outcome]:
        """The outcomes of a message, if it holds any."""
        if "ready" in message or "outcomes" in message:
            self._num_false_starts = 0
        if "say" in message:
            self._say(f"worker {index}: {message['say']}")
        if "error" in message:
            self._errors.append(error_from_json(message["error"]))
            return []
        outcomes = [outcome_from_json(told) for told in message.get("outcomes", ())]
        self._items.note(index, outcomes)
        signs = self._workers[index].signs
        self._compile_s[index, signs.pid] = signs.compile_s
        return outcomes

    def _lost(self, index: int) -> list[Outcome]:
        """A worker has ended, though nobody asked it to."""
        worker = self._workers.pop(index)
        why = worker.end(EXIT_S)
        self._num_false_starts += not worker.signs.is_ready
        if self._num_false_starts >= _MAX_FALSE_STARTS:
            step = "the study is safe: see what they printed, or go on with --executor inline"
            cause = f"{_MAX_FALSE_STARTS} workers in a row ended before they were ready: {why}"
            self._errors.append(WorkersEnd(cause, "", step))
        self._say(f"worker {index} was lost ({why}); what it ran goes on behind its last episode")
        return self._items.lose(index, why)

    def _watch(self) -> list[Outcome]:
        """End workers that are beyond their bounds."""
        outcomes: list[Outcome] = []
        for index, worker in list(self._workers.items()):
            worker.signs.look()
            try:
                beyond = self._beyond(worker)
            except ConfigError as error:
                self._errors.append(error)
                continue
            if beyond is not None:
                kind, reason = beyond
                self._workers.pop(index).end(0.0)
                self._say(f"worker {index} was ended: {reason}")
                outcomes += self._items.end(index, reason, kind)
        return outcomes

    def _beyond(self, worker: RemoteWorker) -> tuple[FailureKind, str] | None:
        """What bound a worker has broken, if any."""
        bounds, signs = self._bounds, worker.signs
        if signs.call_s > bounds.max_call_s:
            return "timeout", f"{signs.call} has taken longer than {bounds.max_call_s:g} s (engine.max_call_s)"
        if signs.silence_s > bounds.max_silence_s + bounds.max_call_s:
            return "timeout", f"nothing was heard of it for {signs.silence_s:.0f} s"
        memory_mib = 0.0 if bounds.max_memory_mib is None else worker.memory_mib
        if bounds.max_memory_mib is None or memory_mib <= bounds.max_memory_mib:
            return None
        if not signs.is_ready:
            cause = f"a worker needs {memory_mib:.0f} MiB before it runs anything"
            raise ConfigError(cause, "engine.max_worker_memory_mib", "allow workers more memory")
        most = f"{bounds.max_memory_mib} (engine.max_worker_memory_mib)"
        return "out_of_memory", f"{memory_mib:.0f} MiB of memory are more than {most}"
