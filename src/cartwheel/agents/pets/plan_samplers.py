"""How planners draw plans: truncated or clipped noise around a mean, white or coloured over time, or uniform.

A sampler is made from a planner's hypers and shape and draws a chunk of plans at a time. Random numbers are drawn step
by step of the horizon, so that none depends on the maximum of a program.

    C samples per chunk   H horizon (maximum)   A action dimensions
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from cartwheel.agents.pets.hypers import (
    CemHypers,
    IcemHypers,
    MppiHypers,
    PetsShape,
    RandomShootingHypers,
    num_elites,
)
from cartwheel.agents.pets.plan_search import Search

_NUM_SIGMAS = 2.0
"""Where CEM truncates (Chua et al. 2018)."""


class Turn(NamedTuple):
    """Which samples are being drawn: their places in the iteration, of how many, and of which iteration."""

    place: Int[Array, " C"]
    num_samples: Int[Array, ""]
    is_first: Bool[Array, ""]
    is_last: Bool[Array, ""]


Plans: TypeAlias = Float[Array, "C H A"]
Sampler: TypeAlias = Callable[[PRNGKeyArray, Search, Turn], Plans]


def cem_sampler(_: CemHypers, shape: PetsShape) -> Sampler:
    """White noise. Truncated (Chua et al. 2018): at two sigma, sigma at most half the distance to the nearer bound."""

    def truncated(key: PRNGKeyArray, search: Search, turn: Turn) -> Plans:
        room = jnp.minimum(search.mean + 1.0, 1.0 - search.mean) / _NUM_SIGMAS
        std = jnp.minimum(search.std, jnp.maximum(room, 0.0))
        draw = functools.partial(random.truncated_normal, key, -_NUM_SIGMAS, _NUM_SIGMAS, dtype=jnp.float32)
        noise = _by_step(draw, shape, search)
        return search.mean[None] + std[None] * noise

    def clipped(key: PRNGKeyArray, search: Search, turn: Turn) -> Plans:
        return _clipped(search, _normal(key, shape, search))

    return truncated if shape.sampling == "truncated" else clipped


def icem_sampler(hypers: IcemHypers, shape: PetsShape) -> Sampler:
    """Coloured noise, clipped; elites take the first places, in the last iteration the mean the last (Pinneri et al.).

    The elites are the last env step's in the first iteration, and the last iteration's in the others.
    """
    colour = colour_matrix(hypers.noise_exponent, hypers.plan_horizon, shape.max_horizon)

    def sample(key: PRNGKeyArray, search: Search, turn: Turn) -> Plans:
        fresh = _clipped(search, _through(colour, _normal(key, shape, search)))
        ratio = jnp.where(turn.is_first, hypers.shifted_elite_ratio, hypers.kept_elite_ratio)
        # the small constant undoes float32's 0.3 * 10 = 2.9999999
        wanted = jnp.floor(ratio * num_elites(hypers).astype(jnp.float32) + 1e-4).astype(jnp.int32)
        elites = lax.dynamic_slice_in_dim(search.elites, turn.place[0], fresh.shape[0], axis=0)
        is_elite = turn.place < jnp.minimum(wanted, search.num_elites)
        plans = jnp.where(is_elite[:, None, None], elites, fresh)
        if shape.last_sample == "random":
            return plans
        is_mean = turn.is_last & (turn.place == turn.num_samples - 1)
        return jnp.where(is_mean[:, None, None], search.mean[None], plans)

    return sample


def mppi_sampler(hypers: MppiHypers, shape: PetsShape) -> Sampler:
    """Smoothed noise, clipped (Nagabandi et al. 2019)."""
    smooth = smoothing_matrix(hypers.noise_smoothing, shape.max_horizon)
    return lambda key, search, turn: _clipped(search, _through(smooth, _normal(key, shape, search)))


def uniform_sampler(_: RandomShootingHypers, shape: PetsShape) -> Sampler:
    """Every action anywhere between its bounds."""

    def sample(key: PRNGKeyArray, search: Search, turn: Turn) -> Plans:
        return _by_step(lambda size: random.uniform(key, size, jnp.float32, -1.0, 1.0), shape, search)

    return sample


def _normal(key: PRNGKeyArray, shape: PetsShape, search: Search) -> Plans:
    return _by_step(lambda size: random.normal(key, size, jnp.float32), shape, search)


def _by_step(draw: Callable[[tuple[int, int, int]], Float[Array, "H C A"]], shape: PetsShape, search: Search) -> Plans:
    """JAX's bits are prefix-stable along the first axis: that is the horizon, and is turned into its place."""
    max_horizon, num_actions = search.mean.shape
    return jnp.swapaxes(draw((max_horizon, shape.sample_chunk, num_actions)), 0, 1)


def _through(matrix: Float[Array, "H H"], white: Plans) -> Plans:
    return jnp.einsum("cha,gh->cga", white, matrix, precision="highest")


def _clipped(search: Search, noise: Plans) -> Plans:
    return jnp.clip(search.mean[None] + search.std[None] * noise, -1.0, 1.0)


def colour_matrix(exponent: Float[Array, ""], horizon: Int[Array, ""], size: int) -> Float[Array, "H H"]:
    """M such that M @ white noise has power 1/frequency^exponent over the first ``horizon`` steps, 0 behind them.

    A real Fourier basis, one wave a column, scaled per frequency (Timmer & Koenig 1995); the constant has the power of
    the lowest frequency. Every step of the noise has unit variance.
    """
    t, column = jnp.arange(size)[:, None], jnp.arange(size)[None]
    cycles = (column + 1) // 2  # 0, 1, 1, 2, 2, ...: a cosine and a sine each
    angle = (t * cycles % horizon).astype(jnp.float32) * (2.0 * jnp.pi / horizon.astype(jnp.float32))
    wave = jnp.where((column == 0) | (column % 2 == 1), jnp.cos(angle), jnp.sin(angle))
    is_wave = column < horizon
    power = jnp.where(is_wave, jnp.maximum(cycles, 1).astype(jnp.float32) ** -exponent, 0.0)
    # cosine and sine share the power of their frequency; the constant and the fastest cosine have no sine
    share = jnp.where((column == 0) | (2 * cycles == horizon), 1.0, 2.0) * power / jnp.sum(power)
    return jnp.where(is_wave & (t < horizon), wave * jnp.sqrt(share), 0.0)


def smoothing_matrix(smoothing: Float[Array, ""], size: int) -> Float[Array, "H H"]:
    """M such that M @ white noise u is the filter n_t = (1 - smoothing) u_t + smoothing n_(t-1), n = 0 before.

    Scaled so that every step has unit variance, which the published filter has not: there, a smoother noise is also a
    smaller one.
    """
    age = jnp.arange(size)[:, None] - jnp.arange(size)[None]
    weight = jnp.where(age >= 0, smoothing ** jnp.maximum(age, 0).astype(jnp.float32), 0.0)
    return weight / jnp.sqrt(jnp.sum(jnp.square(weight), axis=1, keepdims=True))
