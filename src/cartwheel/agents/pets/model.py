"""The dynamics model of PETS: an ensemble of probabilistic networks (Chua et al. 2018; Lakshminarayanan et al. 2017).

Each of E networks maps a normalised input (encoded observation and action) to a Gaussian over the target. All
networks live in one pytree whose leaves carry a leading E axis, so that one batched matrix product serves them all.

    E networks   B rows   I inputs   D target dimensions   W width
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from cartwheel.agents.pets.hypers import Activation, MatmulPrecision, PetsShape
from cartwheel.agents.pets.layers import dense
from cartwheel.agents.pets.row_folds import moments

MIN_STD = 1e-12
"""A constant input dimension (a goal, say) has no spread: it is shifted, not scaled (released code of PETS)."""
LOGVAR_BOUND_WEIGHT = 0.01
INITIAL_MAX_LOGVAR, INITIAL_MIN_LOGVAR = 0.5, -10.0
INITIAL_LOGIT = -4.6
"""Log-odds of 1 in 100: what is rare should begin as rare (Lin et al. 2017, on focal loss)."""
ACTIVATIONS: Mapping[Activation, Callable[[Array], Array]] = {
    "swish": jax.nn.swish,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
}


class Ensemble(eqx.Module):
    """Weights of E networks, and the bounds of the log-variance that they share.

    A deterministic network has D outputs instead of 2 D, and the bounds are without effect. One more output is the
    log-odds that a step ends the episode, where ``has_logit``.
    """

    weights: tuple[Float[Array, "E _ _"], ...]
    biases: tuple[Float[Array, "E 1 _"], ...]
    max_logvar: Float[Array, " D"]
    min_logvar: Float[Array, " D"]
    activation: Activation = eqx.field(static=True, default="swish")
    is_probabilistic: bool = eqx.field(static=True, default=True)
    has_learned_bounds: bool = eqx.field(static=True, default=True)
    has_logit: bool = eqx.field(static=True, default=False)
    matmul_precision: MatmulPrecision = eqx.field(static=True, default="float32")

    @property
    def num_targets(self) -> int:
        """D."""
        return self.max_logvar.shape[0]


class Normaliser(eqx.Module):
    """Mean and standard deviation of the model's inputs, and of rewards where these are learned."""

    mean: Float[Array, " I"]
    std: Float[Array, " I"]
    reward_mean: Float[Array, ""] | None = None
    reward_std: Float[Array, ""] | None = None


class Gaussian(NamedTuple):
    """A diagonal Gaussian: mean and log-variance of the same shape; the latter is -inf where there is no spread."""

    mean: Array
    logvar: Array


class Prediction(NamedTuple):
    """All that a network says of a step; ``logit``, without the last axis, is None where termination is not learned."""

    gaussian: Gaussian
    logit: Array | None


def init_ensemble(
    key: PRNGKeyArray, num_inputs: int, num_targets: int, shape: PetsShape, has_logit: bool = False
) -> Ensemble:
    """Truncated-normal weights of std 1 / (2 sqrt(fan in)) cut at two sigma, zero biases.

    That of the logit is ``INITIAL_LOGIT``: before there is data, nothing ends an episode.
    """
    num_outputs = (2 * num_targets if shape.is_probabilistic else num_targets) + has_logit
    sizes = (num_inputs, *(shape.width,) * shape.num_layers, num_outputs)
    weights, biases = [], []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        draw = random.truncated_normal(random.fold_in(key, layer), -2.0, 2.0, (shape.num_networks, fan_in, fan_out))
        weights.append(draw.astype(jnp.float32) / (2.0 * fan_in**0.5))
        biases.append(jnp.zeros((shape.num_networks, 1, fan_out), jnp.float32))
    if has_logit:
        biases[-1] = biases[-1].at[..., -1].set(INITIAL_LOGIT)
    return Ensemble(
        tuple(weights),
        tuple(biases),
        jnp.full((num_targets,), INITIAL_MAX_LOGVAR, jnp.float32),
        jnp.full((num_targets,), INITIAL_MIN_LOGVAR, jnp.float32),
        shape.activation,
        shape.is_probabilistic,
        shape.is_probabilistic and shape.logvar_bounds == "learned",
        has_logit,
        shape.matmul_precision,
    )


