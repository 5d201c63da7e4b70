"""Fitting the ensemble to the buffer after every episode (Chua et al. 2018, released code).

Warm-started: weights and the optimiser's memory are kept. Each network trains on its own bootstrap resample of all
training rows, drawn anew at every fit and reshuffled at every epoch. The normaliser is refitted first. Without a
holdout, all rows are trained on for a given number of epochs. With one, the fit ends early when the held-out loss
stops falling, at the weights for which it was lowest. If only the best networks are to plan, they come first.

What it costs follows the rows present: nothing reads a buffer to its capacity (see ``row_folds``). Loops end where the
agent's own epochs and batches do; vectorised, they go on until those of the last one have ended, and JAX keeps what the
others had.

    E networks   N buffer capacity   M rows that may be trained on   B batch   I inputs   D target dimensions
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array, lax, random
from jaxtyping import Float, Int, PRNGKeyArray

from cartwheel.agents.pets.buffer import Buffer, Transitions
from cartwheel.agents.pets.heads import model_inputs, with_reward_units
from cartwheel.agents.pets.heads import targets as model_targets
from cartwheel.agents.pets.holdout import count_below, is_held_out, judging_rows, training_rows
from cartwheel.agents.pets.hypers import ModelHypers, PetsShape
from cartwheel.agents.pets.model import (
    Ensemble,
    Normaliser,
    fit_loss,
    fit_normaliser,
    networks,
    normalise,
    row_losses,
)
from cartwheel.agents.pets.optimizers import step
from cartwheel.agents.pets.row_folds import over_prefix
from cartwheel.envs.tasks import Task

MIN_IMPROVEMENT = 0.01
"""A held-out loss is better if it is lower by this share of its size (mbrl-lib, Pineda et al. 2021)."""
JUDGING_CHUNK = 256
"""So many held-out rows are judged at a time."""


class Fitted(NamedTuple):
    """The outcome of a fit.

    ``loss`` is the data part of the loss over the last epoch, averaged over networks, ``holdout_loss`` that of the
    rows held out (NaN without any), ``num_epochs`` counts the epochs that were run.
    """

    ensemble: Ensemble
    optimizer: optax.OptState
    normaliser: Normaliser
    loss: Float[Array, ""]
    holdout_loss: Float[Array, ""]
    num_epochs: Int[Array, ""]


class _Data(NamedTuple):
    """The buffer and its units; how many of its rows may be trained on, and by how many networks are judged."""

    task: Task
    rows: Transitions
    normaliser: Normaliser
    num_training: Int[Array, ""]
    num_judging: Int[Array, ""]

    def at(self, index: Int[Array, "E B"]) -> tuple[Float[Array, "E B I"], Float[Array, "E B D"]]:
        """What the networks are shown of these rows and what they are to predict, in their own units."""
        rows = jax.tree.map(lambda leaf: leaf[index.ravel()], self.rows)
        inputs = normalise(self.normaliser, model_inputs(self.task, rows))
        targets = model_targets(self.task, self.normaliser, rows)
        return inputs.reshape(*index.shape, -1), targets.reshape(*index.shape, -1)


class _Progress(NamedTuple):
    ensemble: Ensemble
    optimizer: optax.OptState
    loss: Float[Array, ""]


class _Watched(NamedTuple):
    """A fit under way, and its best weights so far by the held-out loss."""

    now: _Progress
    best: _Progress
    best_loss: Float[Array, ""]
    num_epochs: Int[Array, ""]
    num_epochs_since: Int[Array, ""]


_RunEpoch = Callable[[Array, _Progress], _Progress]
_Judge = Callable[[Ensemble], Float[Array, " E"]]


def fit(
    task: Task,
    shape: PetsShape,
    ensemble: Ensemble,
    optimizer: optax.OptState,
    buffer: Buffer,
    hypers: ModelHypers,
    most_rows: Int[Array, ""],
    key: PRNGKeyArray,
) -> Fitted:
    """Refit the normaliser, then run at most ``hypers.num_epochs`` passes over the bootstrap resamples.

    ``most_rows``: no member of the cohort has more in its buffer. It is one number for all, never vectorised.
    """
    data = _prepare(task, shape, buffer, most_rows)
    boot_key, shuffle_key = random.split(key)
    places = bootstrap(boot_key, shape.num_networks, len(training_rows(shape)), data.num_training, most_rows)
    resample = jnp.asarray(training_rows(shape))[places]

    def epoch(number: Array, progress: _Progress) -> _Progress:
        order = shuffle(random.fold_in(shuffle_key, number), resample, data.num_training, most_rows)
        return _epoch(data, shape, hypers, order, progress)

    def judge(ensemble: Ensemble) -> Float[Array, " E"]:
        return _judge(data, shape, ensemble)

    start = _Progress(ensemble, optimizer, jnp.zeros((), jnp.float32))
    if shape.holdout_ratio > 0.0:
        end = _until_no_better(epoch, judge, start, data, hypers, shape)
    else:
        last = lax.fori_loop(0, hypers.num_epochs, epoch, start)
        end = _Watched(last, last, jnp.asarray(jnp.nan, jnp.float32), hypers.num_epochs, hypers.num_epochs)
    best = _best_first(judge, end.best) if shape.num_best_networks is not None else end.best
    return Fitted(best.ensemble, best.optimizer, data.normaliser, best.loss, end.best_loss, end.num_epochs)


def _prepare(task: Task, shape: PetsShape, buffer: Buffer, most_rows: Int[Array, ""]) -> _Data:
    """What the networks learn from, and the units that the training rows give it."""
    is_training = ~jnp.asarray(is_held_out(shape.capacity, shape.holdout_ratio))
    present = (jnp.arange(shape.capacity) < buffer.num_rows) & is_training
    normaliser = fit_normaliser(buffer.rows, present, most_rows, functools.partial(model_inputs, task))
    normaliser = with_reward_units(normaliser, buffer.rows, present, most_rows)
    counts = (count_below(which(shape), buffer.num_rows) for which in (training_rows, judging_rows))
    return _Data(task, buffer.rows, normaliser, *counts)


def _until_no_better(
    run_epoch: _RunEpoch, judge: _Judge, start: _Progress, data: _Data, hypers: ModelHypers, shape: PetsShape
) -> _Watched:
    """Run epochs until ``shape.patience`` of them in a row have not improved the held-out loss, or all are run.

    The networks are watched together: they share the log-variance bounds, so weights of different epochs do not mix.
    While no row is held out yet, every epoch counts as better. A loss that is not a number never does.
    """

    def goes_on(fit: _Watched) -> Array:
        return (fit.num_epochs < hypers.num_epochs) & (fit.num_epochs_since < shape.patience)

    def go_on(fit: _Watched) -> _Watched:
        now = run_epoch(fit.num_epochs, fit.now)
        loss = jnp.mean(judge(now.ensemble))
        is_better = (fit.best_loss - loss > MIN_IMPROVEMENT * jnp.abs(fit.best_loss)) | (data.num_judging == 0)
        best: _Progress = jax.tree.map(lambda new, old: jnp.where(is_better, new, old), now, fit.best)
        since = jnp.where(is_better, 0, fit.num_epochs_since + 1)
        return _Watched(now, best, jnp.where(is_better, loss, fit.best_loss), fit.num_epochs + 1, since)

    zero = jnp.zeros((), jnp.int32)
    end: _Watched = lax.while_loop(goes_on, go_on, _Watched(start, start, jnp.mean(judge(start.ensemble)), zero, zero))
    return end._replace(best_loss=jnp.where(data.num_judging == 0, jnp.nan, end.best_loss))


def _judge(data: _Data, shape: PetsShape, ensemble: Ensemble) -> Float[Array, " E"]:
    """The mean data loss of every network over the rows that it is judged by; 0 if there are none."""
    rows = jnp.pad(jnp.asarray(judging_rows(shape)), (0, JUDGING_CHUNK))

    def add(c: Array, total: Float[Array, " E"]) -> Float[Array, " E"]:
        index = lax.dynamic_slice_in_dim(rows, c * JUDGING_CHUNK, JUDGING_CHUNK)
        present = c * JUDGING_CHUNK + jnp.arange(JUDGING_CHUNK) < data.num_judging
        everyone = (jnp.tile(array, (shape.num_networks, 1, 1)) for array in data.at(index[None]))
        return total + jnp.sum(jnp.where(present[None], row_losses(ensemble, *everyone), 0.0), axis=1)

    num_chunks = -(-data.num_judging // JUDGING_CHUNK)
    total: Array = lax.fori_loop(0, num_chunks, add, jnp.zeros((shape.num_networks,), jnp.float32))
    return total / jnp.maximum(data.num_judging, 1).astype(jnp.float32)


def _best_first(judge: _Judge, fitted: _Progress) -> _Progress:
    """The networks and their part in the optimiser's memory, ordered by how well they were judged."""
    order = jnp.argsort(judge(fitted.ensemble), stable=True)

    def is_ensemble(node: Any) -> bool:
        return isinstance(node, Ensemble)

    def reorder(node: Any) -> Any:
        return networks(node, order) if is_ensemble(node) else node

    ordered: _Progress = jax.tree.map(reorder, fitted, is_leaf=is_ensemble)
    return ordered


