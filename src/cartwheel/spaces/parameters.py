"""One hyperparameter's range, mapped onto the unit interval.

Conventions (those of ConfigSpace, which the released code of Zhang et al. 2021 used):

- ``Float``: ``u`` is linear in the value, or in its logarithm when ``log``.
- ``Int``: the value v owns the cell between v - 1/2 and v + 1/2 on a (linear or logarithmic) scale from low - 1/2 to
  high + 1/2. So every integer has an equal share of [0,1]; when ``log``, a share proportional to
  log((v + 1/2)/(v - 1/2)): what rounding a log-uniform draw gives. v is encoded at its own place.
- ``Choice``, ``Ordinal``: the k-th of n values owns [k/n, (k+1)/n], and is encoded at the middle. An ordinal has a
  direction, as numbers have; a choice has none.

The prior, from which configs are drawn, is uniform in ``u`` unless a parameter says otherwise: a number by
``prior_std``, the standard deviation in ``u`` of a normal distribution around the default, cut off at 0 and 1; a choice
or an ordinal by ``weights``, its values' odds. It changes draws only, never ``u``.
"""

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, TypeAlias, get_args

from cartwheel.records import Value

Group: TypeAlias = Literal["model", "planner"]
Cell: TypeAlias = tuple[float, float]
"""All ``u`` from the first to the second number decode to the same value."""

MAX_INT = 2**31 - 1
"""Agents hold integers in 32 bits."""
MAX_PRIOR_STD = 10.0
"""Wider is uniform: at 10 the density differs by half a percent, at most, between the ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What all kinds have. Abstract.

    ``is_static``: the value cannot change while an agent trains, for its checkpoints hold arrays of one shape.
    ``active_if``: see ``cartwheel.spaces.conditions``.
    """

    group: Group
    is_static: bool = False
    active_if: Mapping[str, tuple[Value, ...]] = dataclasses.field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged(Described):
    """A number between two ends. Abstract."""

    prior_std: float | None = None


@dataclass(frozen=True, slots=True)
class Float(Ranged):
    """A real number between ``low`` and ``high``, both included."""

    low: float
    high: float
    log: bool = False
    default: float = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "default"):
            object.__setattr__(self, name, _real(name, getattr(self, name)))
        _check_range(self)
        width = math.log(self.high) - math.log(self.low) if self.log else self.high - self.low
        if not 0 < width < math.inf:
            raise ValueError(f"the range from {self.low} to {self.high} is too narrow or too wide for floating point")

    def check(self, value: Value) -> None:
        if not self.low <= _real("the value", value) <= self.high:
            raise ValueError(f"{value} is not between {self.low} and {self.high}")

    def clip(self, value: Value) -> float:
        return min(max(_real("the value", value), self.low), self.high)

    def encode(self, value: Value) -> float:
        return _to_unit(float(value), self.low, self.high, self.log)

    def decode(self, u: float) -> float:
        return self.clip(_from_unit(u, self.low, self.high, self.log))

    def cell(self, value: Value) -> Cell:
        u = self.encode(value)
        return u, u

    def prior_quantile(self, p: float) -> float:
        """The ``u`` below which the prior has the share ``p``."""
        return _normal_quantile(p, self.encode(self.default), self.prior_std)


@dataclass(frozen=True, slots=True)
class Int(Ranged):
    """A whole number between ``low`` and ``high``, both included."""

    low: int
    high: int
    log: bool = False
    default: int = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "default"):
            if abs(_whole(name, getattr(self, name))) > MAX_INT:
                raise ValueError(f"{name} {getattr(self, name)} does not fit into 32 bits")
        _check_range(self)

    def check(self, value: Value) -> None:
        if not self.low <= _whole("the value", value) <= self.high:
            raise ValueError(f"{value} is not between {self.low} and {self.high}")

    def clip(self, value: Value) -> int:
        return min(max(round(_real("the value", value)), self.low), self.high)

    def encode(self, value: Value) -> float:
        return self._place(float(value))

    def decode(self, u: float) -> int:
        # floor(x + 1/2), not round(x): rounding half to even would give even numbers a larger share
        return min(max(math.floor(_from_unit(u, *self._edges, self.log) + 0.5), self.low), self.high)

    def cell(self, value: Value) -> Cell:
        return self._place(float(value) - 0.5), self._place(float(value) + 0.5)

    def prior_quantile(self, p: float) -> float:
        """The ``u`` below which the prior has the share ``p``."""
        return _normal_quantile(p, self.encode(self.default), self.prior_std)

    @property
    def _edges(self) -> tuple[float, float]:
        return self.low - 0.5, self.high + 0.5

    def _place(self, x: float) -> float:
        return _to_unit(x, *self._edges, self.log)


