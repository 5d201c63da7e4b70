"""Lanes of synthetic agents for executors of all kinds, in any process: they need no JAX, and start at once.

They can be told to take their time, to end their process, to hang, and to need memory, each once or whenever a segment
comes to an episode: as the worst of environments does.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cartwheel.envs.calls import calling
from cartwheel.errors import StorageError
from cartwheel.executors.messages import Recipe
from cartwheel.executors.work import Outcome, Place, Work, name_of
from synthetic_executor import SyntheticExecutor

MIB = 2**20


def recipe(**behaviour: Any) -> Recipe:
    """What a worker needs to know: see ``SyntheticLanes``."""
    return Recipe("synthetic_lanes:make_lanes", behaviour)


def make_lanes(arguments: Mapping[str, Any], place: Place) -> "SyntheticLanes":
    if arguments.get("dies"):
        os._exit(4)
    return SyntheticLanes(arguments, place)


class SyntheticLanes:
    """``pace_s``: seconds of an episode. ``failures``: as the synthetic executor's.

    ``mischief`` is done before an episode of a segment, {"1.0": ["kill", 2]} before its episode 2: "kill", "exit",
    "hang", "seize" (hang without letting other threads run), "eat" (memory), "storage" and "defect" (raise errors).
    With a folder ``once``, everything is done once only.
    """

    def __init__(self, arguments: Mapping[str, Any], place: Place) -> None:
        self._place = place
        self._pace_s = arguments.get("pace_s", 0.0)
        self._mischief = arguments.get("mischief", {})
        self._once = arguments.get("once")
        self._inner = SyntheticExecutor(place.checkpoints, place.num_lanes, arguments.get("failures", {}))
        self.compile_s = 0.5
        place.say("synthetic lanes")

    @property
    def num_free(self) -> int:
        return self._inner.num_free

    def begin(self, work: Work) -> Sequence[Outcome]:
        self._inner.submit(work)
        return []

    def advance(self) -> Iterator[Sequence[Outcome]]:
        if self._inner.num_free == self._place.num_lanes:
            return
        running = [(lane.work, lane.next_episode) for lane in self._inner.lanes]
        running += [(work, work.next_episode) for work in self._inner.queue]
        for work, episode in running:
            self._misbehave(str(name_of(work.item)), episode)
        until = time.monotonic() + self._pace_s
        while time.monotonic() < until:
            if self._place.should_stop():
                return
            time.sleep(min(0.01, self._pace_s))
        yield self._inner.next_outcomes(1.0)

    def close(self) -> None:
        self._inner.close()

    def _misbehave(self, name: str, episode: int) -> None:
        what, when = self._mischief.get(name, ("", -1))
        if when != episode or not self._is_time(name):
            return
        match what:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "hang":
                with calling("synthetic: step 1"):
                    time.sleep(3600)
            case "seize":
                "".join(str(digit) for digit in [9 ** (10**9)])
            case "eat":
                eaten = b"x" * (400 * MIB)
                time.sleep(3600)
                assert eaten
            case "storage":
                raise StorageError("cannot write a checkpoint", "/nowhere", "free or repair the disk")
            case "defect":
                raise ArithmeticError("a defect")

    def _is_time(self, name: str) -> bool:
        """Whether this is to be done; with ``once``, only if no process has done it yet."""
        if self._once is None:
            return True
        try:
            (Path(self._once) / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
