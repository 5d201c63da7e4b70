"""The benchmark of an update: every part does what its column says, and the rate counts the operations of products."""

import json
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, random

from benchmarks.speed import programs, update
from benchmarks.speed.sizes import Size
from benchmarks.speed.timing import Job
from cartwheel.agents.pets.model import Ensemble, fit_loss, init_ensemble, predict
from cartwheel.agents.pets.optimizers import init_optimizer, step

TINY = Size("small", "line", num_layers=2, width=4, num_particles=5, plan_horizon=2, num_iterations=1, num_samples=4)
NUM_UPDATES, BATCH = 3, 8
SHAPE = programs.shape_of(TINY, batch_size=BATCH)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> tuple[Ensemble, Any, Array, Array]:
    """An ensemble, its optimizer and three batches: 2 observations and an action in, 2 targets out."""
    monkeypatch.setattr(update, "NUM_UPDATES", NUM_UPDATES)
    ensemble = jax.jit(lambda key: init_ensemble(key, 3, 2, SHAPE))(random.key(0))
    rng, batches = np.random.default_rng(0), (NUM_UPDATES, SHAPE.num_networks, BATCH)
    inputs, targets = (jnp.asarray(rng.normal(size=(*batches, n)), jnp.float32) for n in (3, 2))
    return ensemble, jax.jit(lambda own: init_optimizer("adam", own))(ensemble), inputs, targets


@jax.jit
def slope_of(ensemble: Ensemble, inputs: Array, targets: Array) -> Ensemble:
    def loss(own: Ensemble) -> Array:
        return fit_loss(own, inputs, targets, jnp.ones(BATCH), jnp.float32(1e-5), SHAPE.layer_decays)[0]

    slope: Ensemble = eqx.filter_grad(loss)(ensemble)
    return slope


def test_forward_is_a_pass_of_every_batch(given: tuple[Ensemble, Any, Array, Array]) -> None:
    ensemble, optimizer, inputs, targets = given
    mean = jax.jit(lambda own, rows: predict(own, rows).mean)
    expected = sum(float(np.sum(mean(ensemble, inputs[i]))) for i in range(NUM_UPDATES))
    assert float(update.forward(SHAPE, *given)) == pytest.approx(expected, rel=1e-4)
    assert float(update.forward(SHAPE, ensemble, optimizer, 2 * inputs, targets)) != pytest.approx(expected, rel=1e-2)


def test_gradient_is_that_of_every_batch(given: tuple[Ensemble, Any, Array, Array]) -> None:
    """Of it, the first number of each layer's weights is read."""
    ensemble, _, inputs, targets = given
    slopes = [slope_of(ensemble, inputs[i], targets[i]) for i in range(NUM_UPDATES)]
    expected = sum(float(np.sum(np.asarray(weight)[:, 0, 0])) for slope in slopes for weight in slope.weights)
    assert float(update.gradient(SHAPE, *given)) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_adam_goes_on_from_one_batch_to_the_next(given: tuple[Ensemble, Any, Array, Array]) -> None:
    ensemble, optimizer, inputs, targets = given
    one_step = jax.jit(lambda own, slope, moments: step("adam", own, slope, moments, jnp.float32(1e-3)))
    for i in range(NUM_UPDATES):
        slope = slope_of(ensemble, inputs[i], targets[i])
        ensemble, optimizer = one_step(ensemble, slope, optimizer)
    found, _ = update.with_adam(SHAPE, *given)
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(ensemble), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_operations_are_counted_by_hand() -> None:
    """Layers of 3 x 4, 4 x 4 and 4 x (2 means and 2 variances): 44 weights of 5 networks, for each of 8 rows.

    Forwards a multiplication and an addition each, and twice as many backwards.
    """
    assert update.flops(TINY, BATCH) == 5 * 8 * 44 * (2 + 4)


def test_a_row_is_made_of_medians_by_update(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parts are loops of 50 updates, and a fit is a pass over 5,000 rows."""

    def seconds(jobs: dict[str, Job], repeats: int) -> dict[str, list[float]]:
        return {name: [9.0, 2.0, 1.0] if name == "fit" else [9.0, 0.5, 0.1] for name in jobs}

    monkeypatch.setattr(update, "prepare_jax", lambda _: None)
    monkeypatch.setattr(update, "in_turns", seconds)
    monkeypatch.setattr(update, "job", lambda *_: None)
    monkeypatch.setattr(programs, "epoch", lambda *_: None)
    monkeypatch.setattr(programs, "peak_jobs", lambda: {"XLA": None})
    monkeypatch.setattr(update, "SIZES", {"cartpole": TINY, "cheetah": TINY})
    monkeypatch.setattr(sys, "argv", ["update", "--repeats", "3", "--json"])
    update.main()
    told = json.loads(capsys.readouterr().out)
    assert [(row["size"], row["batch"]) for row in told["rows"]] == [
        ("cartpole", 32), ("cartpole", 256), ("cheetah", 32), ("cheetah", 256),
    ]  # fmt: skip
    small, large, *_ = told["rows"]
    assert small["forward, ms"] == small["gradient, ms"] == small["with Adam, ms"] == pytest.approx(500 / 50)
    assert small["fit, ms"] == pytest.approx(2000 / 157)  # 156 batches of 32 rows, and one of the other 8
    assert large["fit, ms"] == pytest.approx(2000 / 20)
    assert large["GFLOP/s"] == pytest.approx(5 * 256 * 44 * 6 / 0.1 / 1e9)
    assert told["about"]["XLA GFLOP/s"] == round(programs.PEAK_FLOPS / 0.1 / 1e9)
