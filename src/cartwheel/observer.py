"""Who wants to know how a study is going: a live table, lines on a terminal, a test."""

from collections.abc import Sequence
from typing import Protocol

from cartwheel.records import Episode, Evaluation, Event, Report, Segment
from cartwheel.store.reading import KeptEvaluation


class Observer(Protocol):
    """Told only what is committed already. Must return at once and never raise."""

    def on_begin(self, past: Sequence[Event]) -> None:
        """The study begins, or goes on after these events."""

    def on_issued(self, segment: Segment) -> None:
        """A segment is about to run."""

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        """One more episode is acknowledged; also told once more, at the beginning, for segments that go on."""

    def on_report(self, report: Report) -> None:
        """A segment ended."""

    def on_evaluation(self, result: KeptEvaluation) -> None:
        """An evaluation ended."""

    def on_message(self, message: str) -> None:
        """Something the user should know; may come from another thread."""


class SilentObserver:
    """Does nothing with what it hears; who wants to know of some of it overrides that."""

    def on_begin(self, past: Sequence[Event]) -> None:
        pass

    def on_issued(self, segment: Segment) -> None:
        pass

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        pass

    def on_report(self, report: Report) -> None:
        pass

    def on_evaluation(self, result: KeptEvaluation) -> None:
        pass

    def on_message(self, message: str) -> None:
        pass
