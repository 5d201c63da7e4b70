"""The tasks that Cartwheel knows, by id. A new one is one entry; what a task is: ``cartwheel.envs.task``."""

import dataclasses
import difflib

from cartwheel.envs.arms import PETS_PUSHER, PETS_REACHER3D, REACHER
from cartwheel.envs.classic import (
    CARTPOLE_BALANCE,
    CARTPOLE_SWINGUP,
    INVERTED_DOUBLE_PENDULUM,
    INVERTED_PENDULUM,
    LINE,
    MOUNTAIN_CAR,
    PENDULUM,
)
from cartwheel.envs.locomotion import HALFCHEETAH, HOPPER, PETS_HALFCHEETAH, PETS_HOPPER, SWIMMER, WALKER2D
from cartwheel.envs.task import Task, never
from cartwheel.envs.walkers import ANT, HEXAPOD, QUADRUPED

__all__ = [
    "ANT",
    "CARTPOLE_BALANCE",
    "CARTPOLE_SWINGUP",
    "HALFCHEETAH",
    "HEXAPOD",
    "HOPPER",
    "INVERTED_DOUBLE_PENDULUM",
    "INVERTED_PENDULUM",
    "LINE",
    "MOUNTAIN_CAR",
    "PENDULUM",
    "PETS_HALFCHEETAH",
    "PETS_HOPPER",
    "PETS_PUSHER",
    "PETS_REACHER3D",
    "QUADRUPED",
    "REACHER",
    "SWIMMER",
    "WALKER2D",
    "Task",
    "get_task",
    "never",
    "register_task",
    "ships",
    "task_ids",
]

_SHIPPED = (
    ANT,
    CARTPOLE_BALANCE,
    CARTPOLE_SWINGUP,
    HALFCHEETAH,
    HEXAPOD,
    HOPPER,
    INVERTED_DOUBLE_PENDULUM,
    INVERTED_PENDULUM,
    LINE,
    MOUNTAIN_CAR,
    PENDULUM,
    PETS_HALFCHEETAH,
    PETS_HOPPER,
    PETS_PUSHER,
    PETS_REACHER3D,
    QUADRUPED,
    REACHER,
    SWIMMER,
    WALKER2D,
)
_TASKS: dict[str, Task] = {task.id: task for task in _SHIPPED}


def ships(env_id: str) -> bool:
    """Whether Cartwheel has formulas of its own for this environment of Gymnasium's or of its own."""
    return any(task.env_id == env_id for task in _SHIPPED)


def register_task(task: Task) -> None:
    """Make a task of your own known under its id. Raises ValueError if the id is taken by another one."""
    if _TASKS.setdefault(task.id, task) is not task:
        raise ValueError(f"env_id {task.id!r}: another task has this id")


def registered_later() -> set[str]:
    """The ids of tasks that do not ship: this process alone knows them."""
    return _TASKS.keys() - {task.id for task in _SHIPPED}


def task_ids() -> list[str]:
    """The ids that ``get_task`` knows."""
    return sorted(_TASKS)


def get_task(env_id: str, episode_length: int | None = None) -> Task:
    """The task of this id, with episodes of another length if one is given.

    Raises ValueError with the closest known id if there is none.
    """
    task = _TASKS.get(env_id)
    if task is None:
        close = difflib.get_close_matches(env_id, _TASKS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(task_ids())}"
        raise ValueError(f"env_id {env_id!r}: its reward and termination are not known to Cartwheel; {hint}")
    return task if episode_length is None else dataclasses.replace(task, episode_length=episode_length)
