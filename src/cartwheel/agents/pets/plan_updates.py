"""What planners learn from scored plans: a new mean and spread to sample from.

Plans come ranked, the best first. Those that must not count (no finite score, or not sampled at all) score -inf and
come last; where all do, the planner's loop keeps the old mean and spread.

    S samples (padded)   H horizon (maximum)   A action dimensions
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float

from cartwheel.agents.pets.hypers import (
    CemHypers,
    IcemHypers,
    MppiHypers,
    PetsShape,
    RandomShootingHypers,
    num_elites,
)
from cartwheel.agents.pets.plan_search import Search

_TINY, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""In place of a zero that is divided by, and of a difference that no float32 can hold."""


class Ranked(NamedTuple):
    """Plans and their scores, the best first."""

    plans: Float[Array, "S H A"]
    scores: Float[Array, " S"]


def update_cem(search: Search, ranked: Ranked, hypers: CemHypers, _: PetsShape) -> Search:
    """Elites' mean and variance, mixed with the old: new = alpha * old + (1 - alpha) * elites (Chua et al. 2018)."""
    mean, variance = _moments(ranked, _is_elite(ranked, hypers))
    alpha = hypers.alpha
    return search._replace(
        mean=alpha * search.mean + (1.0 - alpha) * mean,
        std=jnp.sqrt(alpha * jnp.square(search.std) + (1.0 - alpha) * variance),
    )


def update_icem(search: Search, ranked: Ranked, hypers: IcemHypers, _: PetsShape) -> Search:
    """The same with deviations in place of variances, and the elites are kept (Pinneri et al. 2020)."""
    is_elite = _is_elite(ranked, hypers)
    mean, variance = _moments(ranked, is_elite)
    alpha = hypers.alpha
    return search._replace(
        mean=alpha * search.mean + (1.0 - alpha) * mean,
        std=alpha * search.std + (1.0 - alpha) * jnp.sqrt(variance),
        elites=ranked.plans,
        num_elites=jnp.sum(is_elite).astype(jnp.int32),
    )


def update_mppi(search: Search, ranked: Ranked, hypers: MppiHypers, shape: PetsShape) -> Search:
    """The mean of all plans, weighted by exp((score - best) / (temperature * unit)) (Williams et al. 2017).

    The unit is the lead of the best plan over the median one, so the median plan weighs exp(-1 / temperature): one
    temperature means the same on every task. With ``temperature_unit="return"`` it is 1, as published. The spread
    stays. The published cost of controls is left out, as by Nagabandi et al. 2019: rewards pay for actions here.
    """
    is_counted = jnp.isfinite(ranked.scores)
    behind = jnp.where(is_counted, jnp.maximum(ranked.scores - ranked.scores[0], -_LARGEST), 0.0)  # <= 0
    median = lax.dynamic_index_in_dim(behind, jnp.sum(is_counted) // 2, keepdims=False)
    scale = hypers.temperature * (-median if shape.temperature_unit == "spread" else 1.0)
    weight = jnp.where(is_counted, jnp.exp(behind / jnp.maximum(scale, _TINY)), 0.0)
    # the best plan weighs 1, so the sum is at least 1 wherever it matters
    mean = jnp.einsum("s,sha->ha", weight, ranked.plans, precision="highest") / jnp.maximum(jnp.sum(weight), 1.0)
    return search._replace(mean=hypers.alpha * search.mean + (1.0 - hypers.alpha) * mean)


def update_to_best(search: Search, ranked: Ranked, _: RandomShootingHypers, __: PetsShape) -> Search:
    """The best sample stands for all."""
    return search._replace(mean=ranked.plans[0])


def _is_elite(ranked: Ranked, hypers: CemHypers | IcemHypers) -> Bool[Array, " S"]:
    return (jnp.arange(ranked.scores.shape[0]) < num_elites(hypers)) & jnp.isfinite(ranked.scores)


def _moments(ranked: Ranked, is_elite: Bool[Array, " S"]) -> tuple[Float[Array, "H A"], Float[Array, "H A"]]:
    """Mean and variance of the elites."""
    weight = is_elite.astype(jnp.float32)[:, None, None]
    count = jnp.maximum(jnp.sum(is_elite), 1).astype(jnp.float32)
    mean = jnp.sum(ranked.plans * weight, axis=0) / count
    return mean, jnp.sum(jnp.square(ranked.plans - mean[None]) * weight, axis=0) / count
