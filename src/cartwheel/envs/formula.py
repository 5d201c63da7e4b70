"""Environments that are asked only where an episode begins: what follows is a formula of their task."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cartwheel.envs.audit import PhysicsAudit
from cartwheel.envs.pool import Watched, watch
from cartwheel.envs.task import Task


class FormulaEnv:
    """As the ``Watched`` that it begins with. Who plays on by ``task.equations`` shows the episode to ``watch``."""

    def __init__(self, start: Watched) -> None:
        self._start, self.task = start, start.task
        self._audit = PhysicsAudit(self.task, None)

    @property
    def warnings(self) -> Counter[str]:
        """How often what was noted in this episode."""
        return self._audit.warnings

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured in this episode."""
        return self._audit.metrics

    def reset(self, seed: int) -> NDArray[np.float32]:
        """The first observation [O] of an episode. Raises EnvironmentFailed."""
        obs = self._start.reset(seed)
        self._audit = PhysicsAudit(self.task, None)
        watch(self._audit, 0, obs, 0.0)
        return obs

    def watch(self, next_obs: NDArray[np.float32], rewards: NDArray[np.float32]) -> None:
        """See an episode: observations [T, O] and rewards [T] of its steps. Raises EnvironmentFailed."""
        for step, (obs, reward) in enumerate(zip(next_obs, rewards, strict=True), 1):
            watch(self._audit, step, obs, float(reward))

    def close(self) -> None:
        self._start.close()


def formula_or_env(make: Callable[[Task], Watched], task: Task) -> Watched | FormulaEnv:
    """What an engine plays in: the formula of the task, or its environment if it has none."""
    env = make(task)
    return FormulaEnv(env) if task.is_formula else env
