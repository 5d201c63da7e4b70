"""What happens to workers in the middle of a study, at moments that are drawn at random from a fixed seed."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cartwheel.executors.work import EpisodeDone, Outcome
from cartwheel.executors.workers import WorkersExecutor
from cartwheel.tuning import Running, tune
from executor_contract import Start, WorkersBackend
from faults import count
from snapshot import settled
from synthetic_executor import SyntheticBackend, population_spec

NUM_KILLS = count(ci=10, long=50)

Strike = Callable[[WorkersExecutor, random.Random], bool]
"""Does it; False if it cannot be done just now."""


class Striker:
    """Strikes so many times, each time a random moment after an episode that came since the last time."""

    def __init__(self, num_strikes: int, strike: Strike) -> None:
        self.left = num_strikes
        self._strike = strike
        self._random = random.Random(1)
        self._next_at: float | None = None

    def watching(self, start: Start) -> Start:
        """Executors whose outcomes are seen here before the study sees them."""

        def started(*arguments: Any, **options: Any) -> WorkersExecutor:
            executor = start(*arguments, **options)
            assert isinstance(executor, WorkersExecutor)
            next_outcomes = executor.next_outcomes

            def watched(timeout_s: float) -> Sequence[Outcome]:
                outcomes = next_outcomes(min(timeout_s, 0.02))
                self._perhaps_strike(executor, any(isinstance(outcome, EpisodeDone) for outcome in outcomes))
                return outcomes

            executor.next_outcomes = watched  # type: ignore[method-assign]
            return executor

        return started

    def _perhaps_strike(self, executor: WorkersExecutor, has_progress: bool) -> None:
        if self._next_at is None and has_progress:
            self._next_at = time.monotonic() + self._random.uniform(0.0, 0.1)
        if not self.left or self._next_at is None or time.monotonic() < self._next_at:
            return
        if self._strike(executor, self._random):
            self.left, self._next_at = self.left - 1, None


def check_that_kills_change_nothing(start: Start, kill: Strike, folder: Path, pace_s: float) -> None:
    """A study of which two workers are killed again and again completes, with the rows and files of a quiet one."""
    spec = population_spec(num_episodes=4 + 2 * NUM_KILLS)
    tune(spec, folder / "quiet", Running(backend=SyntheticBackend()))
    striker = Striker(NUM_KILLS, kill)
    backend = WorkersBackend(striker.watching(start), 2, {"pace_s": pace_s})
    study = tune(spec, folder / "killed", Running(backend=backend))
    assert striker.left == 0, "the study was over before all were killed"
    assert study.is_done
    assert settled(folder / "killed") == settled(folder / "quiet")