def networks(ensemble: Ensemble, which: slice | Int[Array, " E"]) -> Ensemble:
    """The ensemble of some of its networks, or of all in another order; the bounds they share stay."""
    some: Ensemble = eqx.tree_at(lambda e: (*e.weights, *e.biases), ensemble, replace_fn=lambda leaf: leaf[which])
    return some


def init_normaliser(num_inputs: int, learns_reward: bool = False) -> Normaliser:
    """Leaves inputs, and rewards, as they are."""
    inputs = (jnp.zeros((num_inputs,), jnp.float32), jnp.ones((num_inputs,), jnp.float32))
    rewards = (jnp.zeros((), jnp.float32), jnp.ones((), jnp.float32)) if learns_reward else (None, None)
    return Normaliser(*inputs, *rewards)


def fit_normaliser(
    rows: Any,
    present: Bool[Array, " N"],
    num_rows: Int[Array, ""] | int | None = None,
    inputs_of: Callable[[Any], Float[Array, "C I"]] = lambda rows: rows,
) -> Normaliser:
    """Mean and standard deviation of the inputs of the rows that are present (see ``row_folds.moments``).

    The standard deviation is 1 where there is none.
    """
    mean, std = moments(rows, present, num_rows, inputs_of)
    return Normaliser(mean, jnp.where(std < MIN_STD, 1.0, std))


def normalise(normaliser: Normaliser, inputs: Float[Array, "*B I"]) -> Float[Array, "*B I"]:
    """(inputs - mean) / std."""
    lead = (1,) * (inputs.ndim - 1)
    return (inputs - normaliser.mean.reshape(*lead, -1)) / normaliser.std.reshape(*lead, -1)


def predict(ensemble: Ensemble, inputs: Float[Array, "E B I"]) -> Gaussian:
    """Every network's Gaussian [E, B, D] for its own rows of normalised inputs."""
    return predict_all(ensemble, inputs).gaussian


def predict_all(ensemble: Ensemble, inputs: Float[Array, "E B I"]) -> Prediction:
    """The same, with the log-odds of termination [E, B]."""
    mean, raw, logit = _outputs(ensemble, inputs)
    if raw is None:
        return Prediction(Gaussian(mean, jnp.full_like(mean, -jnp.inf)), logit)
    return Prediction(Gaussian(mean, bound_logvar(raw, ensemble.max_logvar, ensemble.min_logvar)), logit)


def predict_spread(
    ensemble: Ensemble, inputs: Float[Array, "E B I"]
) -> tuple[Float[Array, "E B D"], Float[Array, "E B D"], Float[Array, "E B"] | None]:
    """Mean, standard deviation and log-odds of the same: what a draw takes, for less than a log-variance costs."""
    mean, raw, logit = _outputs(ensemble, inputs)
    if raw is None:
        return mean, jnp.zeros_like(mean), logit
    return mean, bounded_std(raw, ensemble.max_logvar, ensemble.min_logvar), logit


def _outputs(
    ensemble: Ensemble, inputs: Float[Array, "E B I"]
) -> tuple[Float[Array, "E B D"], Float[Array, "E B D"] | None, Float[Array, "E B"] | None]:
    """Mean, log-variance before it is bounded, and log-odds of termination; None for what the networks lack."""
    hidden, activate = inputs, ACTIVATIONS[ensemble.activation]
    for weight, bias in zip(ensemble.weights[:-1], ensemble.biases[:-1], strict=True):
        hidden = activate(dense(hidden, weight, bias, ensemble.matmul_precision))
    output = dense(hidden, ensemble.weights[-1], ensemble.biases[-1], ensemble.matmul_precision)
    output, logit = (output[..., :-1], output[..., -1]) if ensemble.has_logit else (output, None)
    mean, raw = jnp.split(output, 2, axis=-1) if ensemble.is_probabilistic else (output, None)
    return mean, raw, logit


