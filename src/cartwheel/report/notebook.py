"""How a study shows itself in a notebook."""

from collections.abc import Iterable

from cartwheel.analysis.tables import StudyTables, counts, trial_noun
from cartwheel.analysis.wording import plural
from cartwheel.report import figures, sentences
from cartwheel.report.html import Html, joined, paragraph, table
from cartwheel.report.style import to_svg


def line(tables: StudyTables, state: str) -> str:
    """A study in one line: what it is and how far it came."""
    meta, counted = tables.meta, counts(tables)
    by = f", {meta['tuner']}" if "tuner" in meta else ""
    amount = f"{plural(counted.num_trials, trial_noun(tables))}, {plural(counted.num_episodes, 'episode')}"
    return f"<Study {meta['name']}: {meta['env_id']}{by}, {state}; {amount}>"


def html(tables: StudyTables, state: str) -> str:
    """The same with the result and the learning curves, for the output of a cell."""
    return joined([table([], _facts(tables, state)), paragraph(sentences.result(tables, None)), *_curves(tables)])


def _facts(tables: StudyTables, state: str) -> Iterable[tuple[str, str]]:
    meta, counted = tables.meta, counts(tables)
    yield "study", f"{meta['name']}, {state}"
    yield "task", str(meta["env_id"])
    yield "tuner", str(meta.get("tuner", "none: a given schedule"))
    yield "so far", f"{plural(counted.num_trials, trial_noun(tables))}, {plural(counted.num_episodes, 'episode')}"
    yield "failed or diverged", plural(counted.num_failed + counted.num_diverged, "segment")


def _curves(tables: StudyTables) -> Iterable[Html]:
    if counts(tables).num_episodes:
        svg = to_svg(figures.learning_curves(tables), "learning-curves")
        yield Html(svg[svg.index("<svg") :])
