"""Where the time of a study went, as bars: of its devices, and of its own loop beside them."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cartwheel.analysis.frames import Frame, frame
from cartwheel.analysis.timing import REMAINS, Timing
from cartwheel.analysis.wording import duration, percent
from cartwheel.report.style import BLUE, FAINT, MUTED, WIDE, Layout, light_grid, new_figure, styled

_LONGEST_NAME = 24
"""A part that we do not know may be called anything."""


def time(timing: Timing) -> Frame:
    """One row per activity: its seconds, and their share of all that the devices, or the loop's wall time, had."""
    spent = timing.of_devices
    had = {"devices": sum(spent.values()), "loop": timing.wall_s}
    return frame(
        {"of": of, "activity": activity, "seconds": seconds, "share": seconds / had[of] if had[of] > 0 else None}
        for of, activities in (("devices", spent), ("loop", timing.of_loop))
        for activity, seconds in activities.items()
    )


def draw_time(timing: Timing, layout: Layout = WIDE) -> Figure:
    """A bar per activity, as a share of the time that there was; what remains, and the loop's own, in grey."""
    rows = time(timing)
    bars = list(zip(*(rows[name] for name in ("of", "activity", "seconds", "share")), strict=True))
    with styled(layout):
        figure = new_figure(layout, 0.6 + 0.32 * len(bars))
        axes = figure.add_subplot()
        for row, (of, activity, seconds, share) in enumerate(bars):
            colour = MUTED if of == "loop" else FAINT if activity == REMAINS else BLUE
            axes.barh(row, share or 0.0, height=0.62, color=colour)
            label = f" {duration(seconds)}, {percent(share or 0.0)}"
            axes.text(share or 0.0, row, label, va="center", ha="left", fontsize=layout.font_pt)
        names = [f"loop: {name}" if of == "loop" else name[:_LONGEST_NAME] for of, name, *_ in bars]
        axes.set_yticks(range(len(bars)), names)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        longest = max((share or 0.0 for *_, share in bars), default=1.0) or 1.0
        axes.set_xlim(0.0, (1.25 if layout is WIDE else 2.0) * longest)  # room for the longest bar's label
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.tick_params(axis="y", length=0)
        light_grid(axes, "x")
        axes.set_xlabel("of the devices' time, or of the wall time")
    return figure
