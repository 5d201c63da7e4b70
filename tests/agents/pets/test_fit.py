"""Fitting: resamples, shuffles, masked loops, against a plain loop over batches; and the buffer it reads."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import random

from cartwheel.agents.pets import buffer as buffers
from cartwheel.agents.pets import fit as fitting
from cartwheel.agents.pets.buffer import Buffer, Transitions
from cartwheel.agents.pets.fit import bootstrap, shuffle
from cartwheel.agents.pets.holdout import is_held_out
from cartwheel.agents.pets.hypers import ModelHypers, PetsShape
from cartwheel.agents.pets.model import Ensemble, fit_loss, init_ensemble, row_losses
from cartwheel.agents.pets.optimizers import init_optimizer
from hand_made import POSITION, TINY, with_shape

FALSE_ALARM = 1e-6
CAPACITY = TINY.capacity


def made_up_buffer(num_rows: int, behind: float = np.nan, capacity: int = CAPACITY) -> Buffer:
    """Rows of x' = x + 0.5 a, and ``behind`` where nothing has been written yet."""
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(capacity, 1)), rng.uniform(-1, 1, (capacity, 1))
    rows = np.stack([obs, action, obs + 0.5 * action]).astype(np.float32)
    rows[:, num_rows:] = behind
    return Buffer(Transitions(*map(jnp.asarray, rows)), jnp.int32(num_rows))


def model_hypers(learning_rate: float = 3e-3, weight_decay: float = 1e-2, num_epochs: int = 3) -> ModelHypers:
    return ModelHypers(jnp.float32(learning_rate), jnp.float32(weight_decay), jnp.int32(num_epochs))


def start(shape: PetsShape) -> tuple[Ensemble, Any]:
    ensemble = init_ensemble(random.key(1), 2, 1, shape)
    return ensemble, init_optimizer(shape.optimizer, ensemble)


@functools.cache
def program(shape: PetsShape) -> Any:
    """The compiled fit: whatever buffer and hypers, one program."""
    return jax.jit(functools.partial(fitting.fit, POSITION, shape))


def run(buffer: Buffer, hypers: ModelHypers, most_rows: int, shape: PetsShape = TINY, repeat: int = 1) -> Any:
    """A fit; warm-started again and again if repeated."""
    ensemble, optimizer = start(shape)
    for i in range(repeat):
        fitted = program(shape)(ensemble, optimizer, buffer, hypers, jnp.asarray(most_rows), random.key(2 + i))
        ensemble, optimizer = fitted.ensemble, fitted.optimizer
    return jax.tree.map(np.asarray, fitted)


def plain_fit(buffer: Buffer, hypers: ModelHypers, shape: PetsShape) -> tuple[Ensemble, float]:
    """The same by plain loops: Adam written out, whole batches, no masks."""
    num_rows = int(buffer.num_rows)
    obs, action, next_obs = (np.asarray(rows)[:num_rows] for rows in jax.tree.leaves(buffer.rows))
    inputs = np.concatenate([obs, action], axis=1)
    inputs, targets = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0), next_obs - obs
    boot_key, shuffle_key = random.split(random.key(2))
    resample = bootstrap(boot_key, shape.num_networks, shape.capacity, buffer.num_rows, CAPACITY)
    ensemble, _ = start(shape)
    weights, structure = jax.tree.flatten(ensemble)
    first, second, count = [0.0] * len(weights), [0.0] * len(weights), 0
    slope_of = jax.jit(jax.value_and_grad(fit_loss, has_aux=True))
    losses = []
    for epoch in range(int(hypers.num_epochs)):
        order = np.asarray(shuffle(random.fold_in(shuffle_key, epoch), resample, buffer.num_rows, CAPACITY))[
            :, :num_rows
        ]
        losses = []
        for begin in range(0, num_rows, shape.batch_size):
            index = order[:, begin : begin + shape.batch_size]
            batch = jnp.asarray(inputs[index]), jnp.asarray(targets[index]), jnp.ones(index.shape[1], jnp.float32)
            (_, loss), slope = slope_of(jax.tree.unflatten(structure, weights), *batch, hypers.weight_decay)
            losses.append(float(loss))
            count += 1
            for i, g in enumerate(np.asarray(leaf) for leaf in jax.tree.leaves(slope)):
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                step = (first[i] / (1 - 0.9**count)) / (np.sqrt(second[i] / (1 - 0.999**count)) + 1e-8)
                weights[i] = np.asarray(weights[i] - float(hypers.learning_rate) * step, np.float32)
    return jax.tree.unflatten(structure, weights), float(np.mean(losses))


