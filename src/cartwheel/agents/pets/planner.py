"""Planning by the cross-entropy method, in two variants of one loop: sample, score, refit to the elites.

``cem`` is the planner of PETS (Chua et al. 2018): white noise truncated at two sigma, a variance capped by the
distance to the action bounds, early stop on small variance. ``icem`` (Pinneri et al. 2020) draws noise that is
coloured over time, clips instead of truncating, shrinks the number of samples, and keeps elites between iterations
and environment steps. Plans live in units of half the action range: -1 is the lower bound and 1 the upper one.

Three numbers are sizes as well as hyperparameters (samples, iterations, horizon). Loops run to the ``PlanBounds`` of
the cohort and mask what a member does not use, random numbers are addressed by (iteration, chunk), so what a member
does depends on its own hypers only.

    S samples (padded)   C samples per chunk   H horizon (maximum)   A action dimensions
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jaxtyping import Float, Int, PRNGKeyArray

from cartwheel.agents.pets.hypers import CemHypers, HostArray, PetsShape, PlannerHypers, num_elites, samples_at

Objective: TypeAlias = Callable[[PRNGKeyArray], Callable[[Float[Array, "C H A"]], Float[Array, " C"]]]
"""Given the luck of an iteration, scores plans: higher is better, no finite number for a plan that must not win."""


class PlanBounds(NamedTuple):
    """Loop bounds that cover every member of a cohort; plain integers, never vectorised."""

    num_iterations: Int[Array, ""]
    num_chunks: Int[Array, " I"]
    horizon: Int[Array, ""]


class PlanState(NamedTuple):
    """What a planner remembers within an episode: its next plan, and the elites it keeps."""

    mean: Float[Array, "H A"]
    kept: Float[Array, "S H A"]
    num_kept: Int[Array, ""]


class _Search(NamedTuple):
    mean: Float[Array, "H A"]
    std: Float[Array, "H A"]
    kept: Float[Array, "S H A"]
    num_kept: Int[Array, ""]
    best: Float[Array, "H A"]
    best_score: Float[Array, ""]


_Sampler: TypeAlias = Callable[[PRNGKeyArray, _Search], Float[Array, "C H A"]]


def plan_bounds(hypers: PlannerHypers, shape: PetsShape) -> PlanBounds:
    """The bounds of a cohort from its hypers [P] (NumPy, on the host)."""
    used = np.stack(
        [
            np.where(i < np.asarray(hypers.num_iterations), samples_at(hypers, i, np), 0)
            for i in np.arange(shape.max_iterations, dtype=np.int32)
        ]
    )  # [I, P]
    return _bounds(
        np.max(hypers.num_iterations), -(-used.max(axis=1) // shape.sample_chunk), np.max(hypers.plan_horizon)
    )


def no_bounds(shape: PetsShape) -> PlanBounds:
    """Bounds under which nothing is planned: for cohorts that all act at random."""
    return _bounds(0, np.zeros(shape.max_iterations), 0)


def _bounds(*numbers: Any) -> PlanBounds:
    host: list[HostArray] = [np.asarray(number, np.int32) for number in numbers]
    return PlanBounds(*host)


def init_plan(shape: PetsShape, action_size: int) -> PlanState:
    """An empty memory: every episode begins with it."""
    kept = jnp.zeros((shape.padded_samples, shape.max_horizon, action_size), jnp.float32)
    return PlanState(jnp.zeros(kept.shape[1:], jnp.float32), kept, jnp.zeros((), jnp.int32))


def plan(
    objective: Objective,
    memory: PlanState,
    hypers: PlannerHypers,
    bounds: PlanBounds,
    shape: PetsShape,
    key: PRNGKeyArray,
) -> tuple[Float[Array, " A"], PlanState, Float[Array, ""]]:
    """The action [A] in [-1, 1] to execute now, the memory for the next step, and the score of the best sample.

    With ``executes="mean"`` the executed plan is the elites' mean, which is itself not scored.
    """
    std = jnp.full_like(memory.mean, 1.0) * hypers.initial_std
    search = _Search(memory.mean, std, memory.kept, memory.num_kept, memory.mean, jnp.asarray(-jnp.inf, jnp.float32))

    sample = _sampler(hypers, shape)

    def iterate(i: Array, search: _Search) -> _Search:
        is_active = i < hypers.num_iterations
        if isinstance(hypers, CemHypers):
            # behind the plan's own horizon nothing is scored, so nothing ever settles there
            is_used = (jnp.arange(search.std.shape[0]) < hypers.plan_horizon)[:, None]
            is_active &= jnp.max(jnp.where(is_used, jnp.square(search.std), 0.0)) > hypers.min_variance
        after = _iterate(objective, sample, search, hypers, bounds, i, random.fold_in(key, i))
        return _Search(*(jnp.where(is_active, new, old) for new, old in zip(after, search, strict=True)))

    search = lax.fori_loop(0, bounds.num_iterations, iterate, search)
    chosen = search.best if shape.executes == "best" else search.mean
    return jnp.clip(chosen[0], -1.0, 1.0), _remember(search, hypers), search.best_score


def _iterate(
    objective: Objective,
    sample: _Sampler,
    search: _Search,
    hypers: PlannerHypers,
    bounds: PlanBounds,
    i: Int[Array, ""],
    key: PRNGKeyArray,
) -> _Search:
    """Sample, score, refit."""
    sample_key, score_key = random.split(key)
    num_samples, score_of = samples_at(hypers, i), objective(score_key)

    def score_chunk(c: Array, pool: tuple[Array, Array]) -> tuple[Array, Array]:
        samples, scores = pool
        fresh = sample(random.fold_in(sample_key, c), search)
        size = fresh.shape[0]
        index = c * size + jnp.arange(size)
        fresh = _insert(fresh, index, search, hypers, i, num_samples)
        score = score_of(fresh)
        score = jnp.where((index < num_samples) & jnp.isfinite(score), score, -jnp.inf)
        return (
            lax.dynamic_update_slice_in_dim(samples, fresh, c * size, axis=0),
            lax.dynamic_update_slice_in_dim(scores, score, c * size, axis=0),
        )

    empty = (jnp.zeros_like(search.kept), jnp.full((search.kept.shape[0],), -jnp.inf, jnp.float32))
    samples, scores = lax.fori_loop(0, bounds.num_chunks[i], score_chunk, empty)
    return _refit(search, samples, scores, hypers)


def _sampler(hypers: PlannerHypers, shape: PetsShape) -> _Sampler:
    """Draws plans around a search's mean: truncated white noise for CEM, clipped coloured noise for iCEM."""
    size = shape.sample_chunk
    if isinstance(hypers, CemHypers):

        def truncated(key: PRNGKeyArray, search: _Search) -> Float[Array, "C H A"]:
            room = jnp.minimum(search.mean + 1.0, 1.0 - search.mean) / 2.0
            std = jnp.minimum(search.std, jnp.maximum(room, 0.0))
            noise = random.truncated_normal(key, -2.0, 2.0, (size, *std.shape), jnp.float32)
            return search.mean[None] + std[None] * noise

        return truncated
    colour = colour_matrix(hypers.noise_exponent, hypers.plan_horizon, shape.max_horizon)

    def coloured(key: PRNGKeyArray, search: _Search) -> Float[Array, "C H A"]:
        noise = random.normal(key, (size, *search.std.shape), jnp.float32)
        noise = jnp.einsum("cha,gh->cga", noise, colour)
        return jnp.clip(search.mean[None] + search.std[None] * noise, -1.0, 1.0)

    return coloured


