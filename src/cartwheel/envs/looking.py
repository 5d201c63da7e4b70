"""What an environment observes and takes, found by making it once; or why no agent of ours can live in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple

from cartwheel.envs.making import CannotMake, close, make_vector_env, one_line

SUPPORTED = "supported are observations of numbers (Box, or Dict and Tuple of these) and actions in one bounded Box"


@dataclass(frozen=True, slots=True)
class Look:
    """Sizes and bounds once all is flattened, and after how many steps a time limit ends an episode, if one does."""

    obs_size: int
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    max_steps: int | None


def look_at(env_id: str, env_kwargs: Mapping[str, Any]) -> Look:
    """Make the environment, look, and close it. Raises CannotMake, also if it is not supported, saying what is."""
    env = make_vector_env(env_id, **env_kwargs)
    try:
        inner = env.unwrapped
        problem = _unsupported_observations(inner.observation_space) or _unsupported_actions(inner.action_space)
        if problem:
            raise CannotMake(f"env_id {env_id!r}: {problem}; {SUPPORTED}")
        actions = cast(Box, env.action_space)
        return Look(
            obs_size=int(np.prod(env.observation_space.shape or ())),
            action_low=tuple(map(float, actions.low)),
            action_high=tuple(map(float, actions.high)),
            max_steps=None if env.spec is None else env.spec.max_episode_steps,
        )
    finally:
        close(env)


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