def test_a_fit_is_a_plain_loop_over_batches() -> None:
    """Loop bounds and padding leave nothing but Adam on each network's resample, shuffled anew every epoch."""
    buffer, hypers = made_up_buffer(18), model_hypers()
    found = run(buffer, hypers, CAPACITY)
    expected, loss = plain_fit(made_up_buffer(18), hypers, TINY)
    for a, b in zip(jax.tree.leaves(found.ensemble), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    assert float(found.loss) == pytest.approx(loss, abs=1e-4)


def test_neighbours_and_unwritten_rows_change_nothing() -> None:
    """A fit is the same, bit for bit, beside agents that have more rows, and whatever lies behind its rows."""
    hypers = model_hypers()
    own = run(made_up_buffer(18, behind=0.0), hypers, 18)
    beside = run(made_up_buffer(18, behind=np.nan), hypers, CAPACITY)
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(beside), strict=True):
        assert a.tobytes() == b.tobytes()


def test_fits_continue_where_the_last_one_ended() -> None:
    """Weights and Adam's moments are kept between fits, and the model learns x' = x + 0.5 a."""
    fitted = run(made_up_buffer(CAPACITY), model_hypers(1e-2, 0.0, 30), CAPACITY, repeat=4)
    assert int(fitted.optimizer.count) == 4 * 30 * CAPACITY // TINY.batch_size
    assert float(fitted.loss) < -3.0


