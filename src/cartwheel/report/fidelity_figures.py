"""Budgets: are configs that are good after few episodes good after many? Scatter plots and rank correlations."""

from collections.abc import Sequence
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cartwheel.analysis.correlation import Correlation, FidelityScores, correlation, correlations
from cartwheel.analysis.wording import plural
from cartwheel.report.findings import Finding, Row
from cartwheel.report.style import BLUE, INK, MUTED, ORANGE, Layout, light_grid, new_figure, styled

COLOURS = {False: BLUE, True: ORANGE}
LABELS = {False: "full curves", True: "censored"}


def fidelities(task: str, parts: Sequence[FidelityScores], key: str) -> Finding | None:
    """Of one task: full curves of static tuners, and censored ones beside them. None without two fidelities."""
    pairs = sorted({pair for part in parts for pair in combinations(part.fidelities, 2)})
    if not pairs:
        return None

    def draw(layout: Layout) -> Figure:
        columns = min(layout.panel_columns, len(pairs))
        num_rows = -(-len(pairs) // columns)
        with styled(layout):
            figure = new_figure(layout, 0.4 + 2.25 * num_rows)
            grid = figure.subplots(num_rows, columns, squeeze=False).ravel()
            for axes, pair in zip(grid, pairs, strict=False):
                _draw(axes, parts, pair)
            for axes in grid[len(pairs) :]:
                axes.set_visible(False)
            figure.supxlabel("score after fewer episodes", color=MUTED, fontsize=layout.font_pt)
            figure.supylabel("score after more episodes", color=MUTED, fontsize=layout.font_pt)
        return figure

    rows: list[Row] = [
        {"task": task, "kind": LABELS[part.is_censored], "low": low, "high": high, "score_low": x, "score_high": y}
        for part in parts
        for low, high in combinations(part.fidelities, 2)
        for x, y in part.pairs(low, high)
    ]
    every = [(part, found) for part in parts for found in correlations(part)]
    shown = [
        ["episodes", "scores of", "Spearman's correlation", "p", "configs"],
        *(
            [f"{found.low} against {found.high}", LABELS[part.is_censored], f"{found.correlation:+.2f}",
             _p(found.p_value), str(found.num_configs)]
            for part, found in every
        ),
    ]  # fmt: skip
    sentences = _sentences([found for part, found in every if not part.is_censored], parts)
    return Finding(f"fidelities-{key}", f"Budgets on {task}: few episodes against many", sentences, draw, rows, shown)


def _sentences(full: Sequence[Correlation], parts: Sequence[FidelityScores]) -> tuple[str, ...]:
    defined = [found for found in full if found.correlation == found.correlation]
    text = "A dot is one config, scored after fewer (across) and after more episodes (up)."
    if defined:
        least, most = min(defined, key=lambda c: c.correlation), max(defined, key=lambda c: c.correlation)
        text += (
            f" Of configs that were all trained to the end, ranks agree least between {least.low} and "
            f"{plural(least.high, 'episode')} (Spearman {least.correlation:+.2f}, p {_p(least.p_value)}, "
            f"{least.num_configs} configs) and most between {most.low} and {most.high} ({most.correlation:+.2f})."
        )
    else:
        text += " No config was trained to the end, so nothing unbiased can be said."
    if any(part.is_censored for part in parts):
        text += (
            " Orange dots are censored: their tuner trained on only what was good early, so their correlations are of "
            "a selection."
        )
    return (text,)


def _draw(axes: Axes, parts: Sequence[FidelityScores], pair: tuple[int, int]) -> None:
    told = []
    for part in parts:
        dots = part.pairs(*pair)
        size = 3.5 if len(dots) <= 100 else 2
        colour = COLOURS[part.is_censored]
        axes.plot([x for x, _ in dots], [y for _, y in dots], "o", color=colour, markersize=size, alpha=0.7, mew=0)
        if dots:
            told.append(("censored " if part.is_censored else "") + f"{correlation(part, *pair).correlation:+.2f}")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    light_grid(axes, "both")
    axes.set_title(f"{pair[0]} against {pair[1]}\n{', '.join(told)}", loc="left", color=INK, pad=5)


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
