"""Environments that break what an environment promises, fifty ways: how, and when.

Every one is a class for ``task_for``; sizes are equal, so that all of them share one compiled program.
"""

import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

OBS_SIZE = 2
LIMIT = 6

Misdeed = Callable[["Hostile", Any], Any]
"""Given the environment and the honest outcome of a step (or the observation of a reset): what is returned."""


class Hostile(gymnasium.Env[Any, Any]):
    """An honest point on a line, until ``misdeed``, at the reset or at steps from ``moment`` on."""

    observation_space = Box(-np.inf, np.inf, (OBS_SIZE,), np.float64)
    action_space = Box(-1.0, 1.0, (1,), np.float32)
    misdeed: Misdeed
    moment: int = 1
    seeds_are_ignored: bool = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=None if self.seeds_are_ignored else seed, options=options)
        self.t, self.state = 0, self.np_random.normal(size=OBS_SIZE)
        return type(self).misdeed(self, (self.state.copy(), {})) if self.moment == 0 else (self.state.copy(), {})

    def step(self, action: Any) -> Any:
        self.t += 1
        self.state = 0.9 * self.state + 0.1 * float(action[0])
        honest = (self.state.copy(), -float(np.sum(self.state**2)), False, False, {})
        return type(self).misdeed(self, honest) if 0 < self.moment <= self.t else honest


def _raises(error: BaseException) -> Misdeed:
    def misdeed(_: Hostile, __: Any) -> Any:
        raise error

    return misdeed


def _with(place: int, value: Any) -> Misdeed:
    """The same outcome, but for one entry."""
    return lambda _, honest: (*honest[:place], value, *honest[place + 1 :])


def _storm(_: Hostile, honest: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite makes errors of them
        for number in range(200):
            warnings.warn(f"warning {number}", stacklevel=1)
    return honest


def _prints(_: Hostile, honest: Any) -> Any:
    print("x" * 1000)
    return honest


def _changes_spaces(env: Hostile, honest: Any) -> Any:
    env.observation_space = Box(-1.0, 1.0, (9,), np.float32)
    env.action_space = Box(-1.0, 1.0, (3,), np.float32)
    return honest


FATAL: dict[str, Misdeed] = {
    "obs-nan": _with(0, np.asarray([np.nan, 0.0])),
    "obs-infinite": _with(0, np.asarray([0.0, np.inf])),
    "obs-beyond-float32": _with(0, np.asarray([1e300, 0.0])),
    "obs-longer": _with(0, np.zeros(3)),
    "obs-matrix": _with(0, np.zeros((2, 1))),
    "obs-dict": _with(0, {"x": 1.0}),
    "obs-none": _with(0, None),
    "obs-text": _with(0, "nothing"),
    "raises": _raises(RuntimeError("the cable\nhas snapped")),
    "exits": _raises(SystemExit(0)),
    "interrupts": _raises(KeyboardInterrupt()),
    "out-of-memory": _raises(MemoryError()),
    "too-few-values": lambda _, honest: honest[:1],
    "returns-nothing": lambda _, __: None,
}
"""These fail the episode, at a reset as at any step."""
FATAL_STEPS: dict[str, Misdeed] = {
    "reward-nan": _with(1, np.nan),
    "reward-infinite": _with(1, -np.inf),
    "reward-beyond-float32": _with(1, 1e300),
    "reward-none": _with(1, None),
    "reward-vector": _with(1, np.zeros(3)),
    "reward-text": _with(1, "plenty"),
    "terminated-vector": _with(2, np.zeros(2)),
    "old-api": lambda _, honest: honest[:4],
}
HARMLESS: dict[str, Misdeed] = {
    "never-ends": lambda _, honest: honest,
    "info-is-no-dict": _with(4, None),
    "reward-huge": _with(1, 1e30),
    "reward-in-an-array": _with(1, np.ones(1)),
    "obs-is-a-list": lambda _, honest: (list(honest[0]), *honest[1:]),
    "obs-of-whole-numbers": lambda _, honest: (honest[0].astype(np.int64), *honest[1:]),
    "prints": _prints,
    "warns": _storm,
    "always-truncates": _with(3, True),
    "always-terminates": _with(2, True),
}


def _make(name: str, misdeed: Misdeed, moment: int, **more: Any) -> type[Hostile]:
    title = "".join(word.capitalize() for word in name.split("-"))
    return type(f"Hostile{title}At{moment}", (Hostile,), {"misdeed": staticmethod(misdeed), "moment": moment, **more})


def _all() -> Iterator[tuple[str, type[Hostile], bool]]:
    """Name, class, and whether a study of it must have failures."""
    for (name, misdeed), moment in itertools.product(FATAL.items(), (0, 4)):
        yield f"{name}-at-{moment}", _make(name, misdeed, moment), True
    for name, misdeed in FATAL_STEPS.items():
        yield name, _make(name, misdeed, 2), True
    for name, misdeed in HARMLESS.items():
        yield name, _make(name, misdeed, 1), False
    yield "ignores-seeds", _make("ignores-seeds", HARMLESS["never-ends"], 1, seeds_are_ignored=True), False
    # what it returns still fits
    yield "changes-its-spaces", _make("changes-its-spaces", _changes_spaces, 1), False
    yield "closes-badly", _make("closes-badly", HARMLESS["never-ends"], 1, close=lambda _: sys.exit(1)), False
    yield "aliases", _make("aliases", lambda env, honest: (env.state, *honest[1:]), 1), False


HOSTILE = {name: (kind, must_fail) for name, kind, must_fail in _all()}
