"""What a tuner is: a pure decision maker, told events and asked for segments.

``ask`` only reads; state changes by ``tell`` alone. The study commits and tells ``Issued`` before a segment runs,
so resuming a study is telling a fresh tuner the same events again. A tuner has no threads, clocks, files or global
random numbers: a draw is a function of (seed, purpose, trial, index).
"""

import dataclasses
from typing import Any, Protocol

from cartwheel.records import Event, Segment, SegmentId


class Tuner(Protocol):
    """One study's decision maker."""

    def ask(self, num_free: int) -> list[Segment]:
        """At most ``num_free`` segments to run next; empty while the tuner waits for reports, or when it is done.

        Asking twice without telling gives the same answer.
        """

    def tell(self, event: Event) -> None:
        """Learn that a segment was issued, has reported, or will never report.

        Raises ValueError on an event that does not follow from the ones before it.
        """

    @property
    def is_done(self) -> bool:
        """Whether the budget is used up and every issued segment has reported."""

    def ranking(self) -> list[SegmentId]:
        """The newest finished segment of every trial that has one, best score first; ties: the older trial first.

        A tuner that stops trials early ranks by budget first, like Hyperband's authors: an early score is no result.
        """

    def needed(self, num_best: int) -> set[SegmentId]:
        """Finished segments whose checkpoints may be asked for from now on, whatever happens; if unsure, all.

        To start a segment from, or because they may be among the ``num_best`` first of the final ranking. What is not
        needed once never is again, unless the study is extended.
        """

    def state(self) -> dict[str, Any]:
        """Everything the tuner knows, as JSON: equal states decide alike.

        ``warnings``, if there, is a list of what the user should know before a study begins.
        """


def settings_state(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as JSON has it: tuples are lists."""
    plain = dataclasses.asdict(settings)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
