"""Any environment as a task: by its id, or from a user's own file of formulas.

An id is that of a task which ships or was registered, or of any registered Gymnasium environment with numbers for
observations and bounded numbers for actions. Of the latter nothing but sizes, bounds and the episode length is known,
so reward and termination are learned.
"""

from typing import Any, cast

import gymnasium

from cartwheel.envs.isolated import AS_USUAL, EnvMaker
from cartwheel.envs.making import DM_CONTROL, CannotMake, Env, register
from cartwheel.envs.tasks import Task, get_task, task_ids
from cartwheel.errors import did_you_mean

DM_CONTROL_EPISODE_LENGTH = 1000
"""Every task of the suite has it (Tassa et al. 2018); Shimmy does not pass it on."""


def find_task(env_id: str, episode_length: int | None = None, maker: EnvMaker = AS_USUAL) -> Task:
    """The task of this id, with episodes of another length if one is given; an unknown one is made once to look at it.

    Raises ValueError if there is none, if the environment cannot be made, or if it is not supported, saying what is.
    """
    if env_id in task_ids():
        return get_task(env_id, episode_length)
    register(env_id)
    if env_id not in gymnasium.registry and ":" not in env_id:
        hint = did_you_mean(env_id, [*task_ids(), *gymnasium.registry])
        if hint.startswith("known: "):
            hint = "`docs/tasks.md` lists the tasks that ship; any registered Gymnasium id is known too"
        raise ValueError(f"no environment {env_id!r}; {hint}")
    return task_for(env_id, episode_length=episode_length, maker=maker)


def task_for(
    env: str | type[Env],
    *,
    id: str | None = None,
    episode_length: int | None = None,
    maker: EnvMaker = AS_USUAL,
    **known: Any,
) -> Task:
    """A task for an environment, given by its Gymnasium id or its class: sizes, bounds and length are read from it.

    ``known`` are fields of ``Task``, such as ``reward``, ``terminated`` and ``encode``; what is left out has its
    default, and reward and termination are learned. ``maker`` looks at the environment, in a process of its own if it
    is foreign. Raises ValueError as ``find_task`` does.
    """
    env_id = env if isinstance(env, str) else _registered(env)
    seen = maker.look(env_id, known.get("env_kwargs", {}))
    return Task(
        id=id or env_id,
        env_id=env_id,
        obs_size=seen.obs_size,
        action_low=seen.action_low,
        action_high=seen.action_high,
        episode_length=episode_length or _episode_length(env_id, seen.max_steps),
        **known,
    )


def _registered(env: type[Env]) -> str:
    """The id under which a class is registered with Gymnasium: own/NAME-v0."""
    env_id = f"own/{env.__name__}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point=cast(Any, env))  # a class makes environments when it is called
    # by its name where this is the process of the environment, which knows it before its module is imported
    if cast(Any, gymnasium.registry[env_id].entry_point) not in (env, f"{env.__module__}:{env.__qualname__}"):
        raise ValueError(f"{env_id} is another environment already: rename the class")
    return env_id


def _episode_length(env_id: str, limit: int | None) -> int:
    if limit is None and env_id.startswith(DM_CONTROL):
        limit = DM_CONTROL_EPISODE_LENGTH
    if limit is None:
        raise CannotMake(f"env_id {env_id!r}: has no time limit; say how long an episode is: --episode-length STEPS")
    return limit