def test_no_epochs_change_only_the_normaliser() -> None:
    """With num_epochs = 0 the weights stay what they were."""
    fitted = run(made_up_buffer(18), model_hypers(num_epochs=0), 18)
    for a, b in zip(jax.tree.leaves(fitted.ensemble), jax.tree.leaves(start(TINY)[0]), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(fitted.normaliser.std, np.ones(2))


def test_batch_size_is_no_dead_knob() -> None:
    """Another batch size gives other weights."""
    buffer, hypers, other = made_up_buffer(18), model_hypers(), with_shape(batch_size=8)
    one, two = run(buffer, hypers, 18), run(buffer, hypers, 18, other)
    assert not np.array_equal(one.ensemble.weights[0], two.ensemble.weights[0])


WATCHED = with_shape(holdout_ratio=0.25, patience=3)
HELD_OUT = is_held_out(CAPACITY, 0.25)


def spoiled(buffer: Buffer, by: float) -> Buffer:
    """The same buffer, its held-out rows leading elsewhere."""
    off = jnp.where(jnp.asarray(HELD_OUT)[:, None], buffer.rows.next_obs + by, buffer.rows.next_obs)
    return dataclasses.replace(buffer, rows=dataclasses.replace(buffer.rows, next_obs=off))


def held_out_losses(ensemble: Ensemble, buffer: Buffer) -> np.ndarray:
    """Each network's mean loss over the held-out rows, in the units of the training rows."""
    obs, action, next_obs = (np.asarray(rows) for rows in jax.tree.leaves(buffer.rows))
    inputs = np.concatenate([obs, action], axis=1)
    inputs = (inputs - inputs[~HELD_OUT].mean(axis=0)) / inputs[~HELD_OUT].std(axis=0)
    rows = np.stack([inputs[HELD_OUT]] * 2), np.stack([(next_obs - obs)[HELD_OUT]] * 2)
    return np.asarray(row_losses(jax.tree.map(jnp.asarray, ensemble), *map(jnp.asarray, rows))).mean(axis=1)


def test_held_out_rows_are_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every epoch counts as better, other held-out rows give the same weights and units, bit for bit."""
    monkeypatch.setattr(fitting, "MIN_IMPROVEMENT", -np.inf)
    shape = with_shape(holdout_ratio=0.25, patience=4)  # a shape of its own: the program is remembered by shape
    buffer = made_up_buffer(CAPACITY)
    one, two = (run(spoiled(buffer, by), model_hypers(num_epochs=5), CAPACITY, shape) for by in (0.0, 50.0))
    for part in ("ensemble", "optimizer", "normaliser", "loss"):
        for a, b in zip(jax.tree.leaves(getattr(one, part)), jax.tree.leaves(getattr(two, part)), strict=True):
            assert a.tobytes() == b.tobytes()
    assert one.holdout_loss < two.holdout_loss
    assert one.num_epochs == 5


def test_a_fit_ends_when_nothing_gets_better() -> None:
    """Without a step there is nothing to gain: it ends after ``patience`` epochs, with the weights it began with."""
    buffer = made_up_buffer(CAPACITY)
    fitted = run(buffer, model_hypers(learning_rate=0.0, num_epochs=20), CAPACITY, WATCHED)
    assert fitted.num_epochs == WATCHED.patience
    for a, b in zip(jax.tree.leaves(fitted.ensemble), jax.tree.leaves(start(WATCHED)[0]), strict=True):
        assert np.array_equal(a, b)
    assert float(fitted.holdout_loss) == pytest.approx(held_out_losses(fitted.ensemble, buffer).mean(), rel=1e-5)


def test_the_best_weights_are_kept() -> None:
    """A step far too long makes everything worse: the weights from before it come back; a good one is kept."""
    buffer = made_up_buffer(CAPACITY)
    before = held_out_losses(start(WATCHED)[0], buffer).mean()
    for rate, is_good in ((1.0, False), (1e-2, True)):
        fitted = run(buffer, model_hypers(rate, 0.0, 20), CAPACITY, WATCHED)
        after = held_out_losses(fitted.ensemble, buffer).mean()
        assert float(fitted.holdout_loss) == pytest.approx(after, rel=1e-4)
        assert (after < before) == is_good


def test_nobody_is_watched_before_a_row_is_held_out() -> None:
    """With no held-out row yet, all epochs are run and the last weights kept."""
    num_rows = int(np.flatnonzero(HELD_OUT)[0])
    fitted = run(made_up_buffer(num_rows), model_hypers(num_epochs=7), num_rows, WATCHED)
    assert fitted.num_epochs == 7
    assert np.isnan(fitted.holdout_loss)
    assert not np.array_equal(fitted.ensemble.weights[0], start(WATCHED)[0].weights[0])


@pytest.mark.parametrize("ratio", [0.0, 0.25])
def test_the_best_networks_come_first(ratio: float) -> None:
    """The same fit, its networks and their share of the optimiser's memory ordered by the loss they are judged by."""
    buffer = made_up_buffer(CAPACITY)
    plain, ranked = (with_shape(holdout_ratio=ratio, num_best_networks=best) for best in (None, 1))
    one, two = (run(buffer, model_hypers(), CAPACITY, shape) for shape in (plain, ranked))
    losses = held_out_losses(one.ensemble, buffer) if ratio else None
    order = [0, 1] if np.array_equal(one.ensemble.weights[0], two.ensemble.weights[0]) else [1, 0]
    assert losses is None or list(np.argsort(losses)) == order
    for a, b in ((one.ensemble, two.ensemble), (one.optimizer.mu, two.optimizer.mu)):
        for x, y in zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=True):
            assert np.array_equal(x[order], y)
        assert np.array_equal(a.max_logvar, b.max_logvar)


