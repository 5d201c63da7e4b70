"""A study as it runs, on a terminal: a table that keeps itself current, or what ``plain`` offers.

All views are observers (see ``cartwheel.observer``) and context managers.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, TextIO, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cartwheel.analysis.wording import duration, number
from cartwheel.exploits import OnExploit
from cartwheel.observer import Observer
from cartwheel.records import Episode, Evaluation, Event, Report, Segment
from cartwheel.report.plain import (
    ONLY_FIRST,
    Compilation,
    JsonView,
    LineView,
    QuietView,
    UnfailingStream,
    compilation,
    evaluation_text,
    failure_text,
    incidents,
    message_text,
    origin_text,
    so_far,
)
from cartwheel.report.progress import Member, Progress, is_copy
from cartwheel.store.reading import KeptEvaluation

MAX_ROWS = 24
"""Members shown in the table: of more, the best."""


class View(Observer, Protocol):
    """An observer that owns the terminal while it is entered."""

    def __enter__(self) -> "View": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_view(
    *,
    total_episodes: int | None = None,
    noun: str = "trial",
    is_quiet: bool = False,
    is_json: bool = False,
    on_exploit: OnExploit = "keep",
    stream: TextIO | None = None,
) -> View:
    """The view for a stream (standard output): a table on a terminal, else a line per event.

    ``noun`` is what a trial is called, ``total_episodes`` what all of them will run, if that is known; ``on_exploit``
    what counts of an episode whose physics broke.
    """
    stream = stream or sys.stdout
    if is_quiet:
        return QuietView()
    if is_json:
        return JsonView(stream)
    progress = Progress(total_episodes, on_exploit)
    console = Console(file=cast("TextIO", UnfailingStream(stream)))
    can_redraw = console.is_terminal and not console.is_dumb_terminal
    return TableView(progress, noun, console) if can_redraw else LineView(progress, noun, stream)


class _Compiling:
    """What compiles now, and since when, by device: a line that moves, and counts the seconds whenever it is drawn."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._spinner = clock, Spinner("dots")
        self.since: dict[str, float] = {}

    def note(self, about: Compilation) -> None:
        """Something has begun to compile, or has compiled."""
        self.since.pop(about.place, None)
        if not about.is_over:
            self.since[about.place] = self._clock()

    def __rich__(self) -> Spinner:
        now = self._clock()
        places = ", ".join(f"{place} ({duration(now - since)})" for place, since in list(self.since.items()))
        self._spinner.update(text=Text(f"compiling for {places} ... ({ONLY_FIRST})"))
        return self._spinner


class TableView:
    """A live table: a row per member, the best marked, and a line with what the whole study has come to."""

    def __init__(
        self, progress: Progress, noun: str, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress, self._noun, self._clock = progress, noun, clock
        self._live = Live(console=console, refresh_per_second=4)
        self._lock = threading.Lock()
        self._compiling = _Compiling(clock)

    def __enter__(self) -> "TableView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._compiling.since.clear()
        self._show()
        self._live.__exit__(None, None, None)

    def on_begin(self, past: Sequence[Event]) -> None:
        with self._lock:
            self._progress.begin(past, self._clock())
        self._show()

    def on_issued(self, segment: Segment) -> None:
        with self._lock:
            self._progress.issue(segment)
        self._show()

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        if isinstance(item, Segment):
            with self._lock:
                self._progress.add_episode(item, episode, self._clock())
        self._show()

    def on_report(self, report: Report) -> None:
        with self._lock:
            self._progress.add_report(report)
        if report.status != "done":
            self._live.console.print(Text(failure_text(report), "red"))
        self._show()

    def on_evaluation(self, result: KeptEvaluation) -> None:
        self._live.console.print(Text(evaluation_text(result)))

    def on_message(self, message: str) -> None:
        """May come from another thread. What compiles shows as a spinner, everything else as a line above the table."""
        about = compilation(message)
        with self._lock:
            if about is not None:
                self._compiling.note(about)
        if about is None or about.is_over:
            self._live.console.print(Text(message_text(message)))
        self._show()

    def _show(self) -> None:
        with self._lock:
            self._live.update(self.renderable())

    def renderable(self) -> RenderableType:
        """The table and the line below it."""
        progress = self._progress
        best = progress.best
        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        table.add_column(self._noun, justify="right")
        for heading in ("segment", "episode", "last return", "score"):
            table.add_column(heading, justify="right")
        table.add_column("now")
        shown = _shown(list(progress.members.values()))
        for member in shown:
            table.add_row(*self._cells(member), style="bold cyan" if member is best else "")
        lines = [so_far(progress, self._noun, self._clock()), incidents(progress)]
        below = [Text("  " + "   ".join(line)) for line in lines if line]
        if len(shown) < len(progress.members):
            below.insert(0, Text(f"  and {len(progress.members) - len(shown)} more", "dim"))
        return Group(table, *below, *([self._compiling] if self._compiling.since else []))

    def _cells(self, member: Member) -> list[str]:
        segment = member.segment
        state = {None: "running", "done": "done", "diverged": "diverged", "failed": "failed"}[member.status]
        now = origin_text(segment, self._noun) if member.status is None and is_copy(segment) else state
        return [
            str(member.trial),
            str(segment.index),
            f"{member.last_episode} of {segment.stop}",
            "" if math.isnan(member.last_return) else number(member.last_return),
            "" if math.isnan(member.score) else number(member.score),
            now,
        ]


def _shown(members: list[Member]) -> list[Member]:
    """All members by number; of too many, the best."""
    if len(members) > MAX_ROWS:
        worst_last = sorted(members, key=lambda m: (-m.score if math.isfinite(m.score) else math.inf, m.trial))
        members = worst_last[:MAX_ROWS]
    return sorted(members, key=lambda member: member.trial)
