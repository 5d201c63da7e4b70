"""How long an environment lets random actions go on: so long will an agent's first episode be."""

from statistics import fmean

import numpy as np

from cartwheel.agent import play_episode
from cartwheel.envs.pool import EnvironmentFailed, Watched
from cartwheel.seeds import numpy_rng

NUM_EPISODES = 5
_SEED = ("random play",)


def random_length(env: Watched) -> float:
    """Env steps of an episode, on average over a few; the full length where none of them is sound."""
    rng, low, high = numpy_rng(*_SEED, "act"), np.asarray(env.task.action_low), np.asarray(env.task.action_high)
    lengths = []
    for index in range(NUM_EPISODES):
        try:
            lengths.append(play_episode(env, lambda _: rng.uniform(low, high).astype(np.float32), _SEED, index).length)
        except EnvironmentFailed:  # what a study does about it is its own affair
            continue
    return fmean(lengths) if lengths else float(env.task.episode_length)
