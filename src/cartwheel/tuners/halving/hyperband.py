"""Hyperband: brackets of Successive Halving, from many short trials to a few full ones (Li et al. 2018, section 3).

With R episodes at most and r_min at least, s_max is the largest k with r_min eta^k <= R. Bracket s = 0..s_max has rungs
at R eta^-s, ..., R eta^-1, R; each keeps the best 1/eta of the one before. How many begin:

- ``"li"``: ceil((s_max + 1) eta^s / (s + 1)), Li et al. 2018.
- ``"hpbandster"``: floor((s_max + 1) / (s + 1)) eta^s, as in the library of that name, which Zhang et al. 2021 used.

Everything is computed in whole numbers: in floating point log(243)/log(3) is below 5, which loses a bracket. Budgets
are rounded down; since R eta^-s is at least r_min >= 1, they are at least 1, and no two of a bracket are equal.

Brackets run side by side; s = 0, whose trials are all full ones, is numbered first. A trial that its rung stopped stays
in the ranking, behind those that have trained for longer.

With more episodes than a study was begun with, its brackets stay and the trials in their last rungs go on.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.halving.successive_halving import Halving, Rung, Rungs, check_ladder

Flavour: TypeAlias = Literal["li", "hpbandster"]


@dataclass(frozen=True, slots=True)
class HyperbandSettings:
    """``restart``: see ``successive_halving``. ``default_first``: trial 0, a full one, gets the default config."""

    flavour: Flavour = "li"
    eta: int = 3
    min_episodes: int = 1
    restart: bool = False
    default_first: bool = False

    def __post_init__(self) -> None:
        check_ladder(self.eta, self.min_episodes)


AISTATS2021 = {"flavour": "hpbandster", "eta": 3, "restart": True}
"""Zhang et al. 2021: rungs start from nothing."""


def hyperband(space: Space, seed: int, num_episodes: int, settings: HyperbandSettings) -> Tuner:
    """Every bracket once. Raises ValueError if there are fewer episodes than ``min_episodes``."""

    def table(begun_with: int) -> list[Rungs]:
        return [
            (*rungs[:-1], Rung(rungs[-1].num_trials, num_episodes))
            for rungs in brackets(begun_with, settings.min_episodes, settings.eta, settings.flavour)
        ]

    return Halving(space, seed, num_episodes, settings, table)


def brackets(max_episodes: int, min_episodes: int, eta: int, flavour: Flavour) -> list[Rungs]:
    """The brackets s = 0..s_max."""
    if min_episodes > max_episodes:
        raise ValueError(f"min_episodes {min_episodes} is more than the study's {max_episodes} episodes")
    s_max = 0
    while min_episodes * eta ** (s_max + 1) <= max_episodes:
        s_max += 1
    return [_bracket(s, s_max, max_episodes, eta, flavour) for s in range(s_max + 1)]


def _bracket(s: int, s_max: int, max_episodes: int, eta: int, flavour: Flavour) -> Rungs:
    num_begun = {
        "li": -(-(s_max + 1) * eta**s // (s + 1)),  # rounded up
        "hpbandster": (s_max + 1) // (s + 1) * eta**s,
    }[flavour]
    return tuple(Rung(num_begun // eta**k, max_episodes // eta ** (s - k)) for k in range(s + 1))
