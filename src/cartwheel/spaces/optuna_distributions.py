"""Spaces as Optuna's distributions in JSON and back, without loss.

``{"distributions": {NAME: what optuna.distributions.distribution_to_json says}, "cartwheel": {NAME: the rest}}``.

Optuna's distributions have no defaults, groups, conditions or priors, and do not order the values of a category; the
rest holds these. Where others made the file, there is no rest: a number's default is then the middle of its range, a
category's its first value, the group is the one that the caller names, and numbers with a step, which Optuna's
logarithmic ones never have, become ordinals.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cartwheel.spaces.parameters import Float, Group, Int, Parameter
from cartwheel.spaces.space import Space
from cartwheel.spaces.tables import parameter_from_table, parameter_to_table

OWN = "cartwheel"
MAX_STEPS = 10_000
"""More values than these are no list."""


def to_optuna_json(space: Space) -> str:
    """Text whose ``distributions`` are Optuna's, and which ``from_optuna_json`` reads."""
    distributions = {name: _distribution(parameter) for name, parameter in space.parameters.items()}
    rest = {name: _rest(parameter_to_table(parameter)) for name, parameter in space.parameters.items()}
    return json.dumps({"distributions": distributions, OWN: rest}, indent=2) + "\n"


def from_optuna_json(text: str, group: Group = "model") -> Space:
    """The space of such a text; ``group``: of parameters that do not say. Raises ValueError, naming the cause."""
    try:
        data = json.loads(text)
        distributions, rest = data["distributions"], data.get(OWN, {})
        tables = {name: _table(name, told, rest.get(name), group) for name, told in distributions.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the JSON of Optuna's distributions: {type(error).__name__} {error}") from error
    return Space.from_dict(tables)


def _distribution(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Float | Int):
        is_real = isinstance(parameter, Float)
        ends = {"step": None if is_real else 1, "low": parameter.low, "high": parameter.high, "log": parameter.log}
        return {"name": "FloatDistribution" if is_real else "IntDistribution", "attributes": ends}
    return {"name": "CategoricalDistribution", "attributes": {"choices": parameter.values}}


def _rest(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in ("low", "high", "log", "values")}


def _table(name: str, told: Mapping[str, Any], rest: Mapping[str, Any] | None, group: Group) -> dict[str, Any]:
    try:
        drawn = _drawn(told["name"], told["attributes"])
        return {**drawn, **rest} if rest is not None else {**drawn, "default": _default(drawn), "group": group}
    except ValueError as error:
        raise ValueError(f"distribution {name!r}: {error}") from None


def _drawn(kind: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Kind and range."""
    match kind:
        case "CategoricalDistribution":
            return {"kind": "choice", "values": about["choices"]}
        case "FloatDistribution" | "IntDistribution":
            if about["low"] == about["high"]:
                raise ValueError("it has a single value: take it out, and give it under [agent] of the study")
            if about["step"] not in (None, 1) or (kind == "FloatDistribution" and about["step"] is not None):
                return {"kind": "ordinal", "values": _steps(about["low"], about["high"], about["step"])}
            ends = {key: about[key] for key in ("low", "high", "log")}
            return {"kind": "float" if kind == "FloatDistribution" else "int", **ends}
    raise ValueError(f"{kind!r} is none of FloatDistribution, IntDistribution, CategoricalDistribution")


def _steps(low: float, high: float, step: float) -> list[float]:
    num = round((high - low) / step) + 1
    if num > MAX_STEPS:
        raise ValueError(f"it has {num} steps; leave the step out")
    return [low + k * step for k in range(num)]


def _default(drawn: Mapping[str, Any]) -> Any:
    if "values" in drawn:
        return drawn["values"][0 if drawn["kind"] == "choice" else len(drawn["values"]) // 2]
    space = Space({"x": parameter_from_table({**drawn, "default": drawn["low"], "group": "model"})})
    return space.decode(np.array([0.5]))["x"]
