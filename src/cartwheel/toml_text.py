"""TOML text from plain values: what ``tomllib`` reads back unchanged."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Any]) -> str:
    """A document of this table: strings, numbers, booleans, lists and tables.

    None has no TOML and is left out, and so is an empty table.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def toml_value(value: Any) -> str:
    """One value on one line. Raises TypeError for what TOML or our settings do not have."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return "{" + ", ".join(f"{_key(name)} = {toml_value(entry)}" for name, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml_value, value)) + "]"
    raise TypeError(f"no TOML for {value!r}")


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    present = {name: value for name, value in table.items() if value is not None}
    plain = {name: value for name, value in present.items() if not isinstance(value, Mapping)}
    if path and plain:
        yield f"\n[{'.'.join(map(_key, path))}]"
    for name, value in plain.items():
        yield f"{_key(name)} = {toml_value(value)}"
    for name, value in present.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, name))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
