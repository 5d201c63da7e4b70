"""Which call of an environment is under way in which thread, so that another thread can see whether one hangs.

Who watches counts the time that it has watched itself: while a process is stopped (SIGSTOP, a suspended machine) clocks
go on, and nothing else does.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an environment that is under way, since when by ``time.monotonic``."""

    what: str
    since: float


_calls: dict[int, Call] = {}
"""By thread, which is in one environment at a time."""


def call_under_way(thread: threading.Thread) -> Call | None:
    """What a thread waits for, if that is an environment."""
    return None if thread.ident is None else _calls.get(thread.ident)


@contextlib.contextmanager
def calling(what: str) -> Iterator[None]:
    """While entered, this thread waits for ``what``."""
    thread = threading.get_ident()
    _calls[thread] = Call(what, time.monotonic())
    try:
        yield
    finally:
        del _calls[thread]


MAX_LOOK_S = 5.0
"""A watcher looks several times a second; if much more has passed, the process was stopped, and so was the call."""


class Watcher:
    """How long threads have been in their calls, to be asked several times a second."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._seen: dict[threading.Thread, tuple[Call, float]] = {}

    def look(self, threads: Sequence[threading.Thread]) -> dict[threading.Thread, tuple[Call, float]]:
        """Of the threads that are in a call: which one, and for how many seconds."""
        now = time.monotonic()
        passed_s, self._looked_at = min(now - self._looked_at, MAX_LOOK_S), now
        calls = {thread: call for thread in threads if (call := call_under_way(thread)) is not None}
        self._seen = {thread: (call, self._waited_s(thread, call, passed_s, now)) for thread, call in calls.items()}
        return self._seen

    def _waited_s(self, thread: threading.Thread, call: Call, passed_s: float, now: float) -> float:
        before, waited_s = self._seen.get(thread, (None, 0.0))
        return waited_s + passed_s if before is call else min(now - call.since, passed_s)
