"""How long an environment lets random actions go on: so long will an agent's first episode be."""

import time
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from cartwheel.agent import play_episode
from cartwheel.envs.pool import EnvironmentFailed, Watched
from cartwheel.seeds import numpy_rng

NUM_EPISODES = 5
MAX_S = 5.0
"""Longer is not waited for: what does not end by then is taken not to end early."""
_SEED = ("random play",)


class _TooLong(Exception):
    """It has been waited for long enough."""


def random_length(env: Watched) -> float:
    """Env steps of an episode, on average over a few; the full length where the first has it, or none is sound."""
    rng, low, high = numpy_rng(*_SEED, "act"), np.asarray(env.task.action_low), np.asarray(env.task.action_high)
    full, lengths, started = env.task.episode_length, list[int](), time.monotonic()

    def act(_: object) -> NDArray[np.float32]:
        if time.monotonic() - started > MAX_S:
            raise _TooLong
        return rng.uniform(low, high).astype(np.float32)

    for index in range(NUM_EPISODES):
        try:
            lengths.append(play_episode(env, act, _SEED, index).length)
        except EnvironmentFailed:  # what a study does about it is its own affair
            continue
        except _TooLong:
            break
        if lengths == [full]:
            break
    return fmean(lengths) if lengths else float(full)
