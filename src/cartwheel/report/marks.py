"""What went wrong, marked on curves of returns over episodes."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from cartwheel.analysis.tables import Curve, StudyTables, implausible_episodes
from cartwheel.exploits import is_implausible
from cartwheel.report.style import VERMILLION

OUTLYING = 2.0
"""Returns of broken physics that lie farther off than so many times the range of the others are drawn at the edge."""


def mark_not_finite(axes: Axes, curves: Sequence[Curve]) -> None:
    """A cross on the x axis for every episode whose return is not finite."""
    bad = [x for curve in curves for x, y in zip(curve.episodes, curve.returns, strict=True) if not math.isfinite(y)]
    axes.plot(
        bad, [0] * len(bad), "x", color=VERMILLION, markersize=6, clip_on=False, transform=axes.get_xaxis_transform()
    )


def mark_implausible(axes: Axes, tables: StudyTables) -> None:
    """A ring around every training episode whose physics broke.

    Such returns can be so large that nothing else could be told apart: then the axis keeps to the others, and a
    triangle at its upper or lower end stands for each of them.
    """
    flagged = [
        w.episode for w in implausible_episodes(tables) if not w.is_evaluation and math.isfinite(w.episode.return_)
    ]
    if not flagged:
        return
    sound = [e.return_ for own in tables.episodes.values() for e in own if not is_implausible(e)]
    sound = [return_ for return_ in sound if math.isfinite(return_)]
    low, high = (min(sound), max(sound)) if sound else (-math.inf, math.inf)
    room = OUTLYING * (high - low)
    if low < high and any(  # a single return gives no scale to keep to
        not low - room <= episode.return_ <= high + room for episode in flagged
    ):
        axes.set_ylim(low - 0.1 * (high - low), high + 0.25 * (high - low))
    bottom, top = axes.get_ylim()
    for marker, chosen in {
        "o": [(e.index, e.return_) for e in flagged if bottom <= e.return_ <= top],
        "^": [(e.index, top) for e in flagged if e.return_ > top],
        "v": [(e.index, bottom) for e in flagged if e.return_ < bottom],
    }.items():
        x, y = [at for at, _ in chosen], [height for _, height in chosen]
        axes.plot(x, y, marker, color=VERMILLION, markersize=7, markerfacecolor="none", clip_on=False, zorder=5)
