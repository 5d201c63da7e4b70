"""The line with short episodes, in an environment that breaks or is slow when a test says so."""

import dataclasses
import time
from typing import Any, ClassVar

import gymnasium

from cartwheel.agents.pets.setup import AgentSetup, make_setup
from cartwheel.envs.own import Line
from cartwheel.envs.tasks import LINE
from hand_made import TINY

TASK = dataclasses.replace(LINE, id="fragile", env_id="tests/Fragile-v0", episode_length=6, defaults={})
CONFIG = {"plan_horizon": 3, "num_iterations": 2, "num_samples": 12, "elite_ratio": 0.25, "num_epochs": 4}
"""A small config in which no hyperparameter is without effect."""


class Fragile(Line):
    """Breaks at step 3 of every episode that is reset with one of ``breaking_seeds``; takes its time."""

    breaking_seeds: ClassVar[set[int]] = set()
    step_s: ClassVar[float] = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._breaks_in = 3 if seed in self.breaking_seeds else -1
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        time.sleep(self.step_s)
        self._breaks_in -= 1
        if self._breaks_in == 0:
            raise RuntimeError("the cable\nhas snapped")
        return super().step(action)


if TASK.env_id not in gymnasium.registry:
    gymnasium.register(TASK.env_id, entry_point=Fragile)


def setup() -> AgentSetup:
    """Tiny agents for the task, with room for seven episodes."""
    base = make_setup(TASK, CONFIG, [], num_episodes=7)
    return dataclasses.replace(base, shape=TINY)
