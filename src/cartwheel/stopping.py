"""SIGINT and SIGTERM: the first asks for a stop that loses nothing, the second ends the process at once.

Python runs a signal's handler when its main thread comes back to Python, which compiled code may not let it for long,
and a stop that was asked for may have to wait for such code in another thread. So a thread of its own hears of signals
too, and ends the process if it has not stopped in time: nothing acknowledged is lost by that. Only code that lets no
other thread run keeps this thread from it; then SIGKILL remains.
"""

import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

from cartwheel.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 8.0
"""A study stops within 10 s: what is left is for ending the process on a busy machine."""


class StopSignal:
    """While entered, says whether a signal has asked to stop: call it. Only for the main thread."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self._received is not None

    @property
    def exit_code(self) -> ExitCode:
        """What the shell expects after this signal; a stop for another reason counts as an interruption."""
        return ExitCode.INTERRUPTED if self._received is None else _exit_code(self._received)

    def __enter__(self) -> "StopSignal":
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        heard, self._told = socket.socketpair()
        self._told.setblocking(False)
        self._woken_before = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(heard,), name="signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._woken_before)
        self._told.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received = number
        # from now on the system itself ends the process, even while compiled code runs and Python cannot listen
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)


def _exit_code(number: int) -> ExitCode:
    return ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED


def _watch(heard: socket.socket) -> None:
    """A thread's life: it ends with the other end of the socket, or ends the process."""
    with heard:
        first = _next_signal(heard)
        if first is None:
            return
        heard.settimeout(PATIENCE_S)
        try:
            is_over = _next_signal(heard) is None
        except TimeoutError:
            is_over = False
        if not is_over:
            os.write(2, b"cartwheel: ended while compiled code was running; the same command goes on\n")
            os._exit(_exit_code(first))


def _next_signal(heard: socket.socket) -> int | None:
    """Which of ours comes next; None if no more will. Raises TimeoutError."""
    while byte := heard.recv(1):
        if byte[0] in SIGNALS:
            return byte[0]
    return None
