"""The planners on objectives with known optima, and what they promise whatever the objective says."""

import dataclasses
import functools
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from cartwheel.agents.pets import planner
from cartwheel.agents.pets.hypers import Executes, PetsShape, PlannerHypers, PlannerName, samples_at
from cartwheel.agents.pets.planner import PlanBounds, PlanState
from hand_made import planner_hypers, with_shape

SIZES = {"max_horizon": 5, "max_iterations": 10, "max_samples": 64, "sample_chunk": 16}
SHAPES: dict[PlannerName, PetsShape] = {
    "cem": with_shape(planner="cem", **SIZES),
    "icem": with_shape(planner="icem", **SIZES),
}
SMALL = {"num_iterations": 10, "num_samples": 64, "plan_horizon": 3, "elite_ratio": 0.2}
A = 2


def everything(shape: PetsShape) -> PlanBounds:
    """Bounds that cover any member."""
    chunks = np.full(shape.max_iterations, shape.padded_samples // shape.sample_chunk)
    return jax.tree.map(jnp.int32, PlanBounds(shape.max_iterations, chunks, shape.max_horizon))


class Goal(NamedTuple):
    """Plans are scored by how far the actions of their first three steps are from a target, squared, negative.

    Those whose very first number exceeds ``edge`` score ``beyond`` instead.
    """

    target: tuple[float, float] = (0.3, -0.6)
    edge: float = np.inf
    beyond: float = 0.0

    def score(self, plans: jax.Array) -> jax.Array:
        target, edge, beyond = (jnp.asarray(value, jnp.float32) for value in self)
        near = -jnp.sum(jnp.square(plans[:, :3] - target[None, None]), axis=(1, 2))
        return jnp.where(plans[:, 0, 0] > edge, beyond, near)


@functools.cache
def program(shape: PetsShape) -> Any:
    """The compiled planner: whatever goal, hypers, bounds and memory, one program."""

    def step(goal: Goal, memory: PlanState, hypers: PlannerHypers, bounds: PlanBounds) -> Any:
        return planner.plan(lambda _: goal.score, memory, hypers, bounds, shape, random.key(4))

    return jax.jit(step)


def planned(
    name: PlannerName, goal: Goal, memory: PlanState | None = None, executes: Executes = "mean", **hypers: Any
) -> tuple[np.ndarray, PlanState, float]:
    """One env step of the planner."""
    shape = dataclasses.replace(SHAPES[name], executes=executes)
    arrays = planner_hypers(name, **{**SMALL, **hypers})
    memory = planner.init_plan(shape, A) if memory is None else memory
    action, memory, best = program(shape)(jax.tree.map(jnp.float32, goal), memory, arrays, everything(shape))
    return np.asarray(action), jax.tree.map(np.asarray, memory), float(best)


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_finds_the_top_of_a_hill(name: PlannerName) -> None:
    """The optimum of a quadratic inside the bounds is found at every step of the plan."""
    action, memory, best = planned(name, Goal())
    np.testing.assert_allclose(action, [0.3, -0.6], atol=0.08)
    np.testing.assert_allclose(memory.mean[:2], [[0.3, -0.6]] * 2, atol=0.08)
    assert best > -0.05


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_finds_an_optimum_at_the_bound(name: PlannerName) -> None:
    """Where more is always better, the plan goes to the bound and never past it."""
    action, _, _ = planned(name, Goal((9.0, -9.0)), initial_std=1.0)
    assert np.all(np.abs(action) <= 1.0)
    # CEM creeps up to the bound, because the distance to it caps the spread; iCEM clips
    np.testing.assert_allclose(action, [1.0, -1.0], atol=0.2 if name == "cem" else 0.1)


@pytest.mark.parametrize("name", ["cem", "icem"])
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_plans_without_a_finite_score_never_win(name: PlannerName, value: float) -> None:
    """Plans to the right of 0 score no number: the elites and the best plan all come from the left."""
    goal = Goal(target=(0.5, 0.0), edge=0.0, beyond=value)
    for executes in get_args(Executes):
        action, _, best = planned(name, goal, executes=executes, alpha=0.0, num_iterations=1)
        assert action[0] < 0.0
        assert np.isfinite(best)


@pytest.mark.parametrize("name", ["cem", "icem"])
@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_all_plans_lost_changes_nothing(name: PlannerName, value: float) -> None:
    """If no plan has a finite score, the remembered plan goes on and no elites are kept."""
    shape = SHAPES[name]
    memory = planner.init_plan(shape, A)._replace(mean=jnp.full((shape.max_horizon, A), 0.25, jnp.float32))
    action, after, _ = planned(name, Goal(edge=-9.0, beyond=value), memory)
    assert action.tolist() == [0.25, 0.25]
    assert after.mean[:2].tolist() == [[0.25, 0.25]] * 2
    assert after.num_kept == 0


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_an_episode_begins_without_memory(name: PlannerName) -> None:
    """A planner's memory is its own episode's: empty means a zero plan and no kept elites."""
    memory = planner.init_plan(SHAPES[name], A)
    assert not any(np.any(leaf) for leaf in memory)


def one_step_on(name: PlannerName, horizon: int) -> np.ndarray:
    """What memory [H, A] is after a step in which nothing was scored: the old plan 1, 2, 3, ... shifted."""
    shape = SHAPES[name]
    steps = jnp.arange(1.0, shape.max_horizon + 1, dtype=jnp.float32)[:, None] / 10.0
    memory = planner.init_plan(shape, A)._replace(mean=jnp.broadcast_to(steps, (shape.max_horizon, A)))
    _, after, _ = planned(name, Goal(edge=-9.0, beyond=-np.inf), memory, plan_horizon=horizon)
    return np.round(10 * after.mean[:, 0])


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_the_plan_moves_on_by_one_step(horizon: int) -> None:
    """The executed step leaves; behind the plan's own horizon CEM puts zeros and iCEM the last action."""
    rest = list(range(2, horizon + 1))
    missing = SIZES["max_horizon"] - len(rest)
    assert one_step_on("cem", horizon).tolist() == [*rest, *[0] * missing]
    assert one_step_on("icem", horizon).tolist() == [*rest, *[horizon] * missing]


def samples_seen(name: PlannerName, mean: float, **hypers: Any) -> np.ndarray:
    """All plans [S, H, A] of the first iteration around a constant mean."""
    shape = SHAPES[name]
    search = planner._Search(
        mean=jnp.full((shape.max_horizon, A), mean, jnp.float32),
        std=jnp.full((shape.max_horizon, A), hypers.pop("std"), jnp.float32),
        kept=planner.init_plan(shape, A).kept,
        num_kept=jnp.int32(0),
        best=jnp.zeros((shape.max_horizon, A), jnp.float32),
        best_score=jnp.float32(-jnp.inf),
    )
    sample = jax.jit(planner._sampler(planner_hypers(name, **{**SMALL, **hypers}), shape))
    return np.concatenate([sample(random.key(c), search) for c in range(250)])


@pytest.mark.parametrize("mean", [0.0, 0.9, -0.98, 1.0])
def test_cem_samples_stay_within_the_bounds(mean: float) -> None:
    """Two sigma of a spread capped by half the distance to the nearer bound end at that bound."""
    samples = samples_seen("cem", mean, std=0.5)
    reach = min(1.0, 1.0 - abs(mean))  # 2 * min(0.5, distance / 2)
    assert np.abs(samples - mean).max() <= reach + 1e-6
    assert np.abs(samples - mean).max() >= 0.99 * reach
    assert samples.std() == pytest.approx(0.8796 * reach / 2, rel=0.03)  # of a normal truncated at two sigma


def test_icem_samples_are_clipped() -> None:
    """Clipping puts plans on the bound itself, unlike truncation."""
    samples = samples_seen("icem", 0.9, std=0.5)
    assert np.abs(samples).max() == 1.0
    assert np.mean(samples == 1.0) > 0.2


colour = jax.jit(planner.colour_matrix, static_argnums=2)


@pytest.mark.parametrize("horizon", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0, 10.0])
def test_coloured_noise_has_unit_variance_at_every_step(horizon: int, exponent: float) -> None:
    """Within the plan's horizon every step varies by one; behind it there is nothing."""
    matrix = np.asarray(colour(jnp.float32(exponent), jnp.int32(horizon), 30), np.float64)
    variance = (matrix**2).sum(axis=1)
    np.testing.assert_allclose(variance[:horizon], 1.0, rtol=1e-5)
    assert not np.any(variance[horizon:])


