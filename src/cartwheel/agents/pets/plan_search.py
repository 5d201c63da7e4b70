"""What a planner knows: within the search for one env step's plan, and from one env step to the next.

S samples (padded)   H horizon (maximum)   A action dimensions
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from cartwheel.agents.pets.hypers import CemHypers, IcemHypers, MppiHypers, PetsShape, RandomShootingHypers


class PlanState(NamedTuple):
    """What a planner remembers within an episode: its next plan, and the last elites, of which there are S or none."""

    mean: Float[Array, "H A"]
    elites: Float[Array, "S H A"]
    num_elites: Int[Array, ""]


class Search(NamedTuple):
    """What is known after some iterations: the statistic to sample from, the last elites, and the best plan so far."""

    mean: Float[Array, "H A"]
    std: Float[Array, "H A"]
    elites: Float[Array, "S H A"]
    num_elites: Int[Array, ""]
    best: Float[Array, "H A"]
    best_score: Float[Array, ""]


def init_plan(shape: PetsShape, action_size: int) -> PlanState:
    """An empty memory: every episode begins with it. Only iCEM has room for elites."""
    num_places = shape.padded_samples if shape.planner == "icem" else 0
    mean = jnp.zeros((shape.max_horizon, action_size), jnp.float32)
    return PlanState(mean, jnp.zeros((num_places, *mean.shape), jnp.float32), jnp.zeros((), jnp.int32))


def begin_warm(memory: PlanState, hypers: CemHypers | IcemHypers | MppiHypers) -> Search:
    """Begin with a share of the remembered plan, and wide again."""
    mean = hypers.warm_start_fraction * memory.mean
    return _begin(memory, mean, hypers.initial_std * jnp.ones_like(mean))


def begin_cold(memory: PlanState, _: RandomShootingHypers) -> Search:
    """Begin with nothing."""
    return _begin(memory, jnp.zeros_like(memory.mean), jnp.ones_like(memory.mean))


def _begin(memory: PlanState, mean: Float[Array, "H A"], std: Float[Array, "H A"]) -> Search:
    return Search(mean, std, memory.elites, memory.num_elites, mean, jnp.asarray(-jnp.inf, jnp.float32))


def remember(search: Search, hypers: CemHypers | IcemHypers | MppiHypers) -> PlanState:
    """Shift by the step that is executed; behind the horizon's end comes a share of the last action."""

    def shift(plans: Float[Array, "*S H A"]) -> Float[Array, "*S H A"]:
        moved = jnp.roll(plans, -1, axis=-2)
        is_past = (jnp.arange(plans.shape[-2]) >= hypers.plan_horizon - 1)[:, None]
        is_past = is_past.reshape((1,) * (plans.ndim - 2) + is_past.shape)
        last = lax.dynamic_index_in_dim(plans, hypers.plan_horizon - 1, axis=plans.ndim - 2, keepdims=True)
        return jnp.where(is_past, hypers.tail_fraction * last, moved)

    return PlanState(shift(search.mean), shift(search.elites), search.num_elites)


def forget(search: Search, _: RandomShootingHypers) -> PlanState:
    """An empty memory."""
    return PlanState(jnp.zeros_like(search.mean), search.elites, search.num_elites)
