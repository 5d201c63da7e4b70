"""A search space: named parameters over the unit cube.

Sampling, exploring and models work on ``u`` in [0,1]^d; agents get values, which are plain floats, ints, strings or
booleans. How each kind of parameter maps to its coordinate, and the prior: ``cartwheel.spaces.parameters``. Which
parameters act: ``cartwheel.spaces.conditions``. Configs hold a value for every name; what does not act is at its
default.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from cartwheel.errors import did_you_mean
from cartwheel.records import Config, Value
from cartwheel.spaces.conditions import check_conditions, conditions_left, is_active
from cartwheel.spaces.parameters import Choice, Float, Int, Listed, Ordinal, Parameter
from cartwheel.spaces.tables import parameter_from_table, parameter_to_table

__all__ = ["Choice", "Float", "Int", "Listed", "Ordinal", "Parameter", "Selection", "Space"]

Selection: TypeAlias = Literal["model", "planner", "joint"]


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Parameters by name, in order: the i-th coordinate of ``u`` belongs to the i-th parameter."""

    parameters: Mapping[str, Parameter]

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError("a space needs at least one parameter")
        check_conditions(self.parameters)
        object.__setattr__(self, "parameters", dict(self.parameters))

    def __eq__(self, other: object) -> bool:
        # the order matters: it decides which coordinate, and so which random number, a parameter gets
        return isinstance(other, Space) and list(self.parameters.items()) == list(other.parameters.items())

    def __hash__(self) -> int:
        return hash(tuple(self.parameters.items()))

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    @property
    def static_names(self) -> tuple[str, ...]:
        """The parameters that must not change while an agent lives."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.is_static)

    @property
    def default(self) -> dict[str, Value]:
        """The config of all defaults."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def with_default(self, config: Config) -> "Space":
        """The space in which these values are defaults. Raises ValueError on unknown names and illegal values."""
        default = {**self.default, **config}
        self._check_names(default)
        changed = (
            _named(name, lambda value, p=parameter: dataclasses.replace(p, default=value), default[name])
            for name, parameter in self.parameters.items()
        )
        return Space(dict(zip(self.names, changed, strict=True)))

    def acting(self, config: Config) -> frozenset[str]:
        """The names of the parameters that act in this config."""
        acting: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            if is_active(parameter.active_if, acting):
                acting[name] = config[name]
        return frozenset(acting)

    def build(self, value_of: Callable[[str], Value]) -> dict[str, Value]:
        """The config of these values, asked for by name, in order, of what acts; the rest is at its default."""
        acting: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            if is_active(parameter.active_if, acting):
                acting[name] = value_of(name)
        return {name: acting.get(name, parameter.default) for name, parameter in self.parameters.items()}

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A config drawn from the prior."""
        return self.decode(self.prior_quantiles(rng.random(len(self))))

    def prior_quantiles(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """``u`` [d] below which the parameters' priors have the shares ``p`` [d]; of uniform ``p``, draws from them."""
        return np.array([q.prior_quantile(x) for q, x in zip(self.parameters.values(), p.tolist(), strict=True)])

    def encode(self, config: Config) -> NDArray[np.float64]:
        """``u`` [d] of a config. Raises ValueError if a value is missing, unknown or out of range."""
        self.check(config)
        return np.array([parameter.encode(config[name]) for name, parameter in self.parameters.items()])

    def decode(self, u: NDArray[np.float64]) -> dict[str, Value]:
        """The config at ``u`` [d] in [0,1]^d. Raises ValueError outside."""
        if u.shape != (len(self),) or not ((u >= 0.0) & (u <= 1.0)).all():
            raise ValueError(f"needs {len(self)} coordinates between 0 and 1, got {u}")
        coordinates = dict(zip(self.names, u.tolist(), strict=True))
        return self.build(lambda name: self.parameters[name].decode(coordinates[name]))

    def replaced(self, u: NDArray[np.float64], values: Config) -> NDArray[np.float64]:
        """``u`` [d] with the coordinates of these values in place of their own."""
        places = enumerate(self.parameters.items())
        return np.array([p.encode(values[name]) if name in values else u[i] for i, (name, p) in places])

    def cells(self, config: Config) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends [d], [d] of the box of all ``u`` that decode to this config.

        Of what does not act, that is every coordinate.
        """
        self.check(config)
        acting = self.acting(config)
        cells = (p.cell(config[name]) if name in acting else (0.0, 1.0) for name, p in self.parameters.items())
        low, high = zip(*cells, strict=True)
        return np.array(low), np.array(high)

    def clip(self, config: Config) -> dict[str, Value]:
        """The nearest config inside the space. A choice that does not exist has no nearest: ValueError."""
        self._check_names(config)
        return self.build(lambda name: _named(name, self.parameters[name].clip, config[name]))

    def check(self, config: Config) -> None:
        """Raises ValueError, naming parameter and cause, unless ``config`` lies in this space."""
        self._check_names(config)
        for name, parameter in self.parameters.items():
            _named(name, parameter.check, config[name])
        acting = self.acting(config)
        for name, default in self.default.items():
            if name not in acting and config[name] != default:
                raise ValueError(
                    f"parameter {name!r}: it does not act here, so it must be {default}, got {config[name]}"
                )

    def only(self, names: Iterable[str], fixed: Config | None = None) -> "Space":
        """The space of some of the parameters, in this space's order, where those in ``fixed`` have these values.

        What cannot act then is not in it. Raises ValueError if a condition depends on what is neither.
        """
        wanted = set(names)
        for name in sorted(wanted - set(self.names)):
            raise ValueError(f"no parameter {name!r} in the space: {did_you_mean(name, self.names)}")
        left = {n: conditions_left(self.parameters, n, wanted, fixed or {}) for n in self.names if n in wanted}
        kept = {name: conditions for name, conditions in left.items() if conditions is not None}
        return Space({name: dataclasses.replace(self.parameters[name], active_if=kept[name]) for name in kept})

    def select(self, selection: Selection, fixed: Config | None = None) -> "Space":
        """The parameters of one group, or of all with ``"joint"``, but those with ``fixed`` values."""
        if selection not in get_args(Selection):
            raise ValueError(f"no group {selection!r}: {did_you_mean(selection, get_args(Selection))}")
        held = fixed or {}
        varied = (n for n, p in self.parameters.items() if selection in ("joint", p.group) and n not in held)
        return self.only(varied, held)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain tables, one per parameter; ``from_dict`` is the inverse."""
        return {name: parameter_to_table(parameter) for name, parameter in self.parameters.items()}

    @staticmethod
    def from_dict(tables: Mapping[str, Any]) -> "Space":
        """The space of such tables, e.g. from TOML. Raises ValueError naming parameter and cause."""
        return Space({name: _named(name, parameter_from_table, table) for name, table in tables.items()})

    def _check_names(self, config: Config) -> None:
        if config.keys() == self.parameters.keys():
            return
        for name in sorted(config.keys() - self.parameters.keys()):
            raise ValueError(f"no parameter {name!r} in the space: {did_you_mean(name, self.names)}")
        raise ValueError(f"no value for {', '.join(sorted(self.parameters.keys() - config.keys()))}")


def _named(name: str, function: Any, argument: Any) -> Any:
    """``function(argument)``, its ValueError prefixed by the parameter's name."""
    try:
        return function(argument)
    except ValueError as error:
        raise ValueError(f"parameter {name!r}: {error}") from None
