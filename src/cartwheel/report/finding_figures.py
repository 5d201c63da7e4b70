"""Selection or tuning, transfer and its price, and objective mismatch: rows of intervals, with what they say."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from cartwheel.analysis.mismatch import Mismatch
from cartwheel.analysis.selection import Decomposition
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.transfer import Cell, Contrast
from cartwheel.analysis.wording import listed, percent, plural
from cartwheel.report.claims import range_text
from cartwheel.report.findings import Finding, Row, ends
from cartwheel.report.forest import ForestRow, Panel, forest
from cartwheel.report.style import BLUE, MUTED, ORANGE, Layout

VIEWS = {
    "all": "over all episodes of all agents",
    "between agents": "between agents of equal age",
    "within an agent": "within an agent, beside others of its age",
}

AT_EQUAL_AGE = ("between agents", "within an agent")


def selection(found: Sequence[Decomposition]) -> Finding:
    """How much of a dynamic tuner's gain is copying."""

    def draw(layout: Layout) -> Figure:
        panels = [
            Panel(
                f"{one.arm} on {one.task}",
                [ForestRow(part.name, part.interval, BLUE if one.is_claim else MUTED) for part in one.parts],
                0.0,
            )
            for one in found
        ]
        return forest(panels, "gain over the default config (difference of IQMs, with its 95% interval)", layout)

    rows: list[Row] = [
        {"task": one.task, "arm": one.arm, "part": part.name, "claim": one.is_claim, **ends(part.interval)}
        for one in found
        for part in one.parts
    ]
    shown = [
        ["arm and task", "part", "gain", "95% interval"],
        *([f"{one.arm} on {one.task}", part.name, *range_text(part.interval)] for one in found for part in one.parts),
    ]
    sentences = (
        "The whole gain is the tuned agents' over the best of as many under the default config; copying is that of "
        "selection-only, changing what is left; the schedule is followed by new agents, without copying.",
        *(_decomposed(one) for one in found),
    )
    return Finding("selection-or-tuning", "Selection or tuning?", sentences, draw, rows, shown)


def transfers(cells: Sequence[Cell]) -> Finding:
    """The matrix: what was found where, followed where."""
    targets = list(dict.fromkeys(cell.target for cell in cells))

    def draw(layout: Layout) -> Figure:
        panels = [
            Panel(
                f"followed on {target}",
                [
                    ForestRow(_moved(cell), cell.gain or cell.iqm, BLUE if cell.kind == "dynamic" else ORANGE)
                    for cell in cells
                    if cell.target == target
                ],
                0.0 if any(cell.gain is not None for cell in cells if cell.target == target) else None,
            )
            for target in targets
        ]
        has_gains = all(cell.gain is not None for cell in cells)
        label = "gain over the default config" if has_gains else "return, or gain where the default config was trained"
        return forest(panels, f"{label} (IQM, with its 95% interval); blue dynamic, orange static", layout)

    rows: list[Row] = [
        {
            "source": c.source, "arm": c.arm, "kind": c.kind, "target": c.target, **ends(c.iqm, "iqm_"),
            **ends(c.gain, "gain_"), "schedules": c.num_schedules, "test_seeds": c.num_test_seeds,
        }
        for c in cells
    ]  # fmt: skip
    shown = [
        ["found by, on", "followed on", "return (IQM)", "95% interval", "gain over default", "95% interval"],
        *([_moved(c), c.target, *range_text(c.iqm), *range_text(c.gain)] for c in cells),
    ]
    gains = [(c, c.gain) for c in cells if c.gain is not None]
    better = [c for c, gain in gains if gain.sign > 0]
    worse = [c for c, gain in gains if gain.sign < 0]
    sentence = (
        "New agents on test seeds, trained under what was found. "
        f"Of {plural(len(gains), 'row')} beside the default config there, {_followed(better, 'better')}, and "
        f"{_followed(worse, 'worse')}."
    )
    return Finding("transfer", "Transfer to new seeds and to other tasks", (sentence,), draw, rows, shown)


def transfer_prices(prices: Sequence[Contrast]) -> Finding:
    """Dynamic minus static, at home and away."""
    return Finding(
        "price-of-transfer",
        "The price of transferring",
        (
            "What a rerun of a dynamic schedule returns less what one of a static config found on the same task does. "
            + _counted(prices, "dynamic schedules are ahead of static configs"),
        ),
        _contrasts(prices, "return, dynamic less static (difference of IQMs, with its 95% interval)"),
        _contrast_rows(prices, "dynamic", "static"),
    )


def cost_of_simplifying(found: Sequence[Contrast]) -> Finding:
    """Schedules of few pieces minus what they were made of, at home and away."""
    return Finding(
        "cost-of-simplifying",
        "The cost of simplifying",
        (
            "What a rerun of a simplified schedule returns less what one of the schedule as it was found does, of the "
            "tuner seeds whose schedules had more pieces than that. "
            + _counted(found, "simplified schedules are ahead of those they were made of"),
        ),
        _contrasts(found, "return, simplified less as found (difference of IQMs, with its 95% interval)"),
        _contrast_rows(found, "simplified", "as_found"),
    )


