"""Any environment as a task: by its id, or from a user's own file of formulas.

An id is that of a task which ships or was registered, or of any registered Gymnasium environment with numbers for
observations and bounded numbers for actions. Of the latter nothing but sizes, bounds and the episode length is known,
so reward and termination are learned.
"""

from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple

from cartwheel.envs.making import DM_CONTROL, CannotMake, Env, close, make_vector_env, one_line, register
from cartwheel.envs.tasks import Task, get_task, task_ids
from cartwheel.errors import did_you_mean

SUPPORTED = "supported are observations of numbers (Box, or Dict and Tuple of these) and actions in one bounded Box"
DM_CONTROL_EPISODE_LENGTH = 1000
"""Every task of the suite has it (Tassa et al. 2018); Shimmy does not pass it on."""


def find_task(env_id: str, episode_length: int | None = None) -> Task:
    """The task of this id, with episodes of another length if one is given.

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
    return task_for(env_id, episode_length=episode_length)


def task_for(env: str | type[Env], *, id: str | None = None, episode_length: int | None = None, **known: Any) -> Task:
    """A task for an environment, given by its Gymnasium id or its class: sizes, bounds and length are read from it.

    ``known`` are fields of ``Task``, such as ``reward``, ``terminated`` and ``encode``; what is left out has its
    default, and reward and termination are learned. Raises ValueError as ``find_task`` does.
    """
    env_id = env if isinstance(env, str) else _registered(env)
    made = make_vector_env(env_id, **known.get("env_kwargs", {}))
    try:
        inner = made.unwrapped
        problem = _unsupported_observations(inner.observation_space) or _unsupported_actions(inner.action_space)
        if problem:
            raise CannotMake(f"env_id {env_id!r}: {problem}; {SUPPORTED}")
        actions = cast(Box, made.action_space)
        return Task(
            id=id or env_id,
            env_id=env_id,
            obs_size=int(np.prod(made.observation_space.shape or ())),
            action_low=tuple(map(float, actions.low)),
            action_high=tuple(map(float, actions.high)),
            episode_length=episode_length or _episode_length(env_id, made),
            **known,
        )
    finally:
        close(made)


def _registered(env: type[Env]) -> str:
    """The id under which a class is registered with Gymnasium: own/NAME-v0."""
    env_id = f"own/{env.__name__}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point=cast(Any, env))  # a class makes environments when it is called
    if cast(Any, gymnasium.registry[env_id].entry_point) is not env:
        raise ValueError(f"{env_id} is another environment already: rename the class")
    return env_id


def _episode_length(env_id: str, env: Env) -> int:
    limit = None if env.spec is None else env.spec.max_episode_steps
    if limit is None and env_id.startswith(DM_CONTROL):
        limit = DM_CONTROL_EPISODE_LENGTH
    if limit is None:
        raise CannotMake(f"env_id {env_id!r}: has no time limit; say how long an episode is: --episode-length STEPS")
    return limit


def _unsupported_observations(space: Space[Any]) -> str:
    """Why a model cannot predict them; empty if it can."""
    if isinstance(space, Dict | Tuple):
        parts = space.spaces.values() if isinstance(space, Dict) else space.spaces
        return next(filter(None, map(_unsupported_observations, parts)), "")
    if not isinstance(space, Box):
        return f"observations {one_line(str(space))} are not supported"
    if len(space.shape) > 2 or (len(space.shape) == 2 and space.dtype == np.uint8):
        return f"image observations (of shape {space.shape}, {space.dtype}) are not supported"
    return "" if space.shape != (0,) else "observations are empty"


def _unsupported_actions(space: Space[Any]) -> str:
    """Why a planner cannot choose them; empty if it can."""
    if not isinstance(space, Box):
        kind = "discrete actions" if "Discrete" in type(space).__name__ else "actions"
        return f"{kind} {one_line(str(space))} are not supported"
    if not np.issubdtype(space.dtype, np.floating):
        return f"actions {one_line(str(space))} are whole numbers, which are not supported"
    with np.errstate(over="ignore"):
        is_bounded = np.all(np.isfinite(np.asarray(space.high, np.float32) - np.asarray(space.low, np.float32)))
    if not is_bounded or 0 in space.shape:
        return f"actions {one_line(str(space))} are not bounded"
    return ""
