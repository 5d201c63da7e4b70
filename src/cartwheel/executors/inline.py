"""Runs work items in this process: one thread per set of lanes (one per JAX device), refilled as they become free.

Threads only wait for their device or step environments, so both cores of a laptop are busy with one process, and
which thread runs what changes no result (see ``cartwheel.engines.engine``).
"""

import math
import queue
import threading
from collections.abc import Callable, Sequence

from cartwheel.envs.calls import Call, Watcher
from cartwheel.errors import EnvironmentHangs
from cartwheel.executors.work import ItemDone, Lanes, Outcome, Place, Work, serve
from cartwheel.store.checkpoints import CheckpointStore

_IDLE_POLL_S = 0.05


class InlineExecutor:
    """Sets of lanes, made by ``make_lanes``. Checkpoint files are written by the lanes, the database by nobody here."""

    def __init__(
        self,
        make_lanes: Callable[[Place], Sequence[Lanes]],
        checkpoints: CheckpointStore,
        lanes_per_device: int = 1,
        on_message: Callable[[str], None] = lambda message: None,
        max_call_s: float = math.inf,
    ) -> None:
        self._max_call_s = max_call_s
        self._todo: queue.Queue[Work] = queue.Queue()
        self._outcomes: queue.Queue[Sequence[Outcome] | BaseException] = queue.Queue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._num_open = 0
        self._watcher = Watcher()
        self._lanes = make_lanes(Place(checkpoints, lanes_per_device, self._stop.is_set, on_message))
        self._num_lanes = lanes_per_device * len(self._lanes)
        self._threads = [
            threading.Thread(target=self._serve, args=(lanes,), name=f"lanes-{i}", daemon=True)
            for i, lanes in enumerate(self._lanes)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def device_compile_s(self) -> Sequence[float]:
        """What compiling took so far, by device."""
        return [lanes.compile_s for lanes in self._lanes]

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""
        with self._lock:
            return max(0, self._num_lanes - self._num_open)

    def submit(self, work: Work) -> None:
        """Queue one item; returns at once."""
        with self._lock:
            self._num_open += 1
        self._todo.put(work)

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes since the last call, waiting up to ``timeout_s`` for the first. May be empty.

        Raises EnvironmentHangs if a thread waits for an environment for longer than ``max_call_s``: it cannot be
        ended from here, so nothing more would come.
        """
        outcomes: list[Outcome] = []
        self._watcher.look(self._threads)
        try:
            outcomes.extend(self._checked(self._outcomes.get(timeout=timeout_s)))
            while True:
                later = self._outcomes.get_nowait()
                if isinstance(later, BaseException):  # what came before it is handed over first
                    self._outcomes.put(later)
                    return outcomes
                outcomes.extend(self._checked(later))
        except queue.Empty:
            if not outcomes:
                self._check_that_none_hangs()
            return outcomes

    def close(self) -> None:
        """Abandon running episodes at their next environment step, stop, and free everything.

        A thread that hangs in an environment is left behind: it ends with the process.
        """
        self._stop.set()
        for thread in self._threads:
            while thread.is_alive() and thread not in self._hanging():
                thread.join(_IDLE_POLL_S)

    def _check_that_none_hangs(self) -> None:
        for call in self._hanging().values():
            raise EnvironmentHangs(
                f"{call.what} has taken longer than {self._max_call_s:g} s",
                "engine.max_call_s",
                "the study is safe and the same command goes on: mend the environment, or raise --engine.max-call-s",
            )

    def _hanging(self) -> dict[threading.Thread, Call]:
        seen = self._watcher.look(self._threads)
        return {thread: call for thread, (call, waited_s) in seen.items() if waited_s > self._max_call_s}

    def _checked(self, outcomes: Sequence[Outcome] | BaseException) -> Sequence[Outcome]:
        if isinstance(outcomes, BaseException):
            raise outcomes
        with self._lock:
            self._num_open -= sum(isinstance(outcome, ItemDone) for outcome in outcomes)
        return outcomes

    def _serve(self, lanes: Lanes) -> None:
        """A thread's life."""
        try:
            serve(lanes, self._next_work, self._outcomes.put, self._stop.is_set)
        except BaseException as error:
            self._outcomes.put(error)

    def _next_work(self, waits: bool) -> Work | None:
        try:
            return self._todo.get(timeout=_IDLE_POLL_S) if waits else self._todo.get_nowait()
        except queue.Empty:
            return None