_bootstrap, _shuffle = jax.jit(bootstrap, static_argnums=(1, 2)), jax.jit(shuffle)


def drawn(seed: int, num_networks: int, capacity: int, num_rows: int, most_rows: int | None = None) -> np.ndarray:
    """A resample [E, N] under a bound, by default the capacity."""
    most = jnp.int32(capacity if most_rows is None else most_rows)
    return np.asarray(_bootstrap(random.key(seed), num_networks, capacity, jnp.int32(num_rows), most))


def shuffled(seed: int, resample: np.ndarray, num_rows: int, most_rows: int | None = None) -> np.ndarray:
    """The real part of a resample in a fresh order [E, num_rows], under a bound, by default the number of rows."""
    most = jnp.int32(num_rows if most_rows is None else most_rows)
    return np.asarray(_shuffle(random.key(seed), jnp.asarray(resample), jnp.int32(num_rows), most))[:, :num_rows]


@pytest.mark.parametrize("num_rows", [1, 2, 33, 64])
def test_resamples_come_from_the_real_rows(num_rows: int) -> None:
    """Every network draws with replacement from the rows there are, all equally often (false alarm 1e-6)."""
    rows = drawn(num_rows, 5, 3000, num_rows)
    assert rows.min() >= 0
    assert rows.max() < num_rows
    counts = np.stack([np.bincount(row, minlength=num_rows) for row in rows])
    assert num_rows == 1 or scipy.stats.chisquare(counts.ravel()).pvalue > FALSE_ALARM
    assert num_rows < 3 or len({row.tobytes() for row in rows}) == 5


def test_resamples_do_not_depend_on_the_capacity() -> None:
    """A larger buffer draws the same rows first, and shuffles them the same way."""
    small, large = (drawn(3, 2, capacity, 20) for capacity in (20, 60))
    assert np.array_equal(small, large[:, :20])
    assert np.array_equal(*(shuffled(4, rows, 20) for rows in (small, large)))


@pytest.mark.parametrize("most_rows", [300, 512, 513, 1024, 2000, 3000])
def test_a_larger_bound_draws_and_shuffles_the_same(most_rows: int) -> None:
    """What is drawn for a neighbour with more rows is drawn the same way; a resample beyond its bound is not drawn."""
    own, beside = (drawn(3, 2, 3000, 300, most) for most in (300, most_rows))
    assert np.array_equal(own[:, :300], beside[:, :300])
    assert not own[:, 512:].any()
    assert np.array_equal(shuffled(4, own, 300), shuffled(4, beside, 300, most_rows))


def test_a_shuffle_is_a_permutation_of_the_resample() -> None:
    """Each network's own rows, all of them, in another order every epoch, differently for every network."""
    resample = drawn(3, 2, 60, 20)
    orders = [shuffled(epoch, resample, 20) for epoch in range(3)]
    for order in orders:
        assert np.array_equal(np.sort(order, axis=1), np.sort(resample[:, :20], axis=1))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(*shuffled(0, np.tile(np.arange(60, dtype=np.int32), (2, 1)), 60))


def episode(value: float, length: int) -> Transitions:
    return Transitions(*(jnp.full((length, 1), value, jnp.float32) for _ in range(3)))


def test_episodes_are_appended_in_order() -> None:
    """Only the first ``length`` rows of an episode stay; the next episode overwrites the rest."""
    buffer = buffers.init_buffer(12, POSITION)
    append = jax.jit(buffers.append)
    for value, length in ((1.0, 4), (2.0, 2), (3.0, 0), (4.0, 3)):
        buffer = append(buffer, episode(value, 4), jnp.int32(length))
    assert int(buffer.num_rows) == 9
    for rows in jax.tree.leaves(buffer.rows):
        assert rows[:9, 0].tolist() == [1.0] * 4 + [2.0] * 2 + [4.0] * 3
