"""Explore: how a copied config is changed. All moves happen in the unit interval, where log parameters are log.

- ``"multiply"`` (Zhang et al. 2021, released code): every coordinate times 1 + step or 1 - step, at equal odds,
  clipped. It drifts down, for (1 - step)(1 + step) < 1, cannot leave 0, and an integer stays when the product falls
  into its own cell. Kept as it is, because it is what the paper did.
- ``"add"`` (ours): every coordinate plus a normal step, reflected at 0 and 1. Without selection it leaves the prior as
  it is: no drift, no bound that catches. An integer starts from a uniform place in its cell, not from the middle, so
  small steps move it as often as they should instead of never.
- ``"scale"`` (Jaderberg et al. 2017, Ray Tune): every *value*, not its coordinate, times 1 + step or 1 - step, clipped
  to its range; Ray lets values leave it. A whole number is rounded, so 1 and 2 stay where they are.
- ``"none"``: copy and change nothing, the selection-only control.

With ``redraw_probability``, values are drawn anew from the prior instead: ``"all"`` together, or ``"each"`` on its own,
as in Ray.

A ``Choice`` has no direction: it switches to any other value with ``choice_probability``. An ``Ordinal`` moves with
``"add"`` as integers do; with ``"multiply"`` and ``"scale"`` it steps to the next value up or down and stays at an end,
as lists do in Ray: its values have an order, but no size of which a fraction could be taken. What does not act stays
at its default, and is drawn from the prior when it begins to act.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from cartwheel.records import Config, Value
from cartwheel.spaces.space import Choice, Listed, Ordinal, Space

Move: TypeAlias = Literal["add", "multiply", "scale", "none"]
Redraw: TypeAlias = Literal["all", "each"]
Unit: TypeAlias = NDArray[np.float64]
"""Coordinates [d] in [0,1]."""


@dataclass(frozen=True, slots=True)
class Explore:
    """``step``: the standard deviation of ``"add"``, or the relative change of ``"multiply"`` and ``"scale"``."""

    move: Move
    step: float
    redraw_probability: float
    choice_probability: float
    redraw: Redraw = "all"

    def __post_init__(self) -> None:
        if self.move not in get_args(Move):
            raise ValueError(f"explore must be one of {', '.join(get_args(Move))}, got {self.move!r}")
        if not 0 < self.step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, got {self.step}")
        for name in ("redraw_probability", "choice_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")

    def __call__(self, config: Config, space: Space, rng: np.random.Generator) -> dict[str, Value]:
        """A changed config, inside the space."""
        if self.move == "none":
            return dict(config)
        if self.redraw == "all" and rng.random() < self.redraw_probability:
            return space.sample(rng)
        u = MOVES[self.move](space, config, self.step, rng)
        u = space.replaced(u, switched_choices(space, config, self.choice_probability, rng))
        if self.redraw == "each":
            drawn = space.prior_quantiles(rng.random(len(space)))
            u = np.where(rng.random(len(space)) < self.redraw_probability, drawn, u)
        return settled(space, config, u, rng)


def switched_choices(space: Space, config: Config, probability: float, rng: np.random.Generator) -> dict[str, Value]:
    """Of all choices that act a value: any other with ``probability``, else the one in ``config``."""
    switched, acting = {}, space.acting(config)
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Choice) and name in acting:
            others = [other for other in parameter.values if other != config[name]]
            switched[name] = others[rng.integers(len(others))] if rng.random() < probability else config[name]
    return switched


def settled(space: Space, config: Config, u: Unit, rng: np.random.Generator) -> dict[str, Value]:
    """The config at ``u``, where ``config`` went; what did not act in it and does now is drawn from the prior."""
    acted, coordinates = space.acting(config), dict(zip(space.names, u.tolist(), strict=True))

    def value_of(name: str) -> Value:
        parameter = space.parameters[name]
        return parameter.decode(coordinates[name] if name in acted else parameter.prior_quantile(rng.random()))

    return space.build(value_of)


def multiply(space: Space, config: Config, step: float, rng: np.random.Generator) -> Unit:
    return towards(space, config, rng.choice((-1.0, 1.0), size=len(space)), step)


def add(space: Space, config: Config, step: float, rng: np.random.Generator) -> Unit:
    low, high = space.cells(config)
    start = low + (high - low) * rng.random(len(space))
    return reflected(start + step * rng.standard_normal(len(space)))


def scale(space: Space, config: Config, step: float, rng: np.random.Generator) -> Unit:
    signs = rng.choice((-1.0, 1.0), size=len(space))
    factors = dict(zip(space.names, 1.0 + step * signs, strict=True))
    listed = {name for name, parameter in space.parameters.items() if isinstance(parameter, Listed)}
    scaled = {name: value if name in listed else value * factors[name].item() for name, value in config.items()}
    return with_neighbours(space, config, signs, space.encode(space.clip(scaled)))


MOVES: Mapping[str, Callable[[Space, Config, float, np.random.Generator], Unit]] = {
    "multiply": multiply,
    "add": add,
    "scale": scale,
}


def towards(space: Space, config: Config, signs: Unit, step: float) -> Unit:
    """Where ``"multiply"`` leads in the direction of these signs [d]; 0 stays."""
    return with_neighbours(space, config, signs, multiplied(space.encode(config), signs, step))


def with_neighbours(space: Space, config: Config, signs: Unit, u: Unit) -> Unit:
    """``u`` with every ordinal one value further than in ``config``, up or down by its sign."""
    moved = u.copy()
    for i, (name, parameter) in enumerate(space.parameters.items()):
        if isinstance(parameter, Ordinal):
            moved[i] = parameter.encode(parameter.neighbour(config[name], int(signs[i])))
    return moved


def multiplied(u: Unit, signs: Unit, step: float) -> Unit:
    """u (1 + step) where the sign is 1, u (1 - step) where it is -1, at most 1."""
    return np.minimum(u * (1.0 + step * signs), 1.0)


def reflected(x: Unit) -> Unit:
    """The point of [0,1] where a ray that is mirrored at both ends arrives."""
    folded = np.mod(x, 2.0)
    return np.minimum(folded, 2.0 - folded)
