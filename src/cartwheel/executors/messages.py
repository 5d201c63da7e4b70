"""What crosses from one process to another, as JSON: work items, outcomes, errors, and how lanes are made.

Nothing but JSON crosses, so nothing that is received can run code. Floats and integers come back as they were.
"""

import dataclasses
import json
import pkgutil
import select
import socket
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from cartwheel import errors
from cartwheel.errors import CartwheelError
from cartwheel.executors.work import EpisodeDone, ItemDone, Lanes, Outcome, Place, StartFrom, Work
from cartwheel.records import Episode, Evaluation, Segment, StoredFile, segment_from_json

Message: TypeAlias = dict[str, Any]

_CHUNK_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a fresh interpreter makes its lanes: ``maker`` is ``module:function``, called with the arguments and a Place.

    ``arguments`` are plain JSON.
    """

    maker: str
    arguments: Mapping[str, Any]

    def make(self, place: Place) -> Lanes:
        """The lanes."""
        return cast(Lanes, pkgutil.resolve_name(self.maker)(self.arguments, place))


def work_to_json(work: Work) -> Message:
    """A JSON-ready dict; ``work_from_json`` is its inverse."""
    return {**dataclasses.asdict(work), "item": _item_to_json(work.item), "seed": list(work.seed)}


def work_from_json(fields: Message) -> Work:
    """The work item that ``work_to_json`` turned into ``fields``."""
    start = fields["start_from"]
    return Work(
        **{
            **fields,
            "item": _item_from_json(fields["item"]),
            "seed": tuple(fields["seed"]),
            "start_from": None if start is None else StartFrom(**start),
        }
    )


def outcome_to_json(outcome: Outcome) -> Message:
    """A JSON-ready dict; ``outcome_from_json`` is its inverse."""
    kind = "episode" if isinstance(outcome, EpisodeDone) else "end"
    return {kind: {**dataclasses.asdict(outcome), "item": _item_to_json(outcome.item)}}


def outcome_from_json(message: Message) -> Outcome:
    """The outcome that ``outcome_to_json`` turned into ``message``."""
    ((kind, fields),) = message.items()
    item = _item_from_json(fields["item"])
    if kind == "episode":
        files = tuple(StoredFile(**file) for file in fields["files"])
        return EpisodeDone(**{**fields, "item": item, "episode": Episode(**fields["episode"]), "files": files})
    broken = fields["broken"]
    return ItemDone(**{**fields, "item": item, "broken": None if broken is None else Episode(**broken)})


def error_to_json(error: BaseException) -> Message:
    """What ended a worker: what a user can act on keeps its kind, anything else is told with its traceback."""
    if isinstance(error, CartwheelError):
        return {"type": type(error).__name__, "about": [error.cause, error.place, error.next_step]}
    return {"type": "", "about": ["".join(traceback.format_exception(error))]}


def error_from_json(fields: Message) -> Exception:
    """The error to raise here for one that a worker told of."""
    if not fields["type"]:
        return RuntimeError(f"a worker failed:\n{fields['about'][0]}")
    kind = getattr(errors, fields["type"])
    return cast(CartwheelError, kind(*fields["about"]))


def _item_to_json(item: Segment | Evaluation) -> Message:
    return {type(item).__name__: dataclasses.asdict(item)}


def _item_from_json(message: Message) -> Segment | Evaluation:
    ((kind, fields),) = message.items()
    return segment_from_json(fields) if kind == Segment.__name__ else Evaluation(**fields)


class Channel:
    """JSON messages over a socket, one a line. Any thread may send; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._lock = threading.Lock()
        self._received = b""

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Raises EOFError if nobody is there to receive it."""
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError as error:
            raise EOFError from error

    def receive(self, timeout_s: float) -> list[Message]:
        """Messages that have come, waiting so long for something; perhaps none. Raises EOFError at the end."""
        if not select.select([self], [], [], timeout_s)[0]:
            return []
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except OSError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        *lines, self._received = (self._received + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """The other side sees the end."""
        self._socket.close()
