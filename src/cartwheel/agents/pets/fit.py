"""Fitting the ensemble to the buffer after every episode (Chua et al. 2018, released code).

Warm-started: weights and Adam state are kept. Each network trains on its own bootstrap resample of all rows, drawn
anew at every fit and reshuffled at every epoch. The normaliser is refitted first. No holdout.

    E networks   N buffer capacity   B batch   I inputs   D target dimensions
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from jaxtyping import Float, Int, PRNGKeyArray

from cartwheel.agents.pets.buffer import Buffer
from cartwheel.agents.pets.hypers import HostArray, ModelHypers, PetsShape
from cartwheel.agents.pets.model import Ensemble, Normaliser, fit_loss, fit_normaliser, normalise
from cartwheel.envs.tasks import Task


class FitBounds(NamedTuple):
    """Loop bounds that cover every member of a cohort; plain integers, never vectorised."""

    num_epochs: Int[Array, ""]
    num_batches: Int[Array, ""]


def fit_bounds(num_epochs: int, num_rows: int, shape: PetsShape) -> FitBounds:
    """Bounds for a cohort from its largest number of epochs and of rows (NumPy, on the host)."""
    host: list[HostArray] = [np.asarray(n, np.int32) for n in (num_epochs, -(-num_rows // shape.batch_size))]
    return FitBounds(*host)


class Fitted(NamedTuple):
    """The outcome of a fit; ``loss`` is the data part of the loss over the last epoch, averaged over networks."""

    ensemble: Ensemble
    optimizer: optax.OptState
    normaliser: Normaliser
    loss: Float[Array, ""]


class _Data(NamedTuple):
    inputs: Float[Array, "N I"]
    targets: Float[Array, "N D"]
    num_rows: Int[Array, ""]


class _Progress(NamedTuple):
    ensemble: Ensemble
    optimizer: optax.OptState
    loss: Float[Array, ""]


def init_optimizer(ensemble: Ensemble) -> optax.OptState:
    """Adam's moments at zero."""
    return optax.scale_by_adam().init(ensemble)


def fit(
    task: Task,
    shape: PetsShape,
    ensemble: Ensemble,
    optimizer: optax.OptState,
    buffer: Buffer,
    hypers: ModelHypers,
    bounds: FitBounds,
    key: PRNGKeyArray,
) -> Fitted:
    """Refit the normaliser, then run ``hypers.num_epochs`` passes of Adam over the bootstrap resamples."""
    rows = buffer.rows
    inputs = jnp.concatenate([jax.vmap(task.encode)(rows.obs), rows.action], axis=-1)
    normaliser = fit_normaliser(inputs, buffer.num_rows)
    targets = jax.vmap(task.target)(rows.obs, rows.next_obs)
    data = _Data(normalise(normaliser, inputs), targets, buffer.num_rows)
    boot_key, shuffle_key = random.split(key)
    resample = bootstrap(boot_key, shape.num_networks, shape.capacity, buffer.num_rows)

    def epoch(number: Array, progress: _Progress) -> _Progress:
        order = shuffle(random.fold_in(shuffle_key, number), resample, buffer.num_rows)
        is_active = number < hypers.num_epochs
        return _epoch(data, shape, hypers, bounds, order, is_active, progress)

    start = _Progress(ensemble, optimizer, jnp.zeros((), jnp.float32))
    end = lax.fori_loop(0, bounds.num_epochs, epoch, start)
    return Fitted(end.ensemble, end.optimizer, normaliser, end.loss)


def bootstrap(key: PRNGKeyArray, num_networks: int, capacity: int, num_rows: Int[Array, ""]) -> Int[Array, "E N"]:
    """Row numbers drawn with replacement from the first ``num_rows``; entry i depends on the key and i alone."""
    # [N, E] and turned: JAX's bits are prefix-stable along the first axis
    uniform = random.uniform(key, (capacity, num_networks), jnp.float32)
    drawn = jnp.floor(uniform * num_rows.astype(jnp.float32)).astype(jnp.int32)
    return jnp.minimum(drawn, jnp.maximum(num_rows - 1, 0)).T


def shuffle(key: PRNGKeyArray, resample: Int[Array, "E N"], num_rows: Int[Array, ""]) -> Int[Array, "E N"]:
    """Each network's first ``num_rows`` entries in a fresh random order."""
    bits = random.bits(key, resample.shape[::-1], jnp.uint32).T >> 1
    is_behind = jnp.arange(resample.shape[1])[None] >= num_rows
    order = jnp.argsort(jnp.where(is_behind, jnp.uint32(0xFFFFFFFF), bits), axis=1)
    return jnp.take_along_axis(resample, order, axis=1)


def _epoch(
    data: _Data,
    shape: PetsShape,
    hypers: ModelHypers,
    bounds: FitBounds,
    order: Int[Array, "E N"],
    is_active: Array,
    progress: _Progress,
) -> _Progress:
    """One pass over the data, ``shape.batch_size`` rows at a time; the last batch may be smaller."""
    size = shape.batch_size
    num_batches = -(-data.num_rows // size)
    padded = jnp.pad(order, ((0, 0), (0, size)))

    def update(b: Array, progress: _Progress) -> _Progress:
        index = lax.dynamic_slice_in_dim(padded, b * size, size, axis=1)  # [E, B]
        present = (b * size + jnp.arange(size) < data.num_rows).astype(jnp.float32)
        gradient = eqx.filter_value_and_grad(fit_loss, has_aux=True)
        (_, loss), slope = gradient(
            progress.ensemble, data.inputs[index], data.targets[index], present, hypers.weight_decay
        )
        with jax.numpy_dtype_promotion("standard"):  # optax raises a Python float to an integer power
            direction, optimizer = optax.scale_by_adam().update(slope, progress.optimizer)
        ensemble = jax.tree.map(lambda w, d: w - hypers.learning_rate * d, progress.ensemble, direction)
        # the loss of an epoch is the mean over its batches
        mean_loss = (progress.loss * b.astype(jnp.float32) + loss) / (b.astype(jnp.float32) + 1.0)
        after = _Progress(ensemble, optimizer, mean_loss)
        is_used = is_active & (b < num_batches)
        kept: _Progress = jax.tree.map(lambda new, old: jnp.where(is_used, new, old), after, progress)
        return kept

    passed: _Progress = lax.fori_loop(0, bounds.num_batches, update, progress)
    return passed
