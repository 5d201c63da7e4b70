"""What can go wrong in a way the user can act on: one line with the cause, the place and the next step.

Everything else is a defect of Cartwheel and keeps its traceback.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What ``cartwheel`` returns to the shell."""

    DONE = 0
    USAGE = 2
    CONFIG = 3
    STORAGE = 4
    FAILED_TRIALS = 5
    INTERRUPTED = 130
    TERMINATED = 143


class CartwheelError(Exception):
    """An error to show as one line. ``place`` names the file and key, ``next_step`` what to do or run."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, cause: str, place: str = "", next_step: str = "") -> None:
        self.cause, self.place, self.next_step = cause, place, next_step
        message = cause + (f" ({place})" if place else "") + (f"; {next_step}" if next_step else "")
        super().__init__(" ".join(message.split()))


class UsageError(CartwheelError):
    """The command line asks for something that makes no sense together."""


class AllTrialsFailed(CartwheelError):
    """A finished study has no agent to go on with."""

    exit_code = ExitCode.FAILED_TRIALS


class ConfigError(CartwheelError):
    """A study file, an option or a run folder's settings cannot be used."""

    exit_code = ExitCode.CONFIG


class EnvironmentHangs(CartwheelError):
    """A call of an environment does not return. The study has stopped and can be resumed."""

    exit_code = ExitCode.CONFIG


class WorkersEnd(CartwheelError):
    """Worker processes end before they can run anything. The study has stopped and can be resumed."""

    exit_code = ExitCode.CONFIG


class StorageError(CartwheelError):
    """The run folder cannot be read or written."""

    exit_code = ExitCode.STORAGE


class AlreadyOwned(StorageError):
    """Another process runs this study."""


class CorruptCheckpoint(StorageError):
    """A checkpoint file is missing or is not what was written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` if something known is close to ``word``, else the list of what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