def _insert(
    fresh: Float[Array, "C H A"],
    index: Int[Array, " C"],
    search: _Search,
    hypers: PlannerHypers,
    i: Int[Array, ""],
    num_samples: Int[Array, ""],
) -> Float[Array, "C H A"]:
    """iCEM: kept elites take the first places among the samples, in the last iteration the mean takes the last."""
    if isinstance(hypers, CemHypers):
        return fresh
    kept = lax.dynamic_slice_in_dim(search.kept, index[0], fresh.shape[0], axis=0)
    fresh = jnp.where((index < search.num_kept)[:, None, None], kept, fresh)
    is_mean = (index == num_samples - 1) & (i == hypers.num_iterations - 1)
    return jnp.where(is_mean[:, None, None], search.mean[None], fresh)


def _refit(
    search: _Search, samples: Float[Array, "S H A"], scores: Float[Array, " S"], hypers: PlannerHypers
) -> _Search:
    """Mean and spread of the elites, mixed with the old ones: new = alpha * old + (1 - alpha) * elites.

    CEM mixes variances, iCEM deviations, as their authors do. Plans scored -inf are never elites; if all are, mean
    and spread stay.
    """
    order = jnp.argsort(-scores, stable=True)
    is_elite = (jnp.arange(scores.shape[0]) < num_elites(hypers)) & jnp.isfinite(scores[order])
    ranked = samples[order]
    weight = is_elite.astype(jnp.float32)[:, None, None]
    count = jnp.maximum(jnp.sum(is_elite), 1).astype(jnp.float32)
    mean = jnp.sum(ranked * weight, axis=0) / count
    variance = jnp.sum(jnp.square(ranked - mean[None]) * weight, axis=0) / count
    alpha = hypers.alpha
    if isinstance(hypers, CemHypers):
        std = jnp.sqrt(alpha * jnp.square(search.std) + (1.0 - alpha) * variance)
        num_kept = search.num_kept
    else:
        std = alpha * search.std + (1.0 - alpha) * jnp.sqrt(variance)
        kept = jnp.floor(hypers.kept_elite_ratio * num_elites(hypers).astype(jnp.float32) + 1e-4)
        num_kept = jnp.minimum(kept.astype(jnp.int32), jnp.sum(is_elite).astype(jnp.int32))
    is_any = jnp.any(is_elite)
    is_better = scores[order[0]] > search.best_score
    return _Search(
        mean=jnp.where(is_any, alpha * search.mean + (1.0 - alpha) * mean, search.mean),
        std=jnp.where(is_any, std, search.std),
        kept=ranked,
        num_kept=num_kept,
        best=jnp.where(is_better, ranked[0], search.best),
        best_score=jnp.maximum(scores[order[0]], search.best_score),
    )


def _remember(search: _Search, hypers: PlannerHypers) -> PlanState:
    """Shift by the step that is executed. At the horizon's end CEM puts zeros, iCEM repeats the last action."""

    def shift(plans: Float[Array, "*S H A"]) -> Float[Array, "*S H A"]:
        moved = jnp.roll(plans, -1, axis=-2)
        is_past = (jnp.arange(plans.shape[-2]) >= hypers.plan_horizon - 1)[:, None]
        is_past = is_past.reshape((1,) * (plans.ndim - 2) + is_past.shape)
        last = lax.dynamic_index_in_dim(plans, hypers.plan_horizon - 1, axis=plans.ndim - 2, keepdims=True)
        return jnp.where(is_past, jnp.zeros_like(last) if isinstance(hypers, CemHypers) else last, moved)

    return PlanState(shift(search.mean), shift(search.kept), search.num_kept)


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
