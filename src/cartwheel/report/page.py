"""The report of a study: one HTML file that needs nothing else, and its figures and their numbers as files beside it.

No script, no request, no clock: equal tables give equal bytes. Every figure is drawn for wide and for narrow screens,
and the style sheet shows the one that fits. The page holds the figures' numbers as CSV, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cartwheel.analysis.comparison import Arm, ArmSummary, Comparison, Difference, compute_sentence
from cartwheel.analysis.frames import csv_text
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.tables import (
    StudyTables,
    counts,
    failures,
    incumbent,
    incumbent_score,
    network_evaluations,
    num_failed_by_kind,
    num_retried_by_kind,
    schedule_of,
    trial_noun,
)
from cartwheel.analysis.wording import compact, duration, fixed, number, percent, plural
from cartwheel.records import Config
from cartwheel.report import films, physics, sentences
from cartwheel.report.exhibits import Exhibit, exhibits, write_exhibit
from cartwheel.report.html import Html, document, download, paragraph, section, table, tiles
from cartwheel.report.style import NARROW, WIDE, inline_svg, style_sheet, to_svg

PAGE = "report.html"
FIGURES_FOLDER = "figures"


def write_report(
    folder: Path,
    tables: StudyTables,
    comparison: Comparison | None = None,
    per_env_step: Callable[[Config], float] | None = None,
    rerun: Arm | None = None,
) -> Path:
    """Write ``report.html`` and ``figures/``, each figure as SVG, PDF and CSV, into a folder; the page's path.

    ``per_env_step`` gives the network evaluations that planning one env step takes under a config, if known; ``rerun``
    has agents that were trained anew under the study's schedule.
    """
    figures_folder = folder / FIGURES_FOLDER
    figures_folder.mkdir(parents=True, exist_ok=True)
    for exhibit in exhibits(tables, comparison):
        write_exhibit(figures_folder, exhibit)
    page = folder / PAGE
    page.write_text(render_page(tables, comparison, per_env_step, films.films_of(folder), rerun), encoding="utf-8")
    return page


def render_page(
    tables: StudyTables,
    comparison: Comparison | None = None,
    per_env_step: Callable[[Config], float] | None = None,
    shown: Sequence[Path] = (),
    rerun: Arm | None = None,
) -> str:
    """The page as text, with the films that are ``shown``."""
    name = str(tables.meta.get("name", "study"))
    moments = set(physics.moments(tables))
    others = [film for film in shown if film.stem not in moments]
    body = [
        paragraph(sentences.result(tables, comparison, rerun), "result"),
        tiles(_key_numbers(tables, per_env_step)),
        *([section("Videos", films.body(others))] if others else []),
        *_sections(tables, comparison, shown),
    ]
    return document(name, _about(tables), style_sheet(), body)


def _sections(tables: StudyTables, comparison: Comparison | None, shown: Sequence[Path]) -> Iterator[Html]:
    for exhibit in exhibits(tables, comparison):
        below = _below(exhibit, tables, comparison)
        yield section(exhibit.title, [paragraph(exhibit.sentence), embedded(exhibit), *below])
    if tables.timing.wall_s <= 0:
        yield section("Where the time went", [paragraph(sentences.time(tables.timing))])
    yield section("What physics did", physics.body(tables, shown))
    yield section("What went wrong", _failure_body(tables))
    yield section("Settings", [table([], _flat(tables.settings), "plain")])
    yield section("Versions and platform", [table([], _flat(tables.environment), "plain")])


def _below(exhibit: Exhibit, tables: StudyTables, comparison: Comparison | None) -> Iterator[Html]:
    """The tables below a figure."""
    if exhibit.name == "comparison" and comparison is not None:
        yield from _comparison_tables(comparison)
    if exhibit.name == "hyperparameters":
        yield _schedule_table(tables)


def embedded(exhibit: Exhibit) -> Html:
    """The figure of a page, for wide and for narrow screens, with its numbers to take away."""
    parts = []
    for layout in (WIDE, NARROW):
        # Different salts: an id in the hidden layout must not answer for one in the visible layout.
        key = f"{exhibit.name}-{layout.name}"
        svg = inline_svg(to_svg(exhibit.draw(layout), key), key, exhibit.sentence)
        parts.append(f'<div class="{layout.name}">{svg}</div>')
    link = download("Its numbers as CSV", f"{exhibit.name}.csv", csv_text(exhibit.data))
    return Html("<figure>\n" + "\n".join(parts) + f"\n<figcaption>{link}</figcaption>\n</figure>")


def _about(tables: StudyTables) -> str:
    named = {"task": "env_id", "tuner": "tuner", "seed": "seed"}
    return " · ".join(f"{label} {tables.meta[key]}" for label, key in named.items() if key in tables.meta)


def _key_numbers(tables: StudyTables, per_env_step: Callable[[Config], float] | None) -> Iterator[tuple[str, str]]:
    count = counts(tables)
    if incumbent(tables) is not None:
        yield number(incumbent_score(tables)), "incumbent's score in training"
    yield _tile(count.num_trials, trial_noun(tables))
    yield f"{count.num_episodes:,}", f"episodes finished, {count.num_random_episodes:,} of them random"
    yield f"{count.env_steps + count.evaluation_env_steps:,}", _env_steps_label(count.evaluation_env_steps)
    yield f"{count.num_copies + count.num_backtracks:,}", "copies"
    if per_env_step is not None:
        yield compact(float(f"{network_evaluations(tables, per_env_step):.3g}")), "network evaluations for planning"
    yield f"{count.num_failed + count.num_diverged}", "segments failed or diverged"
    yield duration(tables.timing.wall_s), "wall time"


def _tile(count: int, noun: str) -> tuple[str, str]:
    amount, label = plural(count, noun).split(" ")
    return amount, label


def _env_steps_label(validation_steps: int) -> str:
    return f"env steps, {validation_steps:,} of them in validation" if validation_steps else "env steps"


def _comparison_tables(comparison: Comparison) -> list[Html]:
    arms = ["trained anew under", "mean return", "95% interval", "trainings", "failed",
            "network evaluations per env step", "env steps to find it"]  # fmt: skip
    found = comparison.found.arm.label
    differences = [f"{found} against", "paired difference", "95% interval", "pairs", f"chance that {found} wins"]
    return [
        table(arms, (_arm_row(summary, comparison.decimals) for summary in comparison.summaries), "last-is-found"),
        table(differences, (_difference_row(comparison, difference) for difference in comparison.differences)),
        paragraph(compute_sentence(comparison)),
    ]


def _arm_row(summary: ArmSummary, decimals: int) -> list[str]:
    arm, interval = summary.arm, summary.interval
    mean, ends = ("-", "-") if interval is None else (fixed(interval.point, decimals), _ends(interval, decimals))
    cost = summary.network_evaluations_per_env_step
    return [
        arm.label, mean, ends, str(len(arm.runs)), str(arm.num_failed), fixed(cost, 0), f"{arm.tuning_env_steps:,}",
    ]  # fmt: skip


def _difference_row(comparison: Comparison, difference: Difference) -> list[str]:
    labels = {summary.arm.name: summary.arm.label for summary in comparison.baselines}
    if difference.interval is None:
        return [labels[difference.baseline], "-", "-", "0", "-"]
    return [
        labels[difference.baseline],
        fixed(difference.interval.point, comparison.decimals, signed=True),
        _ends(difference.interval, comparison.decimals, signed=True),
        str(difference.num_pairs),
        percent(difference.probability),
    ]


def _ends(interval: Interval, decimals: int, *, signed: bool = False) -> str:
    return f"{fixed(interval.low, decimals, signed=signed)} to {fixed(interval.high, decimals, signed=signed)}"


def _schedule_table(tables: StudyTables) -> Html:
    best = incumbent(tables)
    if best is None:
        return Html("")
    pieces = schedule_of(tables, best).pieces
    spans = [f"episodes {p.start + 1 if p.start else 0} to {p.stop}" for p in pieces]
    header = ["winning schedule", "study's default", *spans]
    default = tables.space.default
    rows = (
        [name, sentences.value(default[name]), *(sentences.value(p.config[name]) for p in pieces)]
        for name in tables.space.names
        if all(name in p.config for p in pieces)
    )
    return table(header, rows)


def _failure_body(tables: StudyTables) -> Iterator[Html]:
    yield paragraph(sentences.failures(counts(tables)))
    failed, retried = num_failed_by_kind(tables), num_retried_by_kind(tables)
    if failed or retried:
        by_kind = [[kind, f"{failed[kind]:,}", f"{retried[kind]:,}"] for kind in sorted(failed | retried)]
        yield table(["kind of failure", "for good, evaluations included", "tried again"], by_kind)
    kinds = failures(tables)
    if kinds:
        rows = [[kind, reason or "no reason given", ", ".join(ids)] for (kind, reason), ids in kinds.items()]
        yield table(["kind", "why", "segments (trial.index)"], rows, "plain")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