def _contrasts(found: Sequence[Contrast], label: str) -> Callable[[Layout], Figure]:
    """A panel for every move."""

    def draw(layout: Layout) -> Figure:
        moves: dict[tuple[str, str], list[ForestRow]] = {}
        for c in found:
            row = ForestRow(f"{c.first} less {c.second}", c.interval, BLUE if c.is_claim else MUTED)
            moves.setdefault((c.source, c.target), []).append(row)
        panels = [
            Panel(f"on {source}" if source == target else f"from {source} to {target}", rows, 0.0)
            for (source, target), rows in moves.items()
        ]
        return forest(panels, label, layout)

    return draw


def _contrast_rows(found: Sequence[Contrast], first: str, second: str) -> list[Row]:
    return [
        {
            "source": c.source,
            "target": c.target,
            first: c.first,
            second: c.second,
            "claim": c.is_claim,
            **ends(c.interval),
        }
        for c in found
    ]


def _counted(found: Sequence[Contrast], ahead: str) -> str:
    """How often the first are surely ahead and behind, at home and away."""
    home, away = ([c for c in found if (c.source == c.target) == is_home] for is_home in (True, False))
    told = [
        f"{place}, {ahead} in {_count(group, 1)} of {plural(len(group), 'comparison')}, behind in {_count(group, -1)}"
        for place, group in (("on the task they were found on", home), ("moved to another task", away))
        if group
    ]
    grey = "" if all(c.is_claim for c in found) else " Grey ones, from few tuner seeds, are indications."
    return f"Counting intervals that exclude zero: {'; '.join(told)}.{grey}"


def mismatch(task: str, found: Sequence[Mismatch], key: str) -> Finding:
    """Rank correlations of model errors and returns."""

    def draw(layout: Layout) -> Figure:
        errors = list(dict.fromkeys(one.error for one in found))
        panels = [
            Panel(
                error,
                [
                    ForestRow(VIEWS[one.view], one.interval, missing="nothing to correlate")
                    for one in found
                    if one.error == error
                ],
                0.0,
            )
            for error in errors
        ]
        return forest(panels, "Spearman's correlation of model error and return", layout)

    rows: list[Row] = [
        {"task": task, "error": one.error, "view": one.view, **ends(one.interval), "episodes": one.num_points,
         "agents": one.num_agents}
        for one in found
    ]  # fmt: skip
    sentence = (
        "Negative: where the model errs less, the agent returns more. Over all episodes the two agree because both "
        f"improve with age; the question is whether they do {listed([VIEWS[view] for view in AT_EQUAL_AGE])}. "
        f"{_matched(found)}"
    )
    return Finding(f"mismatch-{key}", f"Objective mismatch on {task}", (sentence,), draw, rows)


def _matched(found: Sequence[Mismatch]) -> str:
    """Where models that err less make agents that return more or less, with age out of the way."""
    told = {}
    for sign in (-1, 1):
        sure = [one for one in found if one.interval is not None and one.interval.sign == sign]
        by_view = {view: [one.error for one in sure if one.view == view] for view in AT_EQUAL_AGE}
        told[sign] = [f"{VIEWS[view]} by {listed(errors)}" for view, errors in by_view.items() if errors]
    text = f"They do, beyond what chance gives, {listed(told[-1])}." if told[-1] else "Nowhere do they, surely."
    return text + (f" The other way round: {listed(told[1])}." if told[1] else "")


def _decomposed(one: Decomposition) -> str:
    whole, copying, changing = (part.interval for part in (one.whole, one.copying, one.changing))
    text = (
        f"{one.arm} on {one.task}: of a gain of {_told(whole)}, copying gives {_told(copying)} and changing "
        f"{_told(changing)}"
    )
    if whole.low > 0:
        text += f", so copying is {percent(max(0.0, copying.point / whole.point))} of it"
    if one.schedule is not None:
        text += f"; its schedule, followed by new agents, keeps {_told(one.schedule.interval)}"
    return text + ("." if one.is_claim else ". From few tuner seeds, so an indication.")


def _told(interval: Interval) -> str:
    point, span = range_text(interval)
    return f"{point} ({span})"


def _followed(sure: Sequence[Cell], how: str) -> str:
    """What is surely better or worse, claims before indications."""
    if not sure:
        return f"none is surely {how}"
    claims, indications = ([c for c in sure if c.is_claim == is_claim] for is_claim in (True, False))
    told = [
        f"{how}{words}: {listed([f'{_moved(c)} followed on {c.target}' for c in group])}"
        for words, group in (("", claims), (", as an indication from few tuner seeds", indications))
        if group
    ]
    return "; ".join(told)


def _moved(cell: Cell) -> str:
    return f"{cell.arm} of {cell.source}"


def _count(found: Sequence[Contrast], sign: int) -> int:
    return sum(c.interval.sign == sign for c in found)
