"""The ensemble: predictions, bounds, loss and normaliser against plain NumPy in float64."""

import dataclasses
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from cartwheel.agents.pets import model
from cartwheel.agents.pets.hypers import Activation
from cartwheel.agents.pets.model import Ensemble, Gaussian, Normaliser
from hand_made import with_shape

RNG = np.random.default_rng(7)
NUM_INPUTS, D, B = 3, 2, 6


def made_up_ensemble(num_layers: int = 2) -> Ensemble:
    """Random weights, biases that are not zero, and bounds of the log-variance that bind."""
    ensemble = model.init_ensemble(jax.random.key(3), NUM_INPUTS, D, with_shape(num_layers=num_layers))
    biases = tuple(jnp.asarray(RNG.normal(0, 0.5, bias.shape), jnp.float32) for bias in ensemble.biases)
    return Ensemble(ensemble.weights, biases, jnp.asarray([0.4, 0.1], jnp.float32), jnp.asarray([-3, -1], jnp.float32))


def numpy_predict(ensemble: Ensemble, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log-variance of every network, one network after another, in float64."""
    means, logvars = [], []
    for e in range(inputs.shape[0]):
        hidden = inputs[e].astype(np.float64)
        for weight, bias in zip(ensemble.weights[:-1], ensemble.biases[:-1], strict=True):
            z = hidden @ np.float64(weight[e]) + np.float64(bias[e])
            hidden = z / (1.0 + np.exp(-z))
        out = hidden @ np.float64(ensemble.weights[-1][e]) + np.float64(ensemble.biases[-1][e])
        high, low = np.float64(ensemble.max_logvar), np.float64(ensemble.min_logvar)
        logvar = high - np.log1p(np.exp(high - out[:, D:]))
        means.append(out[:, :D])
        logvars.append(low + np.log1p(np.exp(logvar - low)))
    return np.stack(means), np.stack(logvars)


def numpy_loss(ensemble: Ensemble, inputs: np.ndarray, targets: np.ndarray, decay: float) -> float:
    """The released code's loss, written out."""
    mean, logvar = numpy_predict(ensemble, inputs)
    total = 0.0
    for e in range(inputs.shape[0]):
        total += np.mean((mean[e] - targets[e]) ** 2 * np.exp(-logvar[e])) + np.mean(logvar[e])
    total += 0.01 * (np.sum(np.float64(ensemble.max_logvar)) - np.sum(np.float64(ensemble.min_logvar)))
    return total + sum(0.5 * decay * np.sum(np.float64(weight) ** 2) for weight in ensemble.weights)


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(2, B, NUM_INPUTS)).astype(np.float32), RNG.normal(size=(2, B, D)).astype(np.float32)


