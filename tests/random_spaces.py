"""Spaces of every kind, for property tests."""

import dataclasses

from hypothesis import assume
from hypothesis import strategies as st

from cartwheel.spaces.space import Choice, Float, Int, Listed, Ordinal, Parameter, Space

REAL = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-9, 1e9)
STD = st.none() | st.floats(1e-6, 10.0)


@st.composite
def floats(draw: st.DrawFn) -> Float:
    log = draw(st.booleans())
    low, high = sorted((draw(POSITIVE if log else REAL), draw(POSITIVE if log else REAL)))
    assume(high - low > 1e-9 * max(abs(low), abs(high)))
    return Float(low, high, log, default=draw(st.floats(low, high)), group="model", prior_std=draw(STD))


@st.composite
def ints(draw: st.DrawFn) -> Int:
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -(10**6), 10**6))
    high = draw(st.integers(low + 1, low + 10**6))
    return Int(low, high, log, default=draw(st.integers(low, high)), group="planner", prior_std=draw(STD))


@st.composite
def listed(draw: st.DrawFn) -> Choice | Ordinal:
    values = draw(st.lists(st.one_of(st.text(max_size=3), st.integers(2, 9), st.booleans()), min_size=2, unique=True))
    kind = draw(st.sampled_from([Choice, Ordinal]))
    some = st.lists(st.floats(1e-3, 1e3), min_size=len(values), max_size=len(values))
    weights = draw(st.none() | some.map(tuple))
    default, is_static = draw(st.sampled_from(values)), draw(st.booleans())
    return kind(tuple(values), default=default, group="model", is_static=is_static, weights=weights)


PARAMETERS = st.one_of(floats(), ints(), listed())


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Some of the parameters act with some values of earlier ones only."""
    drawn = draw(st.dictionaries(st.text(min_size=1, max_size=5), PARAMETERS, min_size=1, max_size=5))
    parameters: dict[str, Parameter] = {}
    for name, parameter in drawn.items():
        deciders = [
            other
            for other, p in parameters.items()
            if isinstance(p, Listed) and p.is_static >= parameter.is_static and draw(st.booleans())
        ]
        conditions = {
            other: tuple(draw(st.lists(st.sampled_from(parameters[other].values), min_size=1, unique=True)))  # type: ignore[union-attr]
            for other in deciders
        }
        parameters[name] = dataclasses.replace(parameter, active_if=conditions)
    return Space(parameters)


SPACES = spaces()
