"""The formula in place of an agent: skill that is learned, forgotten and lost, and an optimum that moves with age.

Every number here is that of docs/decisions/0003-synthetic-learning-curves.md, which was fixed before any tuner ran.
The state of an agent is ``(a, b)``: *knowledge*, which is learned slowly and ever more slowly, and *proficiency*,
which soon follows from knowledge and from how well the config suits the agent's age. An agent performs 100 ``b``.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Float, Int, Space

Array: TypeAlias = NDArray[np.float64]
Skill = TypeVar("Skill", float, Array)
"""Of one agent, or of many."""

SPACE = Space(
    {
        "learning_rate": Float(1e-5, 1e-2, log=True, default=3e-4, group="model"),
        "weight_decay": Float(1e-6, 1e-2, log=True, default=1e-4, group="model"),
        "plan_horizon": Int(5, 60, default=32, group="planner"),
        "num_samples": Int(100, 700, log=True, default=265, group="planner"),
    }
)
MAX_AGE = 81
NUM_LANES = 16
BUDGET_EPISODES = NUM_LANES * (MAX_AGE + 1)

FIRST_WEIGHT, OTHER_WEIGHTS = 0.4, (0.3, 0.2, 0.1)
WIDTH = 0.2
KNOWLEDGE_RATE, PROFICIENCY_RATE, RATE_FACTOR = 0.1, 0.25, 1.25
PLASTIC_EPISODES = 27.0
SAFE_EXCESS = 0.2
EDGE = 0.1
WARP_FACTOR = 1.5
COLLAPSE_FACTOR = 0.5
COMMON_WINDOWS = ((0.25, 0.5), (0.6, 0.8))
COLLAPSE_PROBABILITY = 0.01

Drift = Literal["none", "moderate", "strong"]
Noise = Literal["low", "high"]
Collapses = Literal["off", "common", "individual"]
DRIFTS: dict[Drift, float] = {"none": 0.0, "moderate": 0.3, "strong": 0.8}
NOISES: dict[Noise, float] = {"low": 2.0, "high": 8.0}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One cell of the table."""

    drift: Drift
    noise: Noise
    collapses: Collapses

    @property
    def name(self) -> str:
        return f"{self.drift}-{self.noise}-{self.collapses}"


SCENARIOS = [
    *(Scenario(drift, noise, collapses) for drift in DRIFTS for noise in NOISES for collapses in ("off", "common")),
    *(Scenario("none", noise, "individual") for noise in NOISES),
]


@dataclass(frozen=True, slots=True)
class World:
    """What one seed draws.

    ``optima`` [ages, d]: the best coordinates at each age; ``knowledge_rates`` [ages]: ever smaller; ``common``: the
    time units in which whoever runs collapses.
    """

    weights: Array
    optima: Array
    knowledge_rates: Array
    proficiency_rate: float
    common: tuple[int, int]


def draw_world(seed: int, drift: Drift) -> World:
    """The same seed draws the same numbers at every size of drift."""
    rng = numpy_rng("synthetic-curves", seed, "world")
    d = len(SPACE)
    weights = np.array([FIRST_WEIGHT, *rng.permutation(OTHER_WEIGHTS)])
    signs = np.array([-1.0, *rng.choice((-1.0, 1.0), size=d - 1)])
    shift = DRIFTS[drift] * signs * rng.uniform(0.75, 1.0, d)
    margin = EDGE + np.abs(shift) / 2
    middle = margin + (1 - 2 * margin) * rng.random(d)
    warp, *rates = np.exp(rng.uniform(-1, 1, 3) * np.log((WARP_FACTOR, RATE_FACTOR, RATE_FACTOR)))
    ages = np.arange(MAX_AGE + 1)
    optima = middle + shift * ((ages / MAX_AGE)[:, None] ** warp - 0.5)
    first, second = (1 + int((MAX_AGE + 1) * rng.uniform(low, high)) for low, high in COMMON_WINDOWS)
    knowledge_rates = KNOWLEDGE_RATE * rates[0] * np.exp(-ages / PLASTIC_EPISODES)
    return World(weights, optima, knowledge_rates, float(PROFICIENCY_RATE * rates[1]), (first, second))


def suitability(world: World, u: Array, ages: NDArray[np.int_] | int) -> tuple[Array, Array]:
    """How coordinates ``u`` [..., d] suit agents of ``ages``: (g, the share of skill that an episode destroys)."""
    away = u - world.optima[ages]
    g = np.exp(-np.square(away) @ world.weights / (2 * WIDTH**2))
    return g, np.clip(away[..., 0] - SAFE_EXCESS, 0.0, 1.0)


def learned(a: Skill, b: Skill, g: Skill, loss: Skill, rates: tuple[float, float]) -> tuple[Skill, Skill]:
    """Knowledge and proficiency after one more episode; ``rates``: those of both at this age."""
    a = (1 - loss) * (a + rates[0] * g * (1 - a))
    b = (1 - loss) * (b + rates[1] * (a * g - b))
    return a, b


def noise_deviation(b: float, size: float) -> float:
    """Of an episode's return: largest for agents that are half proficient, for they fail at times."""
    return size * (0.25 + 3 * b * (1 - b))


def performances(world: World, u: Array) -> Array:
    """[81, n]: what agents with coordinates ``u`` [n, d], or [82, n, d] by age, perform at ages 1, 2, ..."""
    a, b = np.zeros(u.shape[-2]), np.zeros(u.shape[-2])
    reached = []
    for age in range(1, MAX_AGE + 1):
        g, loss = suitability(world, u if u.ndim == 2 else u[age], age)
        a, b = learned(a, b, g, loss, (world.knowledge_rates[age], world.proficiency_rate))
        reached.append(100.0 * b)
    return np.array(reached)


def best_schedule(world: World) -> Array:
    """[81] of an agent that is always at the optimum: none performs better, as the decision record shows."""
    return performances(world, world.optima[:, None])[:, 0]


def best_static(world: World, seed: int) -> Array:
    """[81] under the single config that performs best at the end: 2,000 draws, then ever closer around the best."""
    rng = numpy_rng("synthetic-curves", seed, "best-static")
    u = rng.random((2000, len(SPACE)))
    best, course = u[0], np.full(MAX_AGE, -math.inf)
    for size in 0.2 * 0.6 ** np.arange(12):
        courses = performances(world, u)
        if courses[-1].max() > course[-1]:
            best, course = u[courses[-1].argmax()], courses[:, courses[-1].argmax()]
        u = np.clip(best + size * rng.standard_normal((300, len(SPACE))), 0.0, 1.0)
    return course
