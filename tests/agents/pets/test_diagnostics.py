"""Diagnostics against worlds whose every error is known in closed form."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from cartwheel.agents.pets import diagnostics
from cartwheel.agents.pets.buffer import Buffer, Transitions
from cartwheel.agents.pets.diagnostics import Experience, judge_fit, judge_unseen, plan_steps, spread_of
from cartwheel.agents.pets.fit import Fitted
from cartwheel.agents.pets.holdout import is_held_out
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import init_normaliser, predict
from cartwheel.agents.pets.propagation import World
from cartwheel.envs.task import Task, never
from hand_made import POSITION, TINY, constant_world, linear_world, with_shape

PUSHED = [[0.0], [0.5]]
"""x' = x + a / 2."""
H = TINY.max_horizon
RNG = np.random.default_rng(3)


def lived(num_steps: int, drift: float = 0.0) -> Transitions:
    """An episode of x' = x + a / 2 + drift under random actions."""
    action = RNG.uniform(-1.0, 1.0, num_steps)
    x = np.cumsum(np.concatenate([[0.3], 0.5 * action + drift]))
    return Transitions(*(np.asarray(part, np.float32)[:, None] for part in (x[:-1], action, x[1:])))


def noise(num_steps: int, std: float, num_dimensions: int = 1) -> Transitions:
    """Changes drawn from a normal distribution in the first dimension; the others never change."""
    obs = np.zeros((num_steps, num_dimensions))
    after = obs.copy()
    after[:, 0] = RNG.normal(0.0, std, num_steps)
    return Transitions(*(np.asarray(part, np.float32) for part in (obs, np.zeros((num_steps, 1)), after)))


@functools.cache
def program(num_steps: int, obs_size: int, end: float) -> Any:
    """The compiled judgement of an episode, which is all there is to remember; it ends where x reaches ``end``."""
    shape = with_shape(capacity=num_steps)
    task = dataclasses.replace(
        POSITION,
        obs_size=obs_size,
        episode_length=num_steps,
        terminated=never if end == np.inf else lambda after: after[0] >= end,
    )

    def judge(world: World, lived: Experience, horizon: Any) -> dict[str, Any]:
        spread = spread_of(task, world, Buffer(lived.rows, lived.length), num_steps)
        return judge_unseen(task, shape, world, lived, spread, horizon, jax.random.key(0))

    return jax.jit(judge)


def judged(
    world: World,
    rows: Transitions,
    plans: Any = np.nan,
    horizon: int = 3,
    length: int | None = None,
    end: float = np.inf,
) -> dict[str, float]:
    """All that is said of an episode."""
    num_steps, obs_size = rows.obs.shape
    all_plans = np.broadcast_to(np.asarray(plans, np.float32), (len(plan_steps(num_steps)), H, 1))
    counted = jnp.int32(num_steps if length is None else length)
    experience = Experience(jax.tree.map(jnp.asarray, rows), counted, jnp.asarray(all_plans))
    found = program(num_steps, obs_size, end)(world, experience, jnp.int32(horizon))
    return {name: float(value) for name, value in found.items()}


def test_a_perfect_model_makes_no_error() -> None:
    """Predictions of a model that is the world stay right, fed back, however far ahead."""
    found = judged(linear_world(TINY, PUSHED), lived(40))
    for k in (1, 5, 25):
        assert found[f"error_{k}_ahead"] == pytest.approx(0.0, abs=1e-5)


def test_a_bias_adds_up() -> None:
    """A model that misses 0.1 a step misses k tenths after k steps, here in standard deviations of the data."""
    rows = lived(40, drift=0.1)
    found = judged(linear_world(TINY, PUSHED), rows)
    for k in (1, 5, 25):
        assert found[f"error_{k}_ahead"] == pytest.approx(0.1 * k / rows.obs.std(), rel=1e-3)


