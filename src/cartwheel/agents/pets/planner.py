"""Planning by sampling: sample plans, score them, update what to sample from, execute. Four planners in one loop.

``cem`` is the planner of PETS (Chua et al. 2018): refit to the elites, white noise, a plan remembered from step to
step. ``icem`` (Pinneri et al. 2020) draws noise that is coloured over time, shrinks the number of samples, and keeps
elites between iterations and environment steps. ``mppi`` (Williams et al. 2017; Nagabandi et al. 2019) moves to the
mean of all samples, weighted by how good they are. ``random-shooting`` takes the best of uniform samples. They differ
in the five small functions of a ``Method``. Plans live in units of half the action range: -1 is the lower bound and 1
the upper one.

With ``spreads_plans``, several devices run one program (``jax.shard_map`` over the axis ``DEVICES``): each scores
every so many chunks of samples, then all know all scores. Everything else they do alike.

Three numbers are sizes as well as hyperparameters (samples, iterations, horizon). Loops run to the ``PlanBounds`` of
the cohort and mask what a member does not use, random numbers are addressed by (iteration, chunk, step), so what a
member does depends on its own hypers only.

    S samples (padded)   C samples per chunk   H horizon (maximum)   A action dimensions
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from cartwheel.agents.pets import plan_samplers as samplers
from cartwheel.agents.pets import plan_search as searches
from cartwheel.agents.pets import plan_updates as updates
from cartwheel.agents.pets.hypers import CemHypers, HostArray, PetsShape, PlannerHypers, PlannerName, samples_at
from cartwheel.agents.pets.plan_samplers import Sampler, Turn
from cartwheel.agents.pets.plan_search import PlanState, Search
from cartwheel.agents.pets.plan_updates import Ranked

Objective: TypeAlias = Callable[[PRNGKeyArray], Callable[[Float[Array, "C H A"]], Float[Array, " C"]]]
"""Given the luck of an iteration, scores plans: higher is better, no finite number for a plan that must not win."""


DEVICES = "devices"
"""The mesh axis over which chunks of samples are spread."""


class PlanBounds(NamedTuple):
    """Loop bounds that cover every member of a cohort; plain integers, never vectorised."""

    num_iterations: Int[Array, ""]
    num_chunks: Int[Array, " I"]
    horizon: Int[Array, ""]


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


class Method(NamedTuple):
    """What makes a planner; all functions take its own hypers."""

    begin: Callable[[PlanState, Any], Search]
    sampler: Callable[[Any, PetsShape], Sampler]
    update: Callable[[Search, Ranked, Any, PetsShape], Search]
    remember: Callable[[Search, Any], PlanState]
    is_settled: Callable[[Search, Any], Bool[Array, ""]]


def _has_small_variance(search: Search, hypers: CemHypers) -> Bool[Array, ""]:
    # behind the plan's own horizon nothing is scored, so nothing ever settles there
    is_used = (jnp.arange(search.std.shape[0]) < hypers.plan_horizon)[:, None]
    return jnp.max(jnp.where(is_used, jnp.square(search.std), 0.0)) <= hypers.min_variance


def _never(search: Search, hypers: PlannerHypers) -> Bool[Array, ""]:
    return jnp.zeros((), bool)


METHODS: Mapping[PlannerName, Method] = {
    "cem": Method(
        searches.begin_warm, samplers.cem_sampler, updates.update_cem, searches.remember, _has_small_variance
    ),
    "icem": Method(searches.begin_warm, samplers.icem_sampler, updates.update_icem, searches.remember, _never),
    "mppi": Method(searches.begin_warm, samplers.mppi_sampler, updates.update_mppi, searches.remember, _never),
    "random-shooting": Method(
        searches.begin_cold, samplers.uniform_sampler, updates.update_to_best, searches.forget, _never
    ),
}


def plan(
    objective: Objective,
    memory: PlanState,
    hypers: PlannerHypers,
    bounds: PlanBounds,
    shape: PetsShape,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "H A"], PlanState, Float[Array, ""]]:
    """The plan [H, A] in [-1, 1] whose first action is executed, the next step's memory, the best sample's score.

    With ``executes="mean"`` the executed plan is the statistic's mean, which is itself not scored.
    """
    method = METHODS[shape.planner]
    sample = method.sampler(hypers, shape)

    def iterate(i: Array, search: Search) -> Search:
        sample_key, luck_key = random.split(random.fold_in(key, i))

        def draw(c: Array) -> tuple[Array, Array]:
            place = c * shape.sample_chunk + jnp.arange(shape.sample_chunk)
            turn = Turn(place, samples_at(hypers, i), i == 0, i == hypers.num_iterations - 1)
            return place < turn.num_samples, sample(random.fold_in(sample_key, c), search, turn)

        ranked = _ranked(draw, objective(luck_key), bounds.num_chunks[i], search.mean, shape)
        after = _learned(search, ranked, method.update(search, ranked, hypers, shape))
        is_active = (i < hypers.num_iterations) & ~method.is_settled(search, hypers)
        return Search(*(jnp.where(is_active, new, old) for new, old in zip(after, search, strict=True)))

    search = lax.fori_loop(0, bounds.num_iterations, iterate, method.begin(memory, hypers))
    chosen = search.best if shape.executes == "best" else search.mean
    return jnp.clip(chosen, -1.0, 1.0), method.remember(search, hypers), search.best_score


def _ranked(
    draw: Callable[[Array], tuple[Bool[Array, " C"], Float[Array, "C H A"]]],
    score_of: Callable[[Float[Array, "C H A"]], Float[Array, " C"]],
    num_chunks: Int[Array, ""],
    like: Float[Array, "H A"],
    shape: PetsShape,
) -> Ranked:
    """Sample and score chunk by chunk, then rank; what is not sampled or has no finite score gets -inf."""
    num_devices, device = (lax.axis_size(DEVICES), lax.axis_index(DEVICES)) if shape.spreads_plans else (1, 0)

    def score_chunk(own: Array, pool: Ranked) -> Ranked:
        is_sampled, fresh = draw(own * num_devices + device)
        score = score_of(fresh)
        score = jnp.where(is_sampled & jnp.isfinite(score), score, -jnp.inf)
        return Ranked(
            lax.dynamic_update_slice_in_dim(pool.plans, fresh, own * shape.sample_chunk, axis=0),
            lax.dynamic_update_slice_in_dim(pool.scores, score, own * shape.sample_chunk, axis=0),
        )

    size = -(-shape.padded_samples // (shape.sample_chunk * num_devices)) * shape.sample_chunk
    empty = Ranked(jnp.zeros((size, *like.shape), jnp.float32), jnp.full((size,), -jnp.inf, jnp.float32))
    pool = lax.fori_loop(0, -(-num_chunks // num_devices), score_chunk, empty)
    if shape.spreads_plans:
        pool = Ranked(*(_gathered(own, shape) for own in pool))
    order = jnp.argsort(-pool.scores, stable=True)
    return Ranked(pool.plans[order], pool.scores[order])


def _gathered(own: Array, shape: PetsShape) -> Array:
    """What all devices have of their samples, in the order of one that did everything: their chunks in turn."""
    chunks = own.reshape(-1, shape.sample_chunk, *own.shape[1:])
    everyone = lax.all_gather(chunks, DEVICES, axis=1)  # [chunk of a device, device, C, ...]
    whole: Array = everyone.reshape(-1, *own.shape[1:])[: shape.padded_samples]
    return whole


def _learned(search: Search, ranked: Ranked, after: Search) -> Search:
    """The updated search and the best plan so far. If no plan has a finite score, mean and spread stay."""
    is_any = jnp.isfinite(ranked.scores[0])
    is_better = ranked.scores[0] > search.best_score
    return after._replace(
        mean=jnp.where(is_any, after.mean, search.mean),
        std=jnp.where(is_any, after.std, search.std),
        best=jnp.where(is_better, ranked.plans[0], search.best),
        best_score=jnp.maximum(ranked.scores[0], search.best_score),
    )
