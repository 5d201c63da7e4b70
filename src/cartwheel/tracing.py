"""A trace of JAX's own profiler, of some seconds in which agents plan and fit: for ``cartwheel tune --profile``.

How much time went where is recorded of every study (``analysis/timing.py``); this shows what the devices of this
process did, operation by operation. It slows these seconds down and changes no result.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from cartwheel.observer import SilentObserver
from cartwheel.records import Episode, Evaluation, Segment

TRACE_S = 0.5
"""So long, which makes some 15 MB: a trace of minutes would be more than anybody can look at."""
PROFILE = "profile"
"""The folder in a run folder; TensorBoard and Perfetto open what lies in it."""


class Trace(SilentObserver):
    """Traces ``TRACE_S`` seconds, from the first finished episode on: by then programs are compiled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._timer: threading.Timer | None = None

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:  # noqa: ARG002 - an observer's
        if self._timer is None:
            self._timer = _begin(self._folder)

    def close(self) -> None:
        """End what still runs."""
        if self._timer is not None and self._timer.is_alive():
            self._timer.cancel()
            self._timer.function()


def _begin(folder: Path) -> threading.Timer:
    import jax

    jax.profiler.start_trace(folder)
    timer = threading.Timer(TRACE_S, jax.profiler.stop_trace)
    timer.daemon = True
    timer.start()
    return timer


@contextlib.contextmanager
def traced(run_dir: Path, is_wanted: bool) -> Iterator[tuple[Trace, ...]]:
    """Who traces into ``profile/`` of a run folder, if that is wanted; over when this is left."""
    traces = (Trace(run_dir / PROFILE),) if is_wanted else ()
    try:
        yield traces
    finally:
        for trace in traces:
            trace.close()
