"""What physics did: which returns rest on it having broken, and, apart from that, who turned over."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cartwheel.analysis.tables import (
    StudyTables,
    Watched,
    counts,
    implausible_episodes,
    turning_episodes,
    warnings,
)
from cartwheel.analysis.wording import listed, number, plural
from cartwheel.exploits import OnExploit, first_implausible_step, num_turns, plausible_return, reasons
from cartwheel.report import films
from cartwheel.report.html import Html, Link, paragraph, table

MAX_ROWS = 20
"""Episodes listed in a table; how many more there are is said."""

_COUNTS: dict[OnExploit, str] = {
    "keep": "their returns count as they are",
    "cap": "from the first such step on, a step counts for at most the mean of those before it",
    "exclude": "their returns do not count, so that such an agent ranks worst",
}


def body(tables: StudyTables, shown: Sequence[Path] = ()) -> Iterator[Html]:
    """The section: first what broke, with the films of the moments that are among those ``shown``; then who turned."""
    broken, turned = implausible_episodes(tables), turning_episodes(tables)
    yield paragraph(implausible_sentence(tables))
    if broken:
        yield from _broken_body(broken, {film.stem: film for film in shown})
    noted = warnings(tables)
    if noted:
        told = [[kind, f"{times:,}"] for kind, times in sorted(noted.items())]
        yield table(["noted about physics in training", "times"], told, "plain")
    yield paragraph(turning_sentence(tables))
    if turned:
        yield table(
            ["segment, episode", "full turns", "return", "top speed, m/s", "physics"],
            map(_turning_row, turned[:MAX_ROWS]),
        )
        yield from _left_out(len(turned))


def moments(tables: StudyTables) -> list[str]:
    """The names of the films that belong to the listed episodes, whether they were made or not."""
    return [_moment(watched) for watched in implausible_episodes(tables)[:MAX_ROWS]]


def _broken_body(broken: Sequence[Watched], shown: Mapping[str, Path]) -> Iterator[Html]:
    header = ["segment, episode", "return", "return before the break", "first implausible step", "because of",
              "top speed, m/s", "top energy, J", "film"]  # fmt: skip
    listed_first = broken[:MAX_ROWS]
    yield table(header, ([*_broken_row(watched), _film_cell(watched, shown)] for watched in listed_first))
    yield from _left_out(len(broken))
    filmed = [shown[name] for name in map(_moment, listed_first) if name in shown]
    yield from map(films.figure, filmed)
    if len(filmed) < len(listed_first):
        yield paragraph("The moments that are not shown here: `cartwheel video RUN_DIR --exploits` films them.")


def _film_cell(watched: Watched, shown: Mapping[str, Path]) -> str | Link:
    name = _moment(watched)
    return Link("the moment", name) if name in shown else "-"


def _moment(watched: Watched) -> str:
    return films.moment_name(watched.segment, watched.episode.index, watched.is_evaluation)


def implausible_sentence(tables: StudyTables) -> str:
    """How many returns rest on physics that broke, and what the tuner saw of them."""
    broken = implausible_episodes(tables)
    if not broken:
        return (
            f"Physics stayed plausible in all {plural(counts(tables).num_episodes, 'training episode')}: the simulator "
            "gave no warning, and nothing left the range that the task declares."
        )
    largest = max((watched.episode for watched in broken), key=lambda episode: _finite(episode.return_))
    return (
        f"The returns of {plural(len(broken), 'episode')} rest on physics that broke or left the task's plausible "
        f"range; the largest is {number(largest.return_)}, of which {number(plausible_return(largest))} came "
        f"before the break. With on_exploit = {tables.on_exploit!r}, {_COUNTS[tables.on_exploit]}."
    )


def turning_sentence(tables: StudyTables) -> str:
    """Turning over is allowed by physics: it is told apart from what broke."""
    turned = turning_episodes(tables)
    if not turned:
        return "No trunk turned over, where the task has one."
    sound = sum(not watched.episode.warnings for watched in turned)
    return (
        f"Turning over breaks no physics: it happened in {plural(len(turned), 'episode')}, in {sound} of them with "
        f"plausible physics throughout. The most were {plural(num_turns(turned[0].episode), 'full turn')}."
    )


def _broken_row(watched: Watched) -> list[str]:
    episode, step = watched.episode, first_implausible_step(watched.episode)
    return [
        _name(watched),
        number(episode.return_),
        number(plausible_return(episode)),
        "not recorded" if step is None else str(step),
        listed(reasons(episode)),
        _metric(watched, "top_speed_m_s"),
        _metric(watched, "top_energy_j"),
    ]


def _turning_row(watched: Watched) -> list[str]:
    is_sound = not watched.episode.warnings
    return [
        _name(watched),
        str(num_turns(watched.episode)),
        number(watched.episode.return_),
        _metric(watched, "top_speed_m_s"),
        "plausible" if is_sound else "broke",
    ]


def _name(watched: Watched) -> str:
    kind = "evaluation" if watched.is_evaluation else "episode"
    return f"{watched.segment}, {kind} {watched.episode.index}"


def _metric(watched: Watched, name: str) -> str:
    value = watched.episode.metrics.get(name)
    return "-" if value is None else number(value)


def _left_out(total: int) -> Iterator[Html]:
    if total > MAX_ROWS:
        yield paragraph(f"{plural(total - MAX_ROWS, 'episode')} more are left out.")


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
