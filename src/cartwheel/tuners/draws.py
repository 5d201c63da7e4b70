"""Where the numbers of all tuners come from.

A trial's first config is addressed by (study seed, trial) alone, so tuners that start from the prior start from the
same configs: with the same seed, the population of PBT is the first draws of Random Search.
"""

from cartwheel.records import Value
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space


def fresh_config(space: Space, seed: int, trial: int, index: int = 0) -> dict[str, Value]:
    """A draw from the prior, for a trial that starts from nothing with its index-th segment."""
    return space.sample(numpy_rng(seed, "tuner", "draw", trial, index))


def first_config(space: Space, seed: int, trial: int, default_first: bool) -> dict[str, Value]:
    """The config that a trial starts with; of trial 0 the default one, if ``default_first``."""
    return space.default if default_first and trial == 0 else fresh_config(space, seed, trial)
