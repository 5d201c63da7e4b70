"""Which call of an environment is under way in which thread, so that another thread can see whether one hangs."""

import contextlib
import threading
import time
from collections.abc import Iterator
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
