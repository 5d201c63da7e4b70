"""SIGINT and SIGTERM: the first asks for a stop that loses nothing, the second ends the process at once."""

import signal
from types import FrameType
from typing import Any

from cartwheel.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """While entered, says whether a signal has asked to stop: call it."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self._received is not None

    @property
    def exit_code(self) -> ExitCode:
        """What the shell expects after this signal; a stop for another reason counts as an interruption."""
        return ExitCode.TERMINATED if self._received == signal.SIGTERM else ExitCode.INTERRUPTED

    def __enter__(self) -> "StopSignal":
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received = number
        # from now on the system itself ends the process, even while compiled code runs and Python cannot listen
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
