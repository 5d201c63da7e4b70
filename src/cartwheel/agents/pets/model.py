"""The dynamics model of PETS: an ensemble of probabilistic networks (Chua et al. 2018; Lakshminarayanan et al. 2017).

Each of E networks maps a normalised input (encoded observation and action) to a Gaussian over the target. All
networks live in one pytree whose leaves carry a leading E axis, so that one batched matrix product serves them all.

    E networks   B rows   I inputs   D target dimensions   W width
"""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, random
from jaxtyping import Float, PRNGKeyArray, Shaped

from cartwheel.agents.pets.hypers import PetsShape

MIN_STD = 1e-12
"""A constant input dimension (a goal, say) has no spread: it is shifted, not scaled (released code of PETS)."""
LOGVAR_BOUND_WEIGHT = 0.01
INITIAL_MAX_LOGVAR, INITIAL_MIN_LOGVAR = 0.5, -10.0


class Ensemble(eqx.Module):
    """Weights of E networks, and the learned bounds of the log-variance that they share."""

    weights: tuple[Float[Array, "E _ _"], ...]
    biases: tuple[Float[Array, "E 1 _"], ...]
    max_logvar: Float[Array, " D"]
    min_logvar: Float[Array, " D"]


class Normaliser(eqx.Module):
    """Mean and standard deviation of the model's inputs."""

    mean: Float[Array, " I"]
    std: Float[Array, " I"]


class Gaussian(NamedTuple):
    """A diagonal Gaussian: mean and log-variance of the same shape."""

    mean: Array
    logvar: Array


def init_ensemble(key: PRNGKeyArray, num_inputs: int, num_targets: int, shape: PetsShape) -> Ensemble:
    """Truncated-normal weights of std 1 / (2 sqrt(fan in)) cut at two sigma, zero biases."""
    sizes = (num_inputs, *(shape.width,) * shape.num_layers, 2 * num_targets)
    weights, biases = [], []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        draw = random.truncated_normal(random.fold_in(key, layer), -2.0, 2.0, (shape.num_networks, fan_in, fan_out))
        weights.append(draw.astype(jnp.float32) / (2.0 * fan_in**0.5))
        biases.append(jnp.zeros((shape.num_networks, 1, fan_out), jnp.float32))
    return Ensemble(
        tuple(weights),
        tuple(biases),
        jnp.full((num_targets,), INITIAL_MAX_LOGVAR, jnp.float32),
        jnp.full((num_targets,), INITIAL_MIN_LOGVAR, jnp.float32),
    )


def init_normaliser(num_inputs: int) -> Normaliser:
    """Leaves inputs as they are."""
    return Normaliser(jnp.zeros((num_inputs,), jnp.float32), jnp.ones((num_inputs,), jnp.float32))


def fit_normaliser(inputs: Float[Array, "N I"], num_rows: Shaped[Array, ""]) -> Normaliser:
    """Mean and standard deviation of the first ``num_rows`` rows.

    Sums are over distances from the first row: in float32 large offsets would cost their digits, and a constant
    dimension would get a spread of rounding errors.
    """
    present = (jnp.arange(inputs.shape[0]) < num_rows)[:, None]
    count = jnp.maximum(num_rows, 1).astype(jnp.float32)
    distance = jnp.where(present, inputs - inputs[:1], 0.0)
    shift = jnp.sum(distance, axis=0) / count
    variance = jnp.sum(jnp.where(present, jnp.square(distance - shift[None]), 0.0), axis=0) / count
    std = jnp.sqrt(variance)
    return Normaliser(inputs[0] + shift, jnp.where(std < MIN_STD, 1.0, std))


def normalise(normaliser: Normaliser, inputs: Float[Array, "*B I"]) -> Float[Array, "*B I"]:
    """(inputs - mean) / std."""
    lead = (1,) * (inputs.ndim - 1)
    return (inputs - normaliser.mean.reshape(*lead, -1)) / normaliser.std.reshape(*lead, -1)


def predict(ensemble: Ensemble, inputs: Float[Array, "E B I"]) -> Gaussian:
    """Every network's Gaussian [E, B, D] for its own rows of normalised inputs."""
    hidden = inputs
    for weight, bias in zip(ensemble.weights[:-1], ensemble.biases[:-1], strict=True):
        hidden = jax.nn.swish(jnp.einsum("ebi,eio->ebo", hidden, weight) + bias)
    output = jnp.einsum("ebi,eio->ebo", hidden, ensemble.weights[-1]) + ensemble.biases[-1]
    mean, raw = jnp.split(output, 2, axis=-1)
    return Gaussian(mean, bound_logvar(raw, ensemble.max_logvar, ensemble.min_logvar))


def bound_logvar(raw: Float[Array, "E B D"], high: Float[Array, " D"], low: Float[Array, " D"]) -> Array:
    """Clamp softly on both sides (Chua et al. 2018, appendix A.1): an unbounded log-variance overflows off the data."""
    high, low = high[None, None], low[None, None]
    capped = high - jax.nn.softplus(high - raw)
    return low + jax.nn.softplus(capped - low)


def fit_loss(
    ensemble: Ensemble,
    inputs: Float[Array, "E B I"],
    targets: Float[Array, "E B D"],
    present: Float[Array, " B"],
    weight_decay: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """What is minimised, summed over networks, and its data part averaged over networks.

    Per network mean((mu - y)^2 exp(-logvar)) + mean(logvar) over present rows and dimensions (no 1/2, no log 2 pi, as
    in the released code), plus 0.01 (sum max - sum min) of the log-variance bounds and 0.5 decay |W|^2.
    """
    mean, logvar = predict(ensemble, inputs)
    # [E, B]: padding rows count nothing, neither here nor in the gradient; they hold copies of real rows
    per_row = jnp.mean(jnp.square(mean - targets) * jnp.exp(-logvar) + logvar, axis=-1)
    total = jnp.sum(jnp.where(present[None] > 0, per_row, 0.0), axis=1) / jnp.maximum(jnp.sum(present), 1.0)
    bounds = LOGVAR_BOUND_WEIGHT * (jnp.sum(ensemble.max_logvar) - jnp.sum(ensemble.min_logvar))
    decay = 0.5 * weight_decay * sum(jnp.sum(jnp.square(weight)) for weight in ensemble.weights)
    return jnp.sum(total) + bounds + decay, jnp.mean(total)


def negative_log_likelihood(prediction: Gaussian, targets: Array) -> Array:
    """The full Gaussian NLL per row, with its 1/2 and log 2 pi, summed over the last axis [D]."""
    squared = jnp.square(targets - prediction.mean) * jnp.exp(-prediction.logvar)
    return 0.5 * jnp.sum(squared + prediction.logvar + jnp.log(2 * jnp.pi).astype(jnp.float32), axis=-1)