def test_only_real_rows_and_whole_stretches_count() -> None:
    """Rows behind the end change nothing, and there is no error farther ahead than the episode is long."""
    rows = lived(12, drift=0.1)
    spoiled = jax.tree.map(lambda part: np.concatenate([part[:7], 1e3 + part[7:]]), rows)
    cut = jax.tree.map(lambda part: part[:7], rows)
    world = linear_world(TINY, PUSHED)
    found, expected = judged(world, spoiled, length=7), judged(world, cut)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)
    assert "error_25_ahead" not in found


@pytest.mark.parametrize(("std", "likely"), [(0.2, (0.5, 0.9)), (0.4, None), (0.1, None)])
def test_coverage_is_that_of_the_normal_distribution(std: float, likely: tuple[float, float] | None) -> None:
    """Of a model that says 0.2: right when it is right, too small or too large as it should be.

    20,000 rows: five standard errors, a false alarm in a million. The second dimension never changes: it is left out.
    """
    found = judged(constant_world(TINY, [[0.0, 0.0]] * 2, 3, np.log(0.2)), noise(20_000, std, 2))
    for i, percent in enumerate((50, 90)):
        reach = norm.ppf(0.5 + percent / 200) * 0.2 / std
        expected = norm.cdf(reach) - norm.cdf(-reach)
        assert likely is None or expected == pytest.approx(likely[i])
        assert found[f"coverage_{percent}"] == pytest.approx(expected, abs=5 * 0.5 / 20_000**0.5)


def test_disagreement_is_the_spread_of_the_networks() -> None:
    """Two networks 0.6 apart, in standard deviations of what happens; agreeing ones say 0."""
    rows = noise(500, 2.0)
    spread = float(rows.next_obs.std())
    assert judged(constant_world(TINY, [[0.1], [0.7]]), rows)["disagreement"] == pytest.approx(0.3 / spread, rel=1e-4)
    assert judged(constant_world(TINY, [[0.7], [0.7]]), rows)["disagreement"] == 0.0


def test_unseen_nll_is_the_density() -> None:
    """Scipy's, of every network on its own, averaged over networks and the episode's own rows."""
    rows = noise(50, 1.0)
    found = judged(constant_world(TINY, [[0.1], [0.7]], log_std=np.log(0.5)), rows, length=30)
    densities = norm.logpdf(rows.next_obs[:30], [[0.1, 0.7]], 0.5)
    assert found["unseen_nll"] == pytest.approx(-densities.mean(), rel=1e-4)


def executed(rows: Transitions) -> np.ndarray:
    """For every step the plan that was executed from there on; behind the episode zeros."""
    padded = np.concatenate([rows.action, np.zeros((H, 1), np.float32)])
    return np.stack([padded[t : t + H] for t in plan_steps(len(rows.action))])


def test_a_plan_that_is_carried_out_returns_what_was_promised() -> None:
    """With a perfect model, and plans that turn out as planned, nothing is promised that is not kept."""
    rows = lived(12)
    found = judged(linear_world(TINY, PUSHED), rows, executed(rows))
    assert found["plan_return_error"] == pytest.approx(0.0, abs=1e-4)
    sums = [rows.next_obs[t : t + 3].sum() for t in range(10)]  # only plans whose three steps were lived
    assert found["plan_return"] == pytest.approx(np.mean(sums), rel=1e-4)


def test_an_optimistic_model_promises_too_much() -> None:
    """Half a unit of drift a step that does not come: 0.5 + 1.0 + 1.5 over three steps too much."""
    rows = lived(12, drift=-0.5)
    found = judged(linear_world(TINY, PUSHED), rows, executed(rows))
    assert found["plan_return_error"] == pytest.approx(3.0, rel=1e-4)


def test_plans_that_cannot_be_judged_say_nothing() -> None:
    """None was made, or none was carried out to its end."""
    rows = lived(12)
    unplanned, cut = judged(linear_world(TINY, PUSHED), rows), judged(linear_world(TINY, PUSHED), rows, 0.0, 5, 4)
    for found in (unplanned, cut):
        assert np.isnan(found["plan_return"])
        assert np.isnan(found["plan_return_error"])


