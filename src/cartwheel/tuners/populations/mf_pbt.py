"""MF-PBT: sub-populations that evolve at different intervals and exchange agents (Doulazmi et al. 2025).

Selecting often is greedy: what learns fastest now need not be the best later. So of M sub-populations of equal size the
i-th evolves only after every ``intervals[i]``-th generation; all members still run in generations of the same length.
When a sub-population evolves,

- its worst members copy its best and explore, as in ``pbt``: with the defaults the worst quarter the best quarter;
- of those just above, as many again, the best first, each is compared with the best outsider that was not taken yet. If
  the outsider is strictly better, the member takes over its agent. From a *slower* sub-population it takes the config
  too; from a *faster* one it does not, and goes on under the config of the best member of its own: what was selected
  for the short term does not spread to those who look far ahead. Nothing is explored.

As in the released code, except that the worst draw a donor among the best instead of being paired with them by rank,
and only copy from a strictly better one. In between, a member that is not sound copies one of its sub-population.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from cartwheel.records import Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import best_first
from cartwheel.tuners.populations.archive import Record
from cartwheel.tuners.populations.pbt import Generation, Pbt
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import Population, Step


@dataclass(frozen=True, slots=True)
class MfPbtSettings(PbtSettings):
    """Those of PBT, and ``intervals``: of each sub-population, after how many generations it evolves, rising.

    Short studies have a handful of generations, so the defaults are 1, 2 and 4 instead of the paper's 1, 10, 25, 50,
    with 4 members each: the fewest of which one copies and one may be replaced from outside.
    """

    population: int = 12
    intervals: tuple[int, ...] = (1, 2, 4)

    def __post_init__(self) -> None:
        PbtSettings.__post_init__(self)
        if not self.intervals or self.intervals[0] < 1 or list(self.intervals) != sorted(set(self.intervals)):
            raise ValueError(f"intervals must be rising whole numbers of at least 1, got {list(self.intervals)}")
        if self.population % len(self.intervals):
            raise ValueError(
                f"population must be a multiple of the number of intervals, {len(self.intervals)}; "
                f"got {self.population}"
            )


DOULAZMI2025: Mapping[str, Any] = {
    "population": 32,
    "intervals": [1, 10, 25, 50],
    "keep_fraction": 0.75,
    "donor_fraction": 0.25,
    "explore": "scale",
    "step": 0.2,
    "redraw_probability": 0.0,
}
"""The paper's population and intervals. Its values are multiplied by 1.25 or 0.8, these by 1.2 or 0.8."""


class MultipleFrequencies:
    """What each sub-population does after a generation. Members of one have successive numbers."""

    def __init__(self, settings: MfPbtSettings) -> None:
        self._settings = settings
        size = settings.population // len(settings.intervals)
        self._groups = [range(i * size, (i + 1) * size) for i in range(len(settings.intervals))]

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        changes: dict[int, Step] = {}
        for group, interval in zip(self._groups, self._settings.intervals, strict=True):
            own = [members[i] for i in group]
            if (own[0].index + 1) % interval:
                changes |= population.copies([one for one in own if not population.is_sound(one)], own)
            else:
                changes |= population.copies(own, own) | self._migrations(population, members, group)
        return Generation(
            [changes.get(own.trial) or population.own_step(own) for own in members], self._settings.interval_episodes
        )

    def returnable(self, _age: int, /) -> Sequence[Record]:
        return ()

    def state(self) -> dict[str, Any]:
        return {}

    def _migrations(self, population: Population, members: list[Segment], group: range) -> dict[int, Step]:
        """Who of a sub-population takes over an outsider's agent. Compared at equal ages, which rarely differ."""
        steps = {}
        for age in sorted({members[i].stop for i in group}):
            rivals = [population.at_age(own, age) for own in members]
            scores = [-inf if rival is None else population.score(rival) for rival in rivals]
            ranked = [group[place] for place in best_first(scores[i] for i in group)]
            bracket = [i for i in self._bracket(ranked) if members[i].stop == age]
            for i, outsider in migrants(scores, group, bracket).items():
                if (migrant := rivals[outsider]) is not None:
                    best = rivals[ranked[0]]
                    config = migrant.config if outsider > i or best is None else best.config
                    steps[i] = population.copy(members[i], migrant, config)
        return steps

    def _bracket(self, ranked: Sequence[int]) -> Sequence[int]:
        """Those just above the worst, who copy: as many as these, but none of the donors."""
        num_kept, num_donors = self._settings.exploiter.sizes(len(ranked))
        return ranked[max(2 * num_kept - len(ranked), num_donors) : num_kept]


def migrants(scores: Sequence[float], group: range, bracket: Sequence[int]) -> dict[int, int]:
    """Which outsider each of the bracket takes over, if any. ``scores``: of all members; ``bracket``: best first."""
    outsiders = [i for i in best_first(scores) if i not in group]
    taken: dict[int, int] = {}
    for own in bracket:
        if outsiders and scores[outsiders[0]] > scores[own]:
            taken[own] = outsiders.pop(0)
    return taken


def mf_pbt(space: Space, seed: int, num_episodes: int, settings: MfPbtSettings) -> Tuner:
    """PBT at several intervals at once."""
    return Pbt(space, seed, num_episodes, settings, MultipleFrequencies(settings))