@dataclass(frozen=True, slots=True)
class Listed(Described):
    """One of several values: the k-th of n owns [k/n, (k+1)/n]. Abstract."""

    values: tuple[Value, ...]
    default: Value = dataclasses.field(kw_only=True)
    weights: tuple[float, ...] | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.values, list | tuple) or not all(map(_is_plain, self.values)):
            raise ValueError(f"values must be a list of numbers, strings or booleans, got {self.values!r}")
        if len(set(self.values)) < max(2, len(self.values)):
            raise ValueError(f"values must be at least two different ones, got {self.values!r}")
        object.__setattr__(self, "values", tuple(self.values))
        if self.weights is not None:
            object.__setattr__(self, "weights", _odds(self.weights, len(self.values)))
        _check_described(self)
        self.check(self.default)

    def check(self, value: Value) -> None:
        # by type too: True == 1 == 1.0, but an agent may tell them apart
        if not any(value == v and type(value) is type(v) for v in self.values):
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.values))}")

    def clip(self, value: Value) -> Value:
        self.check(value)
        return value

    def encode(self, value: Value) -> float:
        return (self.values.index(value) + 0.5) / len(self.values)

    def decode(self, u: float) -> Value:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def cell(self, value: Value) -> Cell:
        k = self.values.index(value)
        return k / len(self.values), (k + 1) / len(self.values)

    def prior_quantile(self, p: float) -> float:
        """The ``u`` below which the prior has the share ``p``."""
        if self.weights is None:
            return p
        rest = p * math.fsum(self.weights)
        for k, weight in enumerate(self.weights):
            if rest < weight:
                return (k + rest / weight) / len(self.values)
            rest -= weight
        return 1.0


@dataclass(frozen=True, slots=True)
class Choice(Listed):
    """One of several values without order."""


@dataclass(frozen=True, slots=True)
class Ordinal(Listed):
    """One of several values in order, such as sizes that double."""

    def neighbour(self, value: Value, direction: int) -> Value:
        """The next value of the list, or with ``direction`` -1 the one before; at an end the value itself."""
        return self.values[min(max(self.values.index(value) + direction, 0), len(self.values) - 1)]


Parameter: TypeAlias = Float | Int | Choice | Ordinal


def _check_range(parameter: Float | Int) -> None:
    if not isinstance(parameter.log, bool):
        raise ValueError(f"log must be true or false, got {parameter.log!r}")
    if not parameter.low < parameter.high:
        raise ValueError(f"low {parameter.low} must be below high {parameter.high}")
    if parameter.log and parameter.low <= 0:
        raise ValueError(f"log needs low above 0, got {parameter.low}")
    if not parameter.low <= parameter.default <= parameter.high:
        raise ValueError(f"default {parameter.default} is not between {parameter.low} and {parameter.high}")
    std = parameter.prior_std
    if std is not None and not 0 < _real("prior_std", std) <= MAX_PRIOR_STD:
        raise ValueError(f"prior_std must be above 0 and at most {MAX_PRIOR_STD:g}, got {std}")
    _check_described(parameter)


def _check_described(parameter: Described) -> None:
    if parameter.group not in get_args(Group):
        raise ValueError(f"group must be one of {', '.join(get_args(Group))}, got {parameter.group!r}")
    if not isinstance(parameter.is_static, bool):
        raise ValueError(f"is_static must be true or false, got {parameter.is_static!r}")
    if not isinstance(parameter.active_if, Mapping):
        raise ValueError(f"active_if must be a table such as {{planner = ['icem']}}, got {parameter.active_if!r}")
    object.__setattr__(parameter, "active_if", {name: _allowed(values) for name, values in parameter.active_if.items()})


def _allowed(values: Any) -> tuple[Value, ...]:
    listed = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not listed or not all(map(_is_plain, listed)):
        raise ValueError(f"active_if must list values for each name, got {values!r}")
    return listed


def _odds(weights: Any, num_values: int) -> tuple[float, ...]:
    if not isinstance(weights, list | tuple) or len(weights) != num_values:
        raise ValueError(f"weights must be a list of {num_values} numbers, one per value, got {weights!r}")
    if min(odds := tuple(_real("each weight", weight) for weight in weights)) <= 0:
        raise ValueError(f"weights must be above 0, got {weights!r}; leave out a value that is never drawn")
    if math.isinf(sum(odds)):
        raise ValueError(f"weights are too large, got {weights!r}")
    return odds


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return value


def _to_unit(x: float, low: float, high: float, log: bool) -> float:
    if log:
        x, low, high = math.log(x), math.log(low), math.log(high)
    return min(max((x - low) / (high - low), 0.0), 1.0)


def _from_unit(u: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return low + u * (high - low)


def _normal_quantile(p: float, mean: float, std: float | None) -> float:
    """Of a normal distribution cut off at 0 and 1; uniform without ``std``."""
    if std is None:
        return p
    normal = NormalDist(mean, std)
    low, high = normal.cdf(0.0), normal.cdf(1.0)
    # the quantiles of 0 and 1 are infinite
    inside = min(max(low + p * (high - low), sys.float_info.min), 1.0 - sys.float_info.epsilon)
    return min(max(normal.inv_cdf(inside), 0.0), 1.0)
