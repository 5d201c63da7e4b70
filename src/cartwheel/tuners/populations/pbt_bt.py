"""PBT-BT: Population Based Training whose members may return to what was best before (Zhang et al. 2021, section 4).

Exploit and explore of ``pbt``, and an archive of the best checkpoints so far. In some generations members are tested
against the archive instead of being truncated; one that has fallen behind goes back to an archived checkpoint, with the
model, data and age of then, and a config in a direction that was not tried from there. So a collapse is undone, where
PBT's copies would spread it. Going back costs nothing extra: every member runs as many episodes as in PBT, of which the
oldest agents then have had fewer.

Modules: ``archive`` what may be returned to, ``backtracking`` who returns, ``tabu`` how its config changes.

Where the released code and the paper's text part, the text counts: the archive is sorted by score, ages are those of
the agents instead of positions in a log, and a score of 0 is a score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cartwheel.records import Segment, Sources
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.archive import Archive, Record
from cartwheel.tuners.populations.backtracking import Backtracking, Margin, MarginUnit
from cartwheel.tuners.populations.pbt import Generation, Pbt
from cartwheel.tuners.populations.pbt_settings import AISTATS2021 as PBT_AISTATS2021
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import Population, Step
from cartwheel.tuners.populations.tabu import Tabu


@dataclass(frozen=True, slots=True)
class PbtBtSettings(PbtSettings):
    """Those of PBT, and:

    - ``archive_fraction`` 0.25: as many checkpoints as PBT has donors. With the paper's 0.125, 8 members would all
      return to a single one, and the population would be its copies.
    - ``backtrack_every_segments``: see ``Backtracking``; 0 is its default, which follows the number of generations.
    - ``margin`` 3, ``margin_unit`` "spread": 3 standard deviations of a single return. A score is the mean of 3, so by
      chance alone the difference of two has a standard deviation of 0.8; that the archive is the best of many scores
      lifts it by 1.4 or so (2.5 standard errors). The rest, 1.6, is two standard deviations of that difference.
    - ``is_age_compared``: the archive is asked for what was reached up to the member's own age.
    """

    archive_fraction: float = 0.25
    backtrack_every_segments: int = 0
    margin: float = 3.0
    margin_unit: MarginUnit = "spread"
    is_age_compared: bool = True

    def __post_init__(self) -> None:
        PbtSettings.__post_init__(self)
        if not 0 < self.archive_fraction <= 1:
            raise ValueError(f"archive_fraction must be above 0 and at most 1, got {self.archive_fraction}")
        if self.backtrack_every_segments < 0:
            raise ValueError(f"backtrack_every_segments must be at least 0, got {self.backtrack_every_segments}")
        if not self.margin >= 0:
            raise ValueError(f"margin must be at least 0, got {self.margin}")

    @property
    def archive_size(self) -> int:
        return max(round(self.population * self.archive_fraction), 1)


AISTATS2021: Mapping[str, Any] = {
    **PBT_AISTATS2021,
    "archive_fraction": 0.125,
    "backtrack_every_segments": 30,
    "margin": 0.2,
    "margin_unit": "ratio",
    "is_age_compared": False,
}
"""Zhang et al. 2021, as in the text; the released script has an archive fraction of 0.2 and a test every 6 segments."""


class Returning:
    """The worst copy the best; in some generations, who has fallen behind returns to an archived checkpoint instead."""

    def __init__(self, settings: PbtBtSettings, backtracking: Backtracking) -> None:
        self._interval_episodes, self._backtracking = settings.interval_episodes, backtracking

    def decide(self, population: Population, members: list[Segment]) -> Generation:
        self._backtracking.learn(population.history, members)
        if not self._backtracking.is_due(members[0].index + 1):
            changes = population.copies(members, members)
        else:
            # who has nothing sound is replaced all the same, should nothing be archived for its age
            unsound = [own for own in members if not population.is_sound(own)]
            changes = population.copies(unsound, members) | self._returns(population, members)
        return Generation(
            [changes.get(own.trial) or population.own_step(own) for own in members], self._interval_episodes
        )

    def returnable(self, age: int, /) -> Sequence[Record]:
        return self._backtracking.returnable(age)

    def state(self) -> dict[str, Any]:
        return self._backtracking.state()

    def _returns(self, population: Population, members: list[Segment]) -> dict[int, Step]:
        steps = {}
        returning = self._backtracking.returning(population.history, members)
        for own in members:
            if records := returning.get(own.trial):
                rng = population.rng("backtrack", own)
                source = records[rng.integers(len(records))].segment
                if (entry := population.history.find(source)) is not None:
                    config = self._backtracking.explore(source, entry.segment.config, rng)
                    steps[own.trial] = Step(config, entry.segment.stop, Sources.whole(source), "backtrack")
        return steps


def pbt_bt(space: Space, seed: int, num_episodes: int, settings: PbtBtSettings) -> Tuner:
    """PBT with an archive."""
    backtracking = Backtracking(
        Archive(settings.archive_size),
        Tabu(space, settings.explorer),
        Margin(settings.margin, settings.margin_unit),
        settings.backtrack_every_segments,
        settings.is_age_compared,
    )
    num_segments = 1 + max(0, -(-(num_episodes - settings.first_interval_episodes) // settings.interval_episodes))
    warnings = []
    if not any(map(backtracking.is_due, range(1, num_segments))):
        warnings.append(
            f"no member can go back: with {num_episodes} episodes the number of segments per member is "
            f"{num_segments}, and the first test comes later"
        )
    return Pbt(space, seed, num_episodes, settings, Returning(settings, backtracking), warnings)
