"""Spaces as ConfigSpace's JSON (format 0.4, ConfigSpace 1.x) and back, without loss.

The file says all that ConfigSpace has words for; what it has none for (group, is_static, order, odds of an ordinal) is
in each hyperparameter's ``meta``, under "cartwheel". Files made by others have no such entry: their parameters get the
group that the caller names. What a space of ours cannot say is refused: forbidden clauses, constants, beta priors,
normal priors that are not around the default, and conditions joined by "or".

ConfigSpace itself, when it loads a file, rounds real numbers to 13 decimals, and reads the sigma of a logarithmic
number as |log(low + sigma)|; where no positive sigma gives ours, the file says "uniform" and ``meta`` knows the rest.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cartwheel.records import Value
from cartwheel.spaces.conditions import is_one_of
from cartwheel.spaces.parameters import Choice, Float, Group, Int, Listed, Parameter
from cartwheel.spaces.space import Space
from cartwheel.spaces.tables import parameter_from_table

FORMAT = 0.4
OWN = "cartwheel"
MAX_LISTED = 10_000
"""A condition such as "greater than" is turned into the list of values that meet it, if these are not more."""


def to_configspace_json(space: Space) -> str:
    """Text that ``ConfigSpace.ConfigurationSpace.from_json`` and ``from_configspace_json`` read."""
    hyperparameters = [_hyperparameter(n, p, i) for i, (n, p) in enumerate(space.parameters.items())]
    conditions = [_condition(name, p) for name, p in space.parameters.items() if p.active_if]
    data = {"name": None, "hyperparameters": hyperparameters, "conditions": conditions, "forbiddens": []}
    return json.dumps({**data, "format_version": FORMAT}, indent=2) + "\n"


def from_configspace_json(text: str, group: Group = "model") -> Space:
    """The space of such a text; ``group``: of parameters that do not say. Raises ValueError, naming the cause."""
    try:
        data = json.loads(text)
        if data["format_version"] != FORMAT:
            raise ValueError(
                f"format_version must be {FORMAT}, that of ConfigSpace 1.x, got {data['format_version']!r}"
            )
        if data["forbiddens"]:
            raise ValueError("forbidden clauses have no place in a space of ours: use conditions, or leave them out")
        items = sorted(data["hyperparameters"], key=lambda item: _own(item).get("position", math.inf))
        parameters = {item["name"]: _parameter(item, group) for item in items}
        conditions: dict[str, dict[str, tuple[Value, ...]]] = {name: {} for name in parameters}
        for item in data["conditions"]:
            for parent, values in _read_condition(item, parameters):
                before = conditions[item["child"]].get(parent, values)
                conditions[item["child"]][parent] = tuple(value for value in before if is_one_of(value, values))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the JSON of a ConfigSpace: {type(error).__name__} {error}") from error
    ordered = parents_first(conditions)
    return Space({name: dataclasses.replace(parameters[name], active_if=conditions[name]) for name in ordered})


def parents_first(conditions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The names in their order, but each after those that its conditions name. Raises ValueError on a circle."""
    rest = dict(conditions)
    while rest:
        ready = next((name for name, parents in rest.items() if not parents.keys() & rest.keys()), None)
        if ready is None:
            raise ValueError(f"the conditions of {', '.join(rest)} go in a circle")
        del rest[ready]
        yield ready


def _hyperparameter(name: str, parameter: Parameter, position: int) -> dict[str, Any]:
    own: dict[str, Any] = {"position": position, "group": parameter.group, "is_static": parameter.is_static}
    if isinstance(parameter, Choice):
        told: dict[str, Any] = {"type": "categorical", "choices": parameter.values, "weights": parameter.weights}
    elif isinstance(parameter, Listed):
        told, own["weights"] = {"type": "ordinal", "sequence": parameter.values}, parameter.weights
    else:
        told, own["prior_std"] = _range(parameter), parameter.prior_std
    return {**told, "name": name, "default_value": parameter.default, "meta": {OWN: own}}


def _range(parameter: Float | Int) -> dict[str, Any]:
    sigma = _sigma(parameter)
    prior = {} if sigma is None else {"mu": parameter.default, "sigma": sigma}
    kind = ("uniform" if sigma is None else "normal") + ("_float" if isinstance(parameter, Float) else "_int")
    return {"type": kind, "lower": parameter.low, "upper": parameter.high, "log": parameter.log, **prior}