def bootstrap(
    key: PRNGKeyArray, num_networks: int, capacity: int, num_rows: Int[Array, ""], most_rows: Int[Array, ""] | int
) -> Int[Array, "E N"]:
    """As many row numbers as there are rows, drawn from the first ``num_rows`` <= ``most_rows`` with replacement.

    Entry i depends on the key and i alone; what lies behind the first ``num_rows`` means nothing.
    """

    def draw(size: int) -> Int[Array, "E {size}"]:
        # [N, E] and turned: JAX's bits are prefix-stable along the first axis
        uniform = random.uniform(key, (size, num_networks), jnp.float32)
        drawn = jnp.floor(uniform * num_rows.astype(jnp.float32)).astype(jnp.int32)
        return jnp.minimum(drawn, jnp.maximum(num_rows - 1, 0)).T

    return over_prefix(draw, capacity, most_rows)


def shuffle(
    key: PRNGKeyArray, resample: Int[Array, "E N"], num_rows: Int[Array, ""], most_rows: Int[Array, ""] | int
) -> Int[Array, "E N"]:
    """Each network's first ``num_rows`` <= ``most_rows`` entries in a fresh random order."""
    num_networks, capacity = resample.shape

    def order(size: int) -> Int[Array, "E {size}"]:
        bits = random.bits(key, (size, num_networks), jnp.uint32).T >> 1
        is_behind = jnp.arange(size)[None] >= num_rows
        order = jnp.argsort(jnp.where(is_behind, jnp.uint32(0xFFFFFFFF), bits), axis=1)
        return jnp.take_along_axis(resample[:, :size], order, axis=1)

    return over_prefix(order, capacity, most_rows)


