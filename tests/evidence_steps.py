"""Runs the steps of evidence on the synthetic agent, and remembers what was run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cartwheel.tuning import Running
from synthetic_executor import SyntheticBackend

T = TypeVar("T")


@dataclass
class Steps:
    """Stops for good before the step of number ``stop_at``, counted from 0."""

    stop_at: int | None = None
    titles: list[str] = field(default_factory=list)
    num_episodes: int = 0

    def __call__(self, title: str, num_episodes: int | None, step: Callable[[Running], T]) -> T:
        is_stopped = self.stop_at is not None and len(self.titles) >= self.stop_at
        self.titles.append(title)
        self.num_episodes += num_episodes or 0
        return step(Running(backend=SyntheticBackend(), should_stop=lambda: is_stopped))