def test_a_plan_is_done_when_the_episode_has_terminated() -> None:
    """Behind the step that ends the episode nothing is earned, neither promised nor paid."""
    action = np.ones((6, 1), np.float32)
    obs = np.arange(6, dtype=np.float32)[:, None] / 2
    rows = Transitions(obs, action, obs + 0.5)
    found = judged(linear_world(TINY, PUSHED), rows, 1.0, horizon=5, length=4, end=2.0)
    # from x = 0, 0.5, 1, 1.5 to the end at 2
    assert found["plan_return"] == pytest.approx(np.mean([5.0, 4.5, 3.5, 2.0]), rel=1e-4)
    assert found["plan_return_error"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("episode_length", [1, 31, 32, 33, 200, 1000])
def test_plans_are_judged_evenly(episode_length: int) -> None:
    """At most 32 of them, the first step's among them, none behind the end."""
    steps = plan_steps(episode_length)
    assert steps[0] == 0
    assert steps[-1] < episode_length
    assert min(episode_length, diagnostics.MAX_PLANS) / 2 <= len(steps) <= diagnostics.MAX_PLANS


def fit_of(world: World, num_epochs: int = 4, holdout_loss: float = np.nan) -> Fitted:
    numbers = (jnp.float32(0.25), jnp.float32(holdout_loss), jnp.int32(num_epochs))
    return Fitted(world.ensemble, (), init_normaliser(2), *numbers)


def known(task: Task, shape: PetsShape, fitted: Fitted, rows: Transitions) -> dict[str, float]:
    replay = Buffer(jax.tree.map(jnp.asarray, rows), jnp.int32(len(rows.obs)))
    return {name: float(value) for name, value in judge_fit(task, shape, fitted, replay, 10).items()}


def test_train_nll_is_of_training_rows_only() -> None:
    """Ten rows, evenly spread over those that were trained on: held-out ones may hold anything."""
    rows, is_held = noise(40, 1.0), is_held_out(40, 0.25)
    spoiled = dataclasses.replace(rows, next_obs=np.where(is_held[:, None], np.float32(np.nan), rows.next_obs))
    world = constant_world(TINY, [[0.1], [0.7]], log_std=np.log(0.5))
    shape = with_shape(capacity=40, holdout_ratio=0.25)
    found = known(POSITION, shape, fit_of(world, holdout_loss=0.5), spoiled)
    trained = rows.next_obs[~is_held]
    chosen = trained[np.arange(10) * len(trained) // 10]
    assert found["train_nll"] == pytest.approx(-norm.logpdf(chosen, [[0.1, 0.7]], 0.5).mean(), rel=1e-4)
    assert found["holdout_nll"] == pytest.approx(0.5 * (0.5 + np.log(2 * np.pi)), rel=1e-5)
    assert (found["epochs_run"], found["model_loss"]) == (4.0, 0.25)


def test_deterministic_networks_have_no_likelihood() -> None:
    """What needs a density is not there; a held-out loss is a mean squared error."""
    shape = with_shape(capacity=40, holdout_ratio=0.25, is_probabilistic=False)
    sure = constant_world(TINY, [[0.1], [0.7]])
    ensemble = dataclasses.replace(
        sure.ensemble,
        weights=jax.tree.map(lambda w: w, (sure.ensemble.weights[0], sure.ensemble.weights[1][:, :, :1])),
        biases=(sure.ensemble.biases[0], sure.ensemble.biases[1][:, :, :1]),
        is_probabilistic=False,
    )
    assert predict(ensemble, jnp.zeros((2, 1, 2), jnp.float32)).mean.ravel().tolist() == pytest.approx([0.1, 0.7])
    world = World(ensemble, sure.normaliser)
    found = known(POSITION, shape, fit_of(world, holdout_loss=0.5), noise(40, 1.0))
    assert found == {"model_loss": 0.25, "epochs_run": 4.0, "holdout_mse": 0.5}
    unseen = judged(world, noise(40, 1.0))
    assert not unseen.keys() & {"unseen_nll", "coverage_50", "coverage_90"}
    assert unseen["disagreement"] > 0.0