def _epoch(
    data: _Data,
    shape: PetsShape,
    hypers: ModelHypers,
    order: Int[Array, "E N"],
    progress: _Progress,
) -> _Progress:
    """One pass over the data, ``shape.batch_size`` rows at a time; the last batch may be smaller."""
    size = shape.batch_size
    padded = jnp.pad(order, ((0, 0), (0, size)))

    def update(b: Array, progress: _Progress) -> _Progress:
        index = lax.dynamic_slice_in_dim(padded, b * size, size, axis=1)  # [E, B]
        present = (b * size + jnp.arange(size) < data.num_training).astype(jnp.float32)
        gradient = eqx.filter_value_and_grad(fit_loss, has_aux=True)
        (_, loss), slope = gradient(
            progress.ensemble,
            *data.at(index),
            present,
            hypers.weight_decay,
            shape.layer_decays,
        )
        ensemble, optimizer = step(shape.optimizer, progress.ensemble, slope, progress.optimizer, hypers.learning_rate)
        # the loss of an epoch is the mean over its batches
        mean_loss = (progress.loss * b.astype(jnp.float32) + loss) / (b.astype(jnp.float32) + 1.0)
        return _Progress(ensemble, optimizer, mean_loss)

    passed: _Progress = lax.fori_loop(0, -(-data.num_training // size), update, progress)
    return passed