def test_predictions_are_those_of_each_network_alone(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """Batched over networks, each row still goes through its own network only, swish between layers."""
    ensemble = made_up_ensemble()
    mean, logvar = jax.jit(model.predict)(ensemble, jnp.asarray(batch[0]))
    expected_mean, expected_logvar = numpy_predict(ensemble, batch[0])
    np.testing.assert_allclose(mean, expected_mean, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(logvar, expected_logvar, rtol=2e-5, atol=2e-6)


def test_initial_weights_are_truncated_normal() -> None:
    """Weights have the spread 1 / (2 sqrt(fan in)) of a normal cut at two sigma, biases are zero, networks differ."""
    fan_in, width = 50, 200
    ensemble = model.init_ensemble(jax.random.key(1), fan_in, D, with_shape(width=width))
    first = np.asarray(ensemble.weights[0])
    sigma = 1.0 / (2.0 * fan_in**0.5)
    assert np.abs(first).max() <= 2.0 * sigma * (1 + 1e-6)
    expected = scipy.stats.truncnorm(-2, 2, scale=sigma).std()
    # 20,000 draws: five standard errors, false alarm below 1e-5
    assert first.std() == pytest.approx(expected, rel=5 / (2 * first.size) ** 0.5)
    assert not any(np.any(bias) for bias in ensemble.biases)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("raw", [-3e38, -1e30, -50.0, 0.0, 50.0, 1e30, 3e38])
def test_log_variance_stays_within_its_bounds(raw: float) -> None:
    """However far off the data a network goes, its log-variance is finite, bounded, and has a finite slope."""
    high, low = jnp.asarray([0.5], jnp.float32), jnp.asarray([-10.0], jnp.float32)

    def bounded(raw: jax.Array) -> jax.Array:
        return model.bound_logvar(raw, high, low)[0, 0, 0]

    value, slope = jax.jit(jax.value_and_grad(bounded))(jnp.full((1, 1, 1), raw, jnp.float32))
    slack = np.log1p(np.exp(-10.5))  # softplus passes its knee by this
    assert -10.0 <= float(value) <= 0.5 + slack + 1e-5
    assert np.all(np.isfinite(slope))


def test_standard_deviation_is_that_of_the_bounded_log_variance() -> None:
    """In float64, and however far off the data a network goes."""
    raw = np.concatenate([np.linspace(-30.0, 20.0, 501), [-3e38, -1e30, -90.0, 90.0, 1e30, 3e38]]).astype(np.float32)
    high, low = np.float32(0.5), np.float32(-10.0)
    found = jax.jit(model.bounded_std)(jnp.asarray(raw)[None, :, None], jnp.full(1, high), jnp.full(1, low))
    capped = high - np.logaddexp(0.0, high - raw.astype(np.float64))
    expected = np.exp(0.5 * (low + np.logaddexp(0.0, capped - low)))
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_loss_is_the_released_codes(batch: tuple[np.ndarray, np.ndarray], decay: float) -> None:
    """Weighted squared error plus log-variance, the bounds' term and the decay of weights, summed over networks."""
    ensemble, (inputs, targets) = made_up_ensemble(), batch
    loss, data_loss = jax.jit(model.fit_loss)(
        ensemble, jnp.asarray(inputs), jnp.asarray(targets), jnp.ones(B, jnp.float32), jnp.float32(decay)
    )
    assert float(loss) == pytest.approx(numpy_loss(ensemble, inputs, targets, decay), rel=1e-5)
    bounds = 0.01 * float(jnp.sum(ensemble.max_logvar) - jnp.sum(ensemble.min_logvar))
    assert float(data_loss) == pytest.approx((numpy_loss(ensemble, inputs, targets, 0.0) - bounds) / 2, rel=1e-5)


def test_weight_decay_touches_weights_only(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """The gradient of the decay is decay * W; biases and log-variance bounds feel nothing."""
    ensemble, (inputs, targets) = made_up_ensemble(), map(jnp.asarray, batch)

    def slope(decay: float) -> Ensemble:
        def loss(ensemble: Ensemble) -> jax.Array:
            return model.fit_loss(ensemble, inputs, targets, jnp.ones(B, jnp.float32), jnp.float32(decay))[0]

        return jax.jit(jax.grad(loss))(ensemble)

    without, with_decay = slope(0.0), slope(0.25)
    for weight, a, b in zip(ensemble.weights, without.weights, with_decay.weights, strict=True):
        np.testing.assert_allclose(np.asarray(b) - np.asarray(a), 0.25 * np.asarray(weight), atol=1e-5)
    for a, b in zip(without.biases, with_decay.biases, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(without.max_logvar, with_decay.max_logvar, atol=1e-6)


def test_padding_rows_count_nothing(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """A batch of four rows and two of padding has the loss and the gradient of the four rows."""
    ensemble, (inputs, targets) = made_up_ensemble(), batch
    garbage, off = inputs.copy(), targets.copy()
    garbage[:, 4:], off[:, 4:] = 30.0, -500.0

    def value_and_slope(inputs: np.ndarray, targets: np.ndarray, present: list[float]) -> tuple[jax.Array, Ensemble]:
        def loss(ensemble: Ensemble) -> jax.Array:
            rows = jnp.asarray(inputs), jnp.asarray(targets), jnp.asarray(present, jnp.float32)
            return model.fit_loss(ensemble, *rows, jnp.float32(0.1))[0]

        return jax.jit(jax.value_and_grad(loss))(ensemble)

    padded = value_and_slope(garbage, off, [1, 1, 1, 1, 0, 0])
    plain = value_and_slope(inputs[:, :4], targets[:, :4], [1, 1, 1, 1])
    for a, b in zip(jax.tree.leaves(padded), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_negative_log_likelihood_is_scipys() -> None:
    """The reported likelihood is that of a normal distribution, 1/2 and log 2 pi included."""
    mean, logvar, y = (RNG.normal(size=(5, D)).astype(np.float32) for _ in range(3))
    expected = -scipy.stats.norm(mean, np.exp(0.5 * logvar)).logpdf(y).sum(axis=-1)
    found = model.negative_log_likelihood(Gaussian(jnp.asarray(mean), jnp.asarray(logvar)), jnp.asarray(y))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def fitted(rows: np.ndarray, num_rows: int) -> Normaliser:
    return jax.jit(model.fit_normaliser)(jnp.asarray(rows, jnp.float32), jnp.arange(len(rows)) < num_rows)


def test_normaliser_is_the_mean_and_spread_of_the_real_rows() -> None:
    """Rows behind the real ones count nothing, whatever they hold."""
    rows = RNG.normal(3.0, 2.0, (40, NUM_INPUTS)).astype(np.float32)
    rows[25:] = np.nan
    found = fitted(rows, 25)
    np.testing.assert_allclose(found.mean, rows[:25].mean(axis=0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(found.std, rows[:25].std(axis=0, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, -0.7, 1e-3, 123.456, 1e6])
@pytest.mark.parametrize("num_rows", [1, 7, 2999])
def test_a_constant_input_is_shifted_not_scaled(value: float, num_rows: int) -> None:
    """A dimension that never moves (a goal, say) has spread exactly zero, so its scale is 1: no rounding noise."""
    found = fitted(np.full((3000, 1), value), num_rows)
    assert float(found.std[0]) == 1.0
    assert float(found.mean[0]) == np.float32(value)


def test_normaliser_keeps_its_digits_at_large_offsets() -> None:
    """An input of spread 1 around 100,000 is standardised as well as float32 rows allow."""
    rows = (1e5 + RNG.normal(size=(4000, 1))).astype(np.float32)
    found = fitted(rows, 4000)
    assert float(found.std[0]) == pytest.approx(rows.std(dtype=np.float64), rel=1e-5)
    standardised = np.asarray(model.normalise(found, jnp.asarray(rows)))
    assert abs(standardised.mean(dtype=np.float64)) < 0.01
    assert standardised.std(dtype=np.float64) == pytest.approx(1.0, rel=1e-4)


def test_fresh_normaliser_changes_nothing() -> None:
    """Before the first fit, inputs pass unchanged."""
    rows = jnp.asarray(RNG.normal(size=(4, NUM_INPUTS)), jnp.float32)
    assert np.array_equal(model.normalise(model.init_normaliser(NUM_INPUTS), rows), rows)


FORMULAS = {
    "swish": lambda z: z / (1.0 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
}


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_is_its_formula(activation: Activation) -> None:
    """One network of one hidden layer, deterministic, written out; it has no spread."""
    shape = with_shape(num_networks=1, num_particles=1, activation=activation, is_probabilistic=False)
    ensemble = model.init_ensemble(jax.random.key(3), NUM_INPUTS, D, shape)
    rows = RNG.normal(0.0, 3.0, (B, NUM_INPUTS)).astype(np.float32)
    mean, logvar = model.predict(ensemble, jnp.asarray(rows)[None])
    hidden = FORMULAS[activation](rows @ np.float64(ensemble.weights[0][0]))
    np.testing.assert_allclose(mean[0], hidden @ np.float64(ensemble.weights[1][0]), rtol=1e-4, atol=1e-6)
    assert np.array_equal(np.exp(logvar), np.zeros((1, B, D)))


def loss_slope(ensemble: Ensemble, batch: tuple[np.ndarray, np.ndarray], *decays: Any) -> tuple[float, Ensemble]:
    """The data part of the loss, and the gradient of the loss."""

    def loss(ensemble: Ensemble) -> tuple[jax.Array, jax.Array]:
        return model.fit_loss(ensemble, *map(jnp.asarray, batch), jnp.ones(B, jnp.float32), *decays)

    slope, data_loss = jax.jit(jax.grad(loss, has_aux=True))(ensemble)
    return float(data_loss), slope


def test_deterministic_networks_minimise_the_squared_error(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """The loss is the mean squared error, and the bounds of a log-variance that there is not feel nothing."""
    ensemble = model.init_ensemble(jax.random.key(3), NUM_INPUTS, D, with_shape(is_probabilistic=False))
    loss, slope = loss_slope(ensemble, batch, jnp.float32(0.0))
    errors = np.asarray(model.predict(ensemble, jnp.asarray(batch[0])).mean) - batch[1]
    assert loss == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert not np.any(slope.max_logvar)
    assert all(np.any(weight) for weight in slope.weights)


def test_fixed_bounds_feel_nothing(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """Learned bounds have a slope; fixed ones have none, and the weights' slope is the same."""
    learned = made_up_ensemble()
    fixed = dataclasses.replace(learned, has_learned_bounds=False)
    (_, free), (_, held) = (loss_slope(one, batch, jnp.float32(0.1)) for one in (learned, fixed))
    assert np.all(free.max_logvar)
    assert np.all(free.min_logvar)
    assert not np.any(held.max_logvar)
    assert not np.any(held.min_logvar)
    for a, b in zip(free.weights, held.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_every_layer_has_its_decay(batch: tuple[np.ndarray, np.ndarray]) -> None:
    """The gradient of the decay is decay * factor * W, each layer with its own factor."""
    ensemble, factors = made_up_ensemble(), (1.0, 0.0, 4.0)
    (_, without), (_, decayed) = (loss_slope(ensemble, batch, jnp.float32(decay), factors) for decay in (0.0, 0.25))
    for factor, weight, a, b in zip(factors, ensemble.weights, without.weights, decayed.weights, strict=True):
        np.testing.assert_allclose(np.asarray(b) - np.asarray(a), 0.25 * factor * np.asarray(weight), atol=1e-5)


def test_networks_are_chosen_with_all_their_layers() -> None:
    """Networks in another order predict in that order."""
    ensemble, rows = made_up_ensemble(), jnp.asarray(RNG.normal(size=(2, B, NUM_INPUTS)), jnp.float32)
    turned = model.networks(ensemble, jnp.asarray([1, 0]))
    for a, b in zip(model.predict(turned, rows[::-1]), model.predict(ensemble, rows), strict=True):
        np.testing.assert_allclose(a[::-1], b, rtol=1e-6)
    assert model.networks(ensemble, slice(1)).weights[0].shape[0] == 1
