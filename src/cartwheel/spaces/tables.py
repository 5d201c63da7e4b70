"""Parameters as plain tables, as study files have them, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cartwheel.errors import did_you_mean
from cartwheel.spaces.parameters import Choice, Float, Int, Ordinal, Parameter

KINDS: Mapping[str, type[Parameter]] = {"float": Float, "int": Int, "choice": Choice, "ordinal": Ordinal}


def parameter_from_table(table: Any) -> Parameter:
    """The parameter of a table such as ``{kind = "int", low = 5, high = 40, default = 25, group = "planner"}``."""
    if not isinstance(table, Mapping):
        raise ValueError(f"must be a table such as {{kind = 'float', low = ..., high = ...}}, got {table!r}")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    fields = {field.name: field for field in dataclasses.fields(KINDS[kind])}
    for key in sorted(table.keys() - fields.keys() - {"kind"}):
        raise ValueError(f"unknown key {key!r}: {did_you_mean(key, fields)}")
    for key in (name for name, field in fields.items() if _is_needed(field) and name not in table):
        raise ValueError(f"missing key {key!r}")
    return KINDS[kind](**{key: value for key, value in table.items() if key != "kind"})


def parameter_to_table(parameter: Parameter) -> dict[str, Any]:
    """A plain table without what is as by default; ``parameter_from_table`` is the inverse."""
    kind = next(kind for kind, parameter_class in KINDS.items() if type(parameter) is parameter_class)
    fields = sorted(dataclasses.fields(parameter), key=lambda field: bool(field.kw_only))
    told = {field.name: getattr(parameter, field.name) for field in fields}
    return {
        "kind": kind,
        **{f.name: _plain(told[f.name]) for f in fields if _is_needed(f) or told[f.name] != _usual(f)},
    }


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _usual(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value
