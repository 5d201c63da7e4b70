"""A study as it runs, in plain text: a line per event, a JSON object per event, or nothing.

What cannot be printed any more, because the reader of a pipe has gone, is dropped: a study must not fail because
nobody watches.
"""

import contextlib
import json
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from cartwheel.analysis.wording import duration, number, plural
from cartwheel.observer import SilentObserver
from cartwheel.records import Episode, Evaluation, Event, Report, Segment, in_words
from cartwheel.report.progress import Progress, is_copy
from cartwheel.store.reading import KeptEvaluation

_COMPILATION = re.compile(r"(?P<worker>worker \d+: )?(?P<how>compiling|compiled) for (?P<place>.+?)(?: in [\d.]+ s)?")
"""What lanes say when they begin to compile a program, and when they have; workers are named before it."""
ONLY_FIRST = "a first run takes longest: later ones find it in the cache"


class QuietView(SilentObserver):
    """Says nothing."""

    def __enter__(self) -> "QuietView":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class JsonView:
    """One JSON object per line and event, for programs. A number that is not finite is null."""

    def __init__(self, stream: TextIO) -> None:
        self._print = Printer(stream)

    def __enter__(self) -> "JsonView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_begin(self, past: Sequence[Event]) -> None:
        self._tell("begin", num_past_events=len(past))

    def on_issued(self, segment: Segment) -> None:
        about = {"trial": segment.trial, "start": segment.start, "stop": segment.stop, "config": dict(segment.config)}
        self._tell("issued", segment=segment.id, origin=segment.origin, parent=segment.parent, **about)

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        kind, segment = ("episode", item.id) if isinstance(item, Segment) else ("evaluation_episode", item.segment)
        self._tell(kind, segment=segment, index=episode.index, **{"return": episode.return_}, length=episode.length)

    def on_report(self, report: Report) -> None:
        how = {"status": report.status, "kind": report.kind, "reason": report.reason}
        self._tell("report", segment=report.segment, **how, wall_s=report.wall_s)

    def on_evaluation(self, result: KeptEvaluation) -> None:
        segment, returns = result.evaluation.segment, list(result.returns)
        how = {"status": result.status, "kind": result.kind, "reason": result.reason}
        self._tell("evaluation", segment=segment, **how, returns=returns)

    def on_message(self, message: str) -> None:
        self._tell("message", message=message)

    def _tell(self, event: str, **about: Any) -> None:
        self._print(json.dumps(_finite({"event": event, **about})))


class LineView:
    """One plain line per event, for logs."""

    def __init__(
        self, progress: Progress, noun: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress, self._noun, self._print, self._clock = progress, noun, Printer(stream), clock

    def __enter__(self) -> "LineView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_begin(self, past: Sequence[Event]) -> None:
        self._progress.begin(past, self._clock())
        if past:
            self._print(f"resuming after {plural(self._progress.num_episodes, 'episode')}")

    def on_issued(self, segment: Segment) -> None:
        self._progress.issue(segment)
        if is_copy(segment):
            self._print(
                f"{self._noun} {segment.trial} {origin_text(segment, self._noun)} after episode {segment.start}"
            )

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        if isinstance(item, Evaluation):
            self._print(f"validation of segment {item.segment}: return {number(episode.return_)}")
            return
        self._progress.add_episode(item, episode, self._clock())
        kind = "random episode" if episode.is_random else f"episode {episode.index}"
        self._print(f"{self._noun} {item.trial} {kind}: return {number(episode.return_)} ({self._summary()})")

    def on_report(self, report: Report) -> None:
        self._progress.add_report(report)
        if report.status != "done":
            self._print(failure_text(report))

    def on_evaluation(self, result: KeptEvaluation) -> None:
        self._print(evaluation_text(result))

    def on_message(self, message: str) -> None:
        self._print(message_text(message))

    def _summary(self) -> str:
        return ", ".join(so_far(self._progress, self._noun, self._clock()))


class Printer:
    """Prints lines at once, from any thread, until nobody reads them any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._lock, self._is_open = stream, threading.Lock(), True

    def __call__(self, line: str) -> None:
        with self._lock:
            if self._is_open:
                try:
                    print(printable(line), file=self._stream, flush=True)
                except (OSError, ValueError):
                    self._is_open = False


class UnfailingStream:
    """A stream that drops what it cannot take, because the terminal has gone for example."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def printable(text: str) -> str:
    """One line without control characters: messages may quote what an environment or a file said."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def so_far(progress: Progress, noun: str, now_s: float) -> list[str]:
    """Best, episodes done and time left: whatever is known of them."""
    of = f" of {progress.total_episodes:,}" if progress.total_episodes is not None else ""
    parts = [f"{progress.num_episodes:,}{of} episodes"]
    if progress.best is not None:
        parts.insert(0, f"best {number(progress.best.score)} by {noun} {progress.best.trial}")
    if (eta_s := progress.eta_s(now_s)) is not None:
        parts.append(f"{duration(eta_s)} left")
    return parts


def incidents(progress: Progress) -> list[str]:
    """Copies made, episodes whose physics broke, and segments that ended badly, as far as there are any."""
    noted = [f"{plural(progress.num_copies, 'copy')} made"] if progress.num_copies else []
    if progress.num_implausible:
        noted.append(f"{plural(progress.num_implausible, 'episode')} of implausible physics")
    return noted + [f"{plural(times, 'segment')} {status}" for status, times in sorted(progress.failures.items())]


def origin_text(segment: Segment, noun: str) -> str:
    """Where a copy comes from."""
    source = str(segment.parent).partition(".")[0]
    return f"copied {noun} {source}" if segment.origin == "copy" else f"went back to {noun} {source}"


def failure_text(report: Report) -> str:
    """Which segment ended badly, how and why."""
    return _ended_badly(f"segment {report.segment}", report)


def evaluation_text(result: KeptEvaluation) -> str:
    """How a validation ended."""
    name = f"validation of segment {result.evaluation.segment}"
    if result.status != "done":
        return _ended_badly(name, result)
    return f"{name}: mean {number(sum(result.returns) / len(result.returns))} of {len(result.returns)}"


def _ended_badly(name: str, end: Report | KeptEvaluation) -> str:
    kind = "" if end.kind is None else f" ({in_words(end.kind)})"
    return printable(f"{name} {end.status}{kind}: {end.reason or 'no reason given'}")


@dataclass(frozen=True, slots=True)
class Compilation:
    """A message about compiling: for which device, and whether it is over."""

    place: str
    is_over: bool


def compilation(message: str) -> Compilation | None:
    """What a message says about compiling; None if it is about something else."""
    found = _COMPILATION.fullmatch(message)
    if found is None:
        return None
    return Compilation((found["worker"] or "") + found["place"], found["how"] == "compiled")


def message_text(message: str) -> str:
    """A message as it is; that something compiles is explained."""
    begun = compilation(message)
    is_begun = begun is not None and not begun.is_over
    return printable(f"{message} ... ({ONLY_FIRST})" if is_begun else message)


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
