"""The planners on objectives with known optima, and what they promise whatever the objective says."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from cartwheel.agents.pets import planner
from cartwheel.agents.pets.hypers import PetsShape, PlannerName, samples_at
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


def planned(
    name: PlannerName,
    score: Callable[[jax.Array], jax.Array],
    memory: PlanState | None = None,
    executes: Any = "mean",
    **hypers: Any,
) -> tuple[np.ndarray, PlanState, float]:
    """One env step of the planner on plans [C, H, A]."""
    shape = with_shape(planner=name, executes=executes, **SIZES)
    arrays = planner_hypers(name, **{**SMALL, **hypers})
    step = jax.jit(lambda memory, key: planner.plan(lambda _: score, memory, arrays, everything(shape), shape, key))
    action, memory, best = step(planner.init_plan(shape, A) if memory is None else memory, random.key(4))
    return np.asarray(action), jax.tree.map(np.asarray, memory), float(best)


def distance_to(*target: float) -> Callable[[jax.Array], jax.Array]:
    """How far every action of the first three steps is from a target, squared, negative."""
    goal = jnp.asarray(target, jnp.float32)
    return lambda plans: -jnp.sum(jnp.square(plans[:, :3] - goal[None, None]), axis=(1, 2))


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_finds_the_top_of_a_hill(name: PlannerName) -> None:
    """The optimum of a quadratic inside the bounds is found at every step of the plan."""
    action, memory, best = planned(name, distance_to(0.3, -0.6))
    np.testing.assert_allclose(action, [0.3, -0.6], atol=0.08)
    np.testing.assert_allclose(memory.mean[:2], [[0.3, -0.6]] * 2, atol=0.08)
    assert best > -0.05


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_finds_an_optimum_at_the_bound(name: PlannerName) -> None:
    """Where more is always better, the plan goes to the bound and never past it."""
    action, _, _ = planned(name, distance_to(9.0, -9.0), initial_std=1.0)
    assert np.all(np.abs(action) <= 1.0)
    # CEM creeps up to the bound, because the distance to it caps the spread; iCEM clips
    np.testing.assert_allclose(action, [1.0, -1.0], atol=0.2 if name == "cem" else 0.1)


@pytest.mark.parametrize("name", ["cem", "icem"])
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_plans_without_a_finite_score_never_win(name: PlannerName, value: float) -> None:
    """Plans to the right of 0 score no number: the elites and the best plan all come from the left."""

    def score(plans: jax.Array) -> jax.Array:
        return jnp.where(plans[:, 0, 0] > 0.0, value, 0.0)

    for executes in ("mean", "best"):
        action, _, best = planned(name, score, executes=executes, alpha=0.0, num_iterations=1)
        assert action[0] < 0.0
        assert best == 0.0


@pytest.mark.parametrize("name", ["cem", "icem"])
@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_all_plans_lost_changes_nothing(name: PlannerName, value: float) -> None:
    """If no plan has a finite score, the remembered plan goes on and no elites are kept."""
    shape = SHAPES[name]
    memory = planner.init_plan(shape, A)._replace(mean=jnp.full((shape.max_horizon, A), 0.25, jnp.float32))
    action, after, _ = planned(name, lambda plans: jnp.full(plans.shape[:1], value, jnp.float32), memory)
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
    _, after, _ = planned(
        name, lambda plans: jnp.full(plans.shape[:1], -jnp.inf, jnp.float32), memory, plan_horizon=horizon
    )
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


@pytest.mark.parametrize("horizon", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0, 10.0])
def test_coloured_noise_has_unit_variance_at_every_step(horizon: int, exponent: float) -> None:
    """Within the plan's horizon every step varies by one; behind it there is nothing."""
    matrix = np.asarray(planner.colour_matrix(jnp.float32(exponent), jnp.int32(horizon), 30), np.float64)
    variance = (matrix**2).sum(axis=1)
    np.testing.assert_allclose(variance[:horizon], 1.0, rtol=1e-5)
    assert not np.any(variance[horizon:])


def test_exponent_zero_is_white() -> None:
    """Without colour, steps are independent: M M' is the identity."""
    matrix = np.asarray(planner.colour_matrix(jnp.float32(0.0), jnp.int32(12), 12))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(12), atol=1e-5)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_power_falls_with_frequency(exponent: float) -> None:
    """The periodogram of 4,000 noises has the slope -exponent in log-log (false alarm below 1e-6)."""
    length = 32
    matrix = np.asarray(planner.colour_matrix(jnp.float32(exponent), jnp.int32(length), length))
    noise = np.random.default_rng(0).normal(size=(4000, length)) @ matrix.T
    power = np.mean(np.abs(np.fft.rfft(noise, axis=1)) ** 2, axis=0)[1:-1]
    slope, _ = np.polyfit(np.log(np.arange(1, length // 2)), np.log(power), 1)
    # each mean power is exact to 1 / sqrt(4000) = 1.6%: the slope's standard error is 0.006
    assert slope == pytest.approx(-exponent, abs=0.04)


@pytest.mark.parametrize("horizon", [3, 5])
def test_noise_does_not_depend_on_the_programs_maximum(horizon: int) -> None:
    """The colour is that of the plan's own horizon, however long the plans are that the program could make."""
    small = planner.colour_matrix(jnp.float32(2.0), jnp.int32(horizon), horizon)
    large = planner.colour_matrix(jnp.float32(2.0), jnp.int32(horizon), 40)[:horizon, :horizon]
    np.testing.assert_allclose(small, large, rtol=1e-6)


@pytest.mark.parametrize("name", ["cem", "icem"])
def test_the_best_sample_or_the_mean(name: PlannerName) -> None:
    """``executes`` decides: "best" gives the highest-scoring plan ever seen, "mean" the elites' mean."""
    score = distance_to(0.3, -0.6)
    mean_action, _, best_score = planned(name, score)
    best_action, _, _ = planned(name, score, executes="best")
    assert not np.array_equal(mean_action, best_action)
    # the best plan's three steps together score what is reported
    assert np.sum((best_action - [0.3, -0.6]) ** 2) <= -best_score + 1e-6


def test_neighbours_bounds_change_nothing() -> None:
    """A plan under its own bounds and under those of a larger neighbour is the same, bit for bit."""
    for name, shape in SHAPES.items():
        config = {**SMALL, "num_samples": 20, "num_iterations": 2}
        hypers = planner_hypers(name, **config)
        score = distance_to(0.1, 0.2)
        step = jax.jit(
            lambda bounds, score=score, hypers=hypers, shape=shape: planner.plan(
                lambda _: score, planner.init_plan(shape, A), hypers, bounds, shape, random.key(0)
            )
        )
        own = planner.plan_bounds(jax.tree.map(lambda leaf: np.asarray(leaf)[None], hypers), shape)
        assert own.num_iterations == 2
        assert own.num_chunks.tolist()[:3] == [2, 1 if name == "icem" else 2, 0]
        (action, memory, best), beside = step(jax.tree.map(jnp.asarray, own)), step(everything(shape))
        assert np.array_equal(action, beside[0])
        assert np.array_equal(memory.mean, beside[1].mean)
        assert int(memory.num_kept) == int(beside[1].num_kept)
        assert np.array_equal(memory.kept[: int(memory.num_kept)], beside[1].kept[: int(memory.num_kept)])
        assert np.array_equal(best, beside[2])


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
