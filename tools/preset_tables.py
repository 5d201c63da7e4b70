"""Writes the tables of docs/presets.md from the presets themselves."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cartwheel.agents.pets.hypers import PLANNER_CHOICES, PetsShape, default_config
from cartwheel.agents.pets.presets import PRESETS

DOCUMENT = Path(__file__).parents[1] / "docs" / "presets.md"
BEGIN = "<!-- made by tools/preset_tables.py -->"


def tables() -> str:
    """In Markdown: a table of what every preset sets, and a list of what it sets otherwise for some tasks."""
    return "\n".join([*_everywhere(), "", *_by_task()]) + "\n"


def updated(document: str) -> str:
    """The document with its tables made anew."""
    return document[: document.index(BEGIN)] + BEGIN + "\n\n" + tables()


def _everywhere() -> Iterator[str]:
    names = list(PRESETS)
    yield f"| setting | {' | '.join(f'`{name}`' for name in names)} |"
    yield "|---|" + "--:|" * len(names)
    settings = dict.fromkeys(key for preset in PRESETS.values() for key in preset.everywhere)
    for key in settings:
        yield f"| `{key}` | {' | '.join(_text(PRESETS[name].everywhere, key) for name in names)} |"


def _by_task() -> Iterator[str]:
    for name, preset in PRESETS.items():
        for task, settings in preset.tasks.items():
            told = (f"{key} {_value(value)}" for key, value in settings.items() if preset.everywhere.get(key) != value)
            line = f"- `{name}` on `{task}`: {', '.join(told)}"
            yield textwrap.fill(line, 120, subsequent_indent="  ", break_long_words=False)


def _text(settings: Any, key: str) -> str:
    """What a preset says, or in parentheses the agent's own default; nothing where its planner has no such setting."""
    planner = settings.get("planner", PetsShape.planner)
    foreign = frozenset[str]().union(*PLANNER_CHOICES.values()) - PLANNER_CHOICES[planner]
    own = {**vars(PetsShape()), **default_config(planner)}
    if key in settings:
        return _value(settings[key])
    return f"({_value(own[key])})" if key in own.keys() - foreign else ""


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{entry:g}" for entry in value) + "]" if value else "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "all" if value is None else str(value)


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text()))