def test_exponent_zero_is_white() -> None:
    """Without colour, steps are independent: M M' is the identity."""
    matrix = np.asarray(colour(jnp.float32(0.0), jnp.int32(12), 30))[:12, :12]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(12), atol=1e-5)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_power_falls_with_frequency(exponent: float) -> None:
    """The periodogram of 4,000 noises has the slope -exponent in log-log (false alarm below 1e-6)."""
    length = 32
    matrix = np.asarray(colour(jnp.float32(exponent), jnp.int32(length), 40))[:length, :length]
    noise = np.random.default_rng(0).normal(size=(4000, length)) @ matrix.T
    power = np.mean(np.abs(np.fft.rfft(noise, axis=1)) ** 2, axis=0)[1:-1]
    slope, _ = np.polyfit(np.log(np.arange(1, length // 2)), np.log(power), 1)
    # each mean power is exact to 1 / sqrt(4000) = 1.6%: the slope's standard error is 0.006
    assert slope == pytest.approx(-exponent, abs=0.04)


@pytest.mark.parametrize("horizon", [7, 30])
def test_noise_does_not_depend_on_the_programs_maximum(horizon: int) -> None:
    """The colour is that of the plan's own horizon, however long the plans are that the program could make."""
    small = colour(jnp.float32(2.0), jnp.int32(horizon), 30)[:horizon, :horizon]
    large = colour(jnp.float32(2.0), jnp.int32(horizon), 40)[:horizon, :horizon]
    np.testing.assert_allclose(small, large, rtol=1e-6)


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_the_best_sample_or_the_mean(name: PlannerName) -> None:
    """``executes`` decides: "best" gives the highest-scoring plan ever seen, "mean" the elites' mean."""
    mean_action, _, best_score = planned(name, Goal())
    best_action, _, _ = planned(name, Goal(), executes="best")
    assert not np.array_equal(mean_action, best_action)
    # the best plan's three steps together score what is reported
    assert np.sum((best_action - [0.3, -0.6]) ** 2) <= -best_score + 1e-6


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_neighbours_bounds_change_nothing(name: PlannerName) -> None:
    """A plan under its own bounds and under those of a larger neighbour is the same, bit for bit."""
    shape = SHAPES[name]
    hypers = planner_hypers(name, **{**SMALL, "num_samples": 20, "num_iterations": 2})
    own = planner.plan_bounds(jax.tree.map(lambda leaf: np.asarray(leaf)[None], hypers), shape)
    assert own.num_iterations == 2
    assert own.num_chunks.tolist()[:3] == [2, 1 if name == "icem" else 2, 0]
    goal, memory = jax.tree.map(jnp.float32, Goal()), planner.init_plan(shape, A)
    alone, beside = (
        program(shape)(goal, memory, hypers, bounds) for bounds in (jax.tree.map(jnp.asarray, own), everything(shape))
    )
    assert np.array_equal(alone[0], beside[0])
    assert np.array_equal(alone[1].mean, beside[1].mean)
    num_kept = int(alone[1].num_kept)
    assert num_kept == int(beside[1].num_kept)
    assert np.array_equal(alone[1].kept[:num_kept], beside[1].kept[:num_kept])
    assert np.array_equal(alone[2], beside[2])


def test_bounds_on_the_host_cover_the_samples_in_the_program() -> None:
    """NumPy and the program count the same samples, over the whole space of small planning budgets."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        hypers = planner_hypers(
            "icem",
            num_samples=int(rng.integers(16, 97)),
            elite_ratio=float(rng.uniform(0.05, 0.4)),
            sample_decay=float(rng.uniform(1.0, 2.0)),
        )
        host = jax.tree.map(np.asarray, hypers)
        for i in range(4):
            assert int(samples_at(host, np.int32(i), np)) == int(samples_at(hypers, jnp.int32(i)))
