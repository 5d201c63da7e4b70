"""Automated tuning for model-based reinforcement learning: statically, and while the agent trains.

Everything below is imported when it is first used, so that ``import cartwheel`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cartwheel.agent import Agent
    from cartwheel.envs.lookup import task_for
    from cartwheel.envs.task import Task
    from cartwheel.results import Study
    from cartwheel.spec import StudySpec
    from cartwheel.tuning import Running, rerun, train, tune

__all__ = ["Agent", "Running", "Study", "StudySpec", "Task", "rerun", "task_for", "train", "tune"]

_HOMES = {
    "Agent": "cartwheel.agent",
    "Running": "cartwheel.tuning",
    "Study": "cartwheel.results",
    "StudySpec": "cartwheel.spec",
    "Task": "cartwheel.envs.task",
    "rerun": "cartwheel.tuning",
    "task_for": "cartwheel.envs.lookup",
    "train": "cartwheel.tuning",
    "tune": "cartwheel.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cartwheel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
