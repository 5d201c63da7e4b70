"""Tabu search over directions: how a config changes when its checkpoint is returned to (Zhang et al. 2021, section 4).

Of d parameters with a direction there are 2^d sign vectors. Each is taken at most once per checkpoint, so returning to
it again tries something new. They are drawn lazily and without replacement: the r-th of those that are left, r uniform,
is found among the few that were used; no list of 2^d is ever made. With the explorer's redraw probability, and when all
directions are used up, values are drawn from the prior instead.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cartwheel.records import Config, SegmentId, Value
from cartwheel.spaces.space import Choice, Space
from cartwheel.tuners.populations.explore import Explore, Unit, reflected, settled, switched_choices, towards


class Tabu:
    """Moves of one size: ``explore.step``, added and reflected with ``"add"``, else as ``"multiply"`` does."""

    def __init__(self, space: Space, explore: Explore) -> None:
        self._space, self._explore = space, explore
        self._used: dict[SegmentId, set[int]] = {}

    def __call__(self, source: SegmentId, config: Config, rng: np.random.Generator) -> dict[str, Value]:
        """A config near ``config``, in a direction that was not taken from ``source`` yet."""
        if self._explore.move == "none":
            return dict(config)
        used = self._used.setdefault(source, set())
        directed = self._directed(config)
        num_left = 2 ** int(directed.sum()) - len(used)
        if num_left == 0 or rng.random() < self._explore.redraw_probability:
            return self._space.sample(rng)
        direction = nth_unused(below(num_left, rng), used)
        used.add(direction)
        u = self._moved(config, signs_of(direction, directed), rng)
        switched = switched_choices(self._space, config, self._explore.choice_probability, rng)
        return settled(self._space, config, self._space.replaced(u, switched), rng)

    def state(self) -> dict[str, Any]:
        return {source: sorted(used) for source, used in sorted(self._used.items()) if used}

    def _directed(self, config: Config) -> NDArray[np.bool_]:
        """[d]: what acts and has a direction. A checkpoint has one config, so its directions stay the same."""
        acting = self._space.acting(config)
        return np.array([n in acting and not isinstance(p, Choice) for n, p in self._space.parameters.items()])

    def _moved(self, config: Config, signs: Unit, rng: np.random.Generator) -> Unit:
        if self._explore.move != "add":
            return towards(self._space, config, signs, self._explore.step)
        low, high = self._space.cells(config)
        # from a uniform place in an integer's cell, as the explorer does
        return reflected(low + (high - low) * rng.random(len(signs)) + self._explore.step * signs)


def signs_of(direction: int, directed: NDArray[np.bool_]) -> Unit:
    """[d]: bit k of the direction is the sign of the k-th parameter with one; 0 for those without."""
    signs = np.zeros(len(directed))
    signs[directed] = [1.0 if direction >> k & 1 else -1.0 for k in range(int(directed.sum()))]
    return signs


def nth_unused(n: int, used: Iterable[int]) -> int:
    """The n-th (from 0) of the natural numbers that are not used."""
    for number in sorted(used):
        if number <= n:
            n += 1
    return n


def below(bound: int, rng: np.random.Generator) -> int:
    """Uniform from 0 to bound - 1, however large: the generator's own integers end at 2^63."""
    num_bytes = (bound.bit_length() + 7) // 8
    while True:
        drawn = int.from_bytes(rng.bytes(num_bytes), "little") >> (8 * num_bytes - bound.bit_length())
        if drawn < bound:
            return drawn
