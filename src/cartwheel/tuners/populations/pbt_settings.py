"""The settings of Population Based Training, and those of the papers and of Ray Tune by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from cartwheel.records import SegmentId, Sources
from cartwheel.tuners.populations.exploit import FractionsOf, Truncation
from cartwheel.tuners.populations.explore import Explore, Move, Redraw

Part: TypeAlias = Literal["weights", "optimizer", "normaliser", "replay"]
"""In the order of ``Sources``."""


@dataclass(frozen=True, slots=True)
class PbtSettings:
    """The defaults are for small populations and short studies, of some 10 to 50 episodes.

    - ``population`` 8 and ``interval_episodes`` 2: a budget that a workstation can pay, and still five or more
      generations in ten episodes. The score then reaches over the segment into its parent, which steadies it.
    - ``keep_fraction`` 0.75, ``donor_fraction`` 0.25: the worst quarter copies the best quarter, exactly so when 4
      divides the population. Of 8 members 2 copy one of the best 2, just as with the paper's 0.8 and 0.2.
    - ``explore`` "add" with ``step`` 0.15: a lineage is varied only a few times in a short study, so a step must matter
      (a factor of 3 for a learning rate over three decades, give or take), and must not drift.
    - ``redraw_probability`` 0.05: a redraw throws the copied config away. One in four, as in the paper, is exploration
      that 40 members can pay for; with 2 copies a generation, hardly any line of descent would be left to follow.

    ``first_interval_episodes``: length of the segment from nothing, its random episode on top. ``redraw`` and
    ``choice_probability``: see ``cartwheel.tuners.populations.explore``. ``default_first``: member 0 begins with the
    default config instead of a draw.

    ``copy``: the parts of the winner's state that a copy takes; the others stay the member's own. The weights must be
    among them: they are what the winner's score was won with, and the lineage follows them. A member that has nothing
    sound of its own, because it failed, diverged or returns NaN, takes all parts.
    """

    population: int = 8
    first_interval_episodes: int = 2
    interval_episodes: int = 2
    keep_fraction: float = 0.75
    donor_fraction: float = 0.25
    fractions_of: FractionsOf = "others"
    explore: Move = "add"
    step: float = 0.15
    redraw_probability: float = 0.05
    redraw: Redraw = "all"
    choice_probability: float = 0.2
    copy: tuple[Part, ...] = ("weights", "optimizer", "normaliser", "replay")
    default_first: bool = False

    def __post_init__(self) -> None:
        for name in ("population", "first_interval_episodes", "interval_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if "weights" not in self.copy:
            raise ValueError("copy must hold 'weights': a copy is an agent that goes on from the winner's")
        _ = self.exploiter, self.explorer  # they check their own

    @property
    def exploiter(self) -> Truncation:
        return Truncation(self.keep_fraction, self.donor_fraction, self.fractions_of)

    @property
    def explorer(self) -> Explore:
        return Explore(self.explore, self.step, self.redraw_probability, self.choice_probability, self.redraw)

    def sources(self, winner: SegmentId, own: SegmentId) -> Sources:
        """Where the parts of a copy come from."""
        return Sources(*(winner if part in self.copy else own for part in get_args(Part)))


AISTATS2021: Mapping[str, Any] = {
    "population": 40,
    "first_interval_episodes": 5,
    "interval_episodes": 5,
    "keep_fraction": 0.8,
    "donor_fraction": 0.2,
    "explore": "multiply",
    "step": 0.2,
    "redraw_probability": 0.25,
}
"""Zhang et al. 2021, released code; there with 300 model-driven episodes, and asynchronous."""

RAY: Mapping[str, Any] = {
    "keep_fraction": 0.75,
    "donor_fraction": 0.25,
    "fractions_of": "all",
    "explore": "scale",
    "step": 0.2,
    "redraw_probability": 0.25,
    "redraw": "each",
}
"""Ray Tune's ``PopulationBasedTraining`` with its defaults: the worst quarter copies the best, each value times 1.2 or
0.8, or drawn anew with probability 0.25.

What differs, on purpose: generations are synchronous, as with Ray's ``synch=True``; values stay in their ranges; a
choice has no neighbours and switches with ``choice_probability``, where an ordinal moves as a list in Ray does; members
of equal scores do not copy each other; one that returns NaN is replaced, which in Ray it never is. Measured decision by
decision: docs/results/ray-agreement.md.
"""

JADERBERG: Mapping[str, Any] = {
    "keep_fraction": 0.8,
    "donor_fraction": 0.2,
    "explore": "scale",
    "step": 0.2,
    "redraw_probability": 0.0,
}
"""Jaderberg et al. 2017, section 4.1, on reinforcement learning: truncation at 20%, every value times 1.2 or 0.8.

What differs: generations are synchronous; a copy is taken of the best strictly better ones only; values stay in their
ranges. The paper's populations are 10 to 80, so give one: the default of 8 is ours.
"""

PRESETS: Mapping[str, Mapping[str, Any]] = {"aistats2021": AISTATS2021, "ray": RAY, "jaderberg": JADERBERG}
"""By name, for the synchronous and the asynchronous form alike."""