def _sigma(parameter: Float | Int) -> float | None:
    """What ConfigSpace calls our prior's standard deviation; None if it has no such number."""
    if parameter.prior_std is None:
        return None
    spread = parameter.prior_std * _width(parameter)
    if not parameter.log:
        return spread
    # beyond, the exponential overflows
    sigma = math.exp(spread) - parameter.low if spread < 700 else -1.0
    return sigma if sigma > 0 else None


def _width(parameter: Float | Int) -> float:
    """Of the whole range, in values, or in logarithms of values."""
    low, high = (
        (parameter.low - 0.5, parameter.high + 0.5) if isinstance(parameter, Int) else (parameter.low, parameter.high)
    )
    return math.log(high) - math.log(low) if parameter.log else high - low


def _condition(name: str, parameter: Parameter) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"type": "EQ", "child": name, "parent": parent, "value": values[0]}
        if len(values) == 1
        else {"type": "IN", "child": name, "parent": parent, "values": values}
        for parent, values in parameter.active_if.items()
    ]
    return parts[0] if len(parts) == 1 else {"type": "AND", "child": name, "conditions": parts}


def _own(item: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = item.get("meta")
    return meta[OWN] if isinstance(meta, Mapping) and isinstance(meta.get(OWN), Mapping) else {}


def _parameter(item: Mapping[str, Any], group: Group) -> Parameter:
    own = _own(item)
    table = {"default": item["default_value"]} if item["type"] != "constant" else {}
    table |= {"group": own.get("group", group), "is_static": own.get("is_static", False)}
    try:
        match item["type"]:
            case "categorical":
                table |= {"kind": "choice", "values": item["choices"], "weights": item["weights"]}
            case "ordinal":
                table |= {"kind": "ordinal", "values": item["sequence"], "weights": own.get("weights")}
            case "uniform_float" | "uniform_int" | "normal_float" | "normal_int" as kind:
                table |= {
                    "kind": kind.partition("_")[2],
                    "low": item["lower"],
                    "high": item["upper"],
                    "log": item["log"],
                }
                table["prior_std"] = (
                    own.get("prior_std") if kind.startswith("uniform") else _prior_std(item, table, own)
                )
            case "constant":
                raise ValueError("a constant is not tuned: take it out, and give it under [agent] of the study")
            case other:
                raise ValueError(f"the type {other!r} has no counterpart: give a uniform or normal number, or a choice")
        return parameter_from_table(table)
    except ValueError as error:
        raise ValueError(f"hyperparameter {item['name']!r}: {error}") from None


def _prior_std(item: Mapping[str, Any], table: Mapping[str, Any], own: Mapping[str, Any]) -> float:
    if not math.isclose(item["mu"], item["default_value"], rel_tol=1e-9, abs_tol=1e-12):
        raise ValueError(f"a normal prior is around the default {item['default_value']}, this one around {item['mu']}")
    parameter = parameter_from_table(table)
    assert isinstance(parameter, Float | Int)
    spread = abs(math.log(parameter.low + item["sigma"])) if parameter.log else item["sigma"]
    told, kept = spread / _width(parameter), own.get("prior_std")
    # to the last bit, unless the file was changed since
    return kept if kept is not None and math.isclose(told, kept, rel_tol=1e-6) else told


def _read_condition(
    item: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """(parent, values with which the child acts), once for each part."""
    match item["type"]:
        case "AND":
            for part in item["conditions"]:
                yield from _read_condition(part, parameters)
        case "EQ":
            yield item["parent"], (item["value"],)
        case "IN":
            yield item["parent"], tuple(item["values"])
        case "NEQ" | "GT" | "LT" as kind:
            yield item["parent"], _met(kind, item["value"], parameters[item["parent"]], item["child"])
        case other:
            raise ValueError(f"the condition of {item['child']!r} is joined by {other!r}: only AND has a counterpart")


def _met(kind: str, value: Value, parent: Parameter, child: str) -> tuple[Value, ...]:
    """The parent's values that differ from, come after or come before a value."""
    if isinstance(parent, Float) or (isinstance(parent, Int) and parent.high - parent.low >= MAX_LISTED):
        raise ValueError(f"the condition of {child!r} does not depend on one of a few values: it has no counterpart")
    values: tuple[Value, ...] = (
        parent.values if isinstance(parent, Listed) else tuple(range(parent.low, parent.high + 1))
    )
    try:
        parent.check(value)
    except ValueError as error:
        raise ValueError(f"the condition of {child!r}: {error}") from None
    place = values.index(value)
    compare: Callable[[int], bool] = {"NEQ": place.__ne__, "GT": place.__lt__, "LT": place.__gt__}[kind]
    return tuple(other for k, other in enumerate(values) if compare(k))