def bound_logvar(raw: Float[Array, "E B D"], high: Float[Array, " D"], low: Float[Array, " D"]) -> Array:
    """Clamp softly on both sides (Chua et al. 2018, appendix A.1): an unbounded log-variance overflows off the data."""
    high, low = high[None, None], low[None, None]
    capped = high - jax.nn.softplus(high - raw)
    return low + jax.nn.softplus(capped - low)


def bounded_std(raw: Float[Array, "E B D"], high: Float[Array, " D"], low: Float[Array, " D"]) -> Array:
    """exp(``bound_logvar`` / 2), where the logarithms of both softplus cancel: their variance is
    e^low + 1 / (e^-high + e^-raw). Not to be differentiated: e^-raw may overflow, which is right only forwards.
    """
    high, low = high[None, None], low[None, None]
    return jnp.sqrt(jnp.exp(low) + 1.0 / (jnp.exp(-high) + jnp.exp(-raw)))


def fit_loss(
    ensemble: Ensemble,
    inputs: Float[Array, "E B I"],
    targets: Float[Array, "E B D"],
    present: Float[Array, " B"],
    weight_decay: Float[Array, ""],
    layer_decays: tuple[float, ...] = (),
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """What is minimised, summed over networks, and its data part averaged over networks.

    Per network the mean of ``row_losses`` over present rows, plus 0.01 (sum max - sum min) of the log-variance bounds
    and 0.5 decay |W|^2 of every layer, where decay is ``weight_decay`` times the layer's entry in ``layer_decays``.
    """
    if not ensemble.has_learned_bounds:
        ensemble = eqx.tree_at(lambda e: (e.max_logvar, e.min_logvar), ensemble, replace_fn=lax.stop_gradient)
    # [E, B]: padding rows count nothing, neither here nor in the gradient; they hold copies of real rows
    per_row = row_losses(ensemble, inputs, targets)
    total = jnp.sum(jnp.where(present[None] > 0, per_row, 0.0), axis=1) / jnp.maximum(jnp.sum(present), 1.0)
    bounds = LOGVAR_BOUND_WEIGHT * (jnp.sum(ensemble.max_logvar) - jnp.sum(ensemble.min_logvar))
    squares = [jnp.sum(jnp.square(weight)) for weight in ensemble.weights]
    if layer_decays:
        squares = [factor * square for factor, square in zip(layer_decays, squares, strict=True)]
    return jnp.sum(total) + bounds + 0.5 * weight_decay * sum(squares), jnp.mean(total)


def row_losses(
    ensemble: Ensemble, inputs: Float[Array, "E B I"], targets: Float[Array, "E B D"]
) -> Float[Array, "E B"]:
    """The data part of the loss of every row: the mean over dimensions of (mu - y)^2 exp(-logvar) + logvar (no 1/2,
    no log 2 pi, as in the released code of PETS), or of (mu - y)^2 if the networks are deterministic. Where
    termination is learned it is the last target, 0 or 1, and its cross-entropy counts as one more dimension.
    """
    (mean, logvar), logit = predict_all(ensemble, inputs)
    error = jnp.square(mean - targets[..., : ensemble.num_targets])
    losses = error * jnp.exp(-logvar) + logvar if ensemble.is_probabilistic else error
    if logit is not None:
        losses = jnp.concatenate([losses, cross_entropy(logit, targets[..., -1])[..., None]], axis=-1)
    return jnp.mean(losses, axis=-1)


def cross_entropy(logit: Float[Array, "*B"], is_true: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """-log of the probability that the log-odds give to what happened (1 or 0), in nats."""
    return jax.nn.softplus(logit) - is_true * logit


def negative_log_likelihood(prediction: Gaussian, targets: Array) -> Array:
    """The full Gaussian NLL per row, with its 1/2 and log 2 pi, summed over the last axis [D]."""
    squared = jnp.square(targets - prediction.mean) * jnp.exp(-prediction.logvar)
    return 0.5 * jnp.sum(squared + prediction.logvar + jnp.log(2 * jnp.pi).astype(jnp.float32), axis=-1)
