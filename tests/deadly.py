"""An environment that ends its process, hangs, or breaks its simulator, as the seed of a reset says."""

import ctypes
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

from cartwheel.envs.own import Line
from cartwheel.envs.tasks import LINE

TASK = dataclasses.replace(LINE, id="deadly", env_id="tests/Deadly-v0", episode_length=6, defaults={})


def _segfault() -> None:
    ctypes.string_at(0)


def _exit() -> None:
    print("nobody reads this", flush=True)
    print("the cable has snapped", file=sys.stderr, flush=True)
    os._exit(3)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def _raise() -> None:
    raise RuntimeError("the cable\nhas snapped")


def _print() -> None:
    for _ in range(3):
        os.write(1, b"x" * 2**19 + b"\n")


DEEDS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "segfault": _segfault,
    "exit": _exit,
    "kill": _kill,
    "hang": _hang,
    "raise": _raise,
    "print": _print,
}
SEEDS = {deed: seed for seed, deed in enumerate(DEEDS)}


class Deadly(Line):
    """Does its deed in step 3 of an episode: that of the reset's seed, or ``deeds`` by seed.

    ``once``: a file that remembers, for all processes, that a deed was done; there is none after that.
    """

    def __init__(
        self, deeds: dict[str, str] | None = None, on_making: str = "nothing", once: str | None = None
    ) -> None:
        super().__init__()
        self._once = None if once is None else Path(once)
        self._deeds = {str(seed): deed for deed, seed in SEEDS.items()} if deeds is None else deeds
        DEEDS[on_making]()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._t = 0
        self._deed = self._deeds.get(str(seed), "nothing")
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self._t += 1
        if self._t == 3 and not (self._once is not None and self._once.exists()):
            if self._once is not None and self._deed != "nothing":
                self._once.touch()
            DEEDS[self._deed]()
        return super().step(action)


DEAD_AT_ONCE = "tests/DeadAtOnce-v0"
"""Ends its process when it is made."""

for _env_id, _arguments in ((TASK.env_id, {}), (DEAD_AT_ONCE, {"on_making": "exit"})):
    if _env_id not in gymnasium.registry:
        gymnasium.register(_env_id, entry_point=Deadly, kwargs=_arguments)
