"""Where the time of a study went: of its devices, which work side by side, and of its own loop beside them.

It is always recorded: reading a clock costs nothing beside an episode. What is recorded changes no result, and is left
out wherever results are compared bit by bit.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

REMAINS = "waiting and the rest"
"""A device waits for work, or for others to finish; or its time went into an episode that was given up."""
_ACTIVITIES = {
    "plan": "planning",
    "fit": "fitting",
    "env": "environment",
    "checkpoint": "store",
    "restore": "store",
}
"""What the parts of an episode's seconds are, for people. Any other part is called by its own name."""


@dataclass(frozen=True)
class Timing:
    """Seconds, summed over the processes that have run a study.

    ``own_s`` is the loop's own time (ask, tell, store), ``commit_s`` the part of it in commits to the database.
    ``compile_s`` is how long a device compiled at most, ``device_compile_s`` the sum over devices, ``device_s`` the
    time that all devices had: 0 where it was not recorded. ``parts`` is what episodes took by name (plan, fit, ...),
    those that ended badly included, summed over devices, so it may exceed ``wall_s``.
    """

    wall_s: float = 0.0
    own_s: float = 0.0
    compile_s: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    commit_s: float = 0.0
    device_s: float = 0.0
    device_compile_s: float = 0.0

    @property
    def own_share(self) -> float:
        """The loop's own time as a fraction of the wall time; 0 when nothing was timed."""
        return self.own_s / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def of_devices(self) -> dict[str, float]:
        """The devices' seconds by what they went into, most first; at the end what remains, where that is known."""
        spent = defaultdict(float, {"compiling": self.device_compile_s or self.compile_s})
        for part, seconds in self.parts.items():
            spent[_ACTIVITIES.get(part, part)] += seconds
        most_first = sorted(spent.items(), key=lambda item: -item[1])
        found = {activity: seconds for activity, seconds in most_first if seconds > 0}
        left_s = self.device_s - math.fsum(found.values())
        return {**found, REMAINS: left_s} if left_s > 0 else found

    @property
    def of_loop(self) -> dict[str, float]:
        """The loop's own seconds, beside the devices: commits, and asking and telling."""
        return {"commits": self.commit_s, "the tuner and records": max(0.0, self.own_s - self.commit_s)}


NOT_TIMED = Timing()
