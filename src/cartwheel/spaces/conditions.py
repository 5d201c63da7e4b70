"""Conditions: which parameters act, given the values of others.

``active_if = {planner = ["icem"]}``: the parameter acts if ``planner`` acts and has one of these values, and so for
every name in the table. What does not act is held at its default, so configs that behave alike are equal.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from cartwheel.errors import did_you_mean
from cartwheel.records import Config, Value
from cartwheel.spaces.parameters import Float, Parameter

Conditions: TypeAlias = Mapping[str, tuple[Value, ...]]
"""By name of the parameter that decides: the values with which it lets another act."""


def is_active(conditions: Conditions, acting: Config) -> bool:
    """Whether all conditions hold, given the values of all earlier parameters that act."""
    return all(name in acting and is_one_of(acting[name], values) for name, values in conditions.items())


def is_one_of(value: Value, values: Iterable[Value]) -> bool:
    """By type too: True == 1 == 1.0, but an agent may tell them apart."""
    return any(value == other and type(value) is type(other) for other in values)


def check_conditions(parameters: Mapping[str, Parameter]) -> None:
    """Raises ValueError, naming parameter and cause, unless every condition can be decided by an earlier parameter."""
    earlier: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        for parent, values in parameter.active_if.items():
            try:
                _check_condition(parameter, parent, values, parameters, earlier)
            except ValueError as error:
                raise ValueError(f"parameter {name!r}: active_if: {error}") from None
        earlier[name] = parameter


def _check_condition(
    child: Parameter,
    parent: str,
    values: Iterable[Value],
    known: Mapping[str, Parameter],
    earlier: Mapping[str, Parameter],
) -> None:
    if parent not in known:
        raise ValueError(f"no parameter {parent!r} in the space: {did_you_mean(parent, known)}")
    if parent not in earlier:
        raise ValueError(f"{parent!r} must come before the parameter that depends on it")
    if isinstance(earlier[parent], Float):
        raise ValueError(f"{parent!r} is a real number: only whole numbers, choices and ordinals can decide")
    if child.is_static and not earlier[parent].is_static:
        raise ValueError(f"{parent!r} must be static too: it decides whether a static parameter acts")
    for value in values:
        earlier[parent].check(value)


def conditions_left(
    parameters: Mapping[str, Parameter], name: str, kept: Collection[str], fixed: Config
) -> dict[str, tuple[Value, ...]] | None:
    """The conditions of a parameter where only ``kept`` vary and others have ``fixed`` values; None if it never acts.

    Of a fixed parent the parent's own conditions are inherited. Raises ValueError if a parent is neither.
    """
    left: dict[str, tuple[Value, ...]] = {}
    for parent, values in parameters[name].active_if.items():
        if parent not in kept and parent not in fixed:
            raise ValueError(f"parameter {name!r}: it depends on {parent!r}: select that too, or fix its value")
        inherited = conditions_left(parameters, parent, kept, fixed)
        if inherited is None or (parent not in kept and not is_one_of(fixed[parent], values)):
            return None
        for decider, allowed in {parent: values}.items() if parent in kept else inherited.items():
            left[decider] = tuple(value for value in left.get(decider, allowed) if is_one_of(value, allowed))
            if not left[decider]:
                return None
    return left
