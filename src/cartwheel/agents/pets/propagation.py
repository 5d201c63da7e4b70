"""Rolling plans out in the model: trajectory sampling with particles (Chua et al. 2018, section 5).

Every plan sample carries K particles. Under ``tsinf`` a particle keeps one network for the whole plan and each
network has K/E particles *of every plan sample*; under ``ts1`` the particles of each plan sample are dealt anew to
the networks at every step, still K/E each; under ``e`` there is one particle, moved by the mean of the networks' means,
without noise. The noise of trajectory sampling is drawn per particle and step and shared by all plan samples
(common random numbers): plans are compared under the same luck, and it costs next to nothing.

    S plan samples   K particles   E networks   H plan horizon   O observation   A action   D target dimensions
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Float, Int, PRNGKeyArray

from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import Ensemble, Normaliser, normalise, predict
from cartwheel.envs.tasks import Task


class World(NamedTuple):
    """A fitted model and what its predictions mean."""

    ensemble: Ensemble
    normaliser: Normaliser


def particles_per_sample(shape: PetsShape) -> int:
    """K, which is 1 under ``e``."""
    return 1 if shape.propagation == "e" else shape.num_particles


def plan_returns(
    task: Task,
    shape: PetsShape,
    world: World,
    obs: Float[Array, " O"],
    actions: Float[Array, "S H A"],
    horizon: Int[Array, ""],
    horizon_bound: Int[Array, ""],
    key: PRNGKeyArray,
) -> Float[Array, " S"]:
    """Mean over particles of the imagined return of each plan over its first ``horizon`` steps.

    ``horizon_bound`` >= ``horizon`` is how many steps the loop takes (one number for a whole cohort, so that it stays
    a plain loop when vectorised). A particle earns nothing after a step that the task says ends the episode. A plan
    with any particle that is not finite returns -inf.
    """
    num_samples, num_particles = actions.shape[0], particles_per_sample(shape)
    states = jnp.broadcast_to(obs[None, None], (num_samples, num_particles, obs.shape[0]))
    alive = jnp.ones((num_samples, num_particles), bool)
    returns = jnp.zeros((num_samples, num_particles), jnp.float32)
    reward_of = jax.vmap(jax.vmap(task.imagined_reward))
    terminated = jax.vmap(jax.vmap(task.terminated))

    def step(t: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        states, alive, returns = carry
        action = lax.dynamic_index_in_dim(actions, t, axis=1, keepdims=False)  # [S, A]
        action = jnp.broadcast_to(action[:, None], (num_samples, num_particles, action.shape[-1]))
        next_states = imagine(task, shape, world, states, action, random.fold_in(key, t))
        reward = jnp.where(alive & (t < horizon), reward_of(states, action, next_states), 0.0)
        if task.has_termination:
            alive = alive & ~terminated(next_states)
        return next_states, alive, returns + reward

    _, _, returns = lax.fori_loop(0, horizon_bound, step, (states, alive, returns))
    mean = jnp.mean(returns, axis=1)
    return jnp.where(jnp.isfinite(mean), mean, -jnp.inf)


def imagine(
    task: Task,
    shape: PetsShape,
    world: World,
    states: Float[Array, "S K O"],
    actions: Float[Array, "S K A"],
    key: PRNGKeyArray,
) -> Float[Array, "S K O"]:
    """One imagined step of every particle."""
    inputs = jnp.concatenate([jax.vmap(jax.vmap(task.encode))(states), actions], axis=-1)  # [S, K, I]
    inputs = normalise(world.normaliser, inputs)
    if shape.propagation == "e":
        everyone = jnp.broadcast_to(inputs[None, :, 0], (shape.num_networks, *inputs[:, 0].shape))
        prediction = jnp.mean(predict(world.ensemble, everyone).mean, axis=0)[:, None]  # [S, 1, D]
    else:
        noise_key, deal_key = random.split(key)
        prediction = sample_targets(shape, world.ensemble, inputs, noise_key, deal_key)
    return jax.vmap(jax.vmap(task.next_obs))(states, prediction)


def sample_targets(
    shape: PetsShape,
    ensemble: Ensemble,
    inputs: Float[Array, "S K I"],
    noise_key: PRNGKeyArray,
    deal_key: PRNGKeyArray,
) -> Float[Array, "S K D"]:
    """A draw from the Gaussian of each particle's network: mean + std * noise [1, K, D]."""
    if shape.propagation == "ts1":
        hand = deal(deal_key, inputs.shape[0], shape.num_particles)  # [S, K]
        inputs = jnp.take_along_axis(inputs, hand[:, :, None], axis=1)
    mean, logvar = predict(ensemble, to_networks(inputs, shape.num_networks))
    noise = random.normal(noise_key, (1, shape.num_particles, mean.shape[-1]), jnp.float32)
    mean, std = from_networks(mean, inputs.shape[1]), from_networks(jnp.exp(0.5 * logvar), inputs.shape[1])
    drawn = mean + std * noise
    if shape.propagation == "ts1":
        drawn = jnp.take_along_axis(drawn, jnp.argsort(hand, axis=1)[:, :, None], axis=1)
    return drawn


def deal(key: PRNGKeyArray, num_samples: int, num_particles: int) -> Int[Array, "S K"]:
    """A uniformly random permutation of the particles of each plan sample."""
    return jnp.argsort(random.bits(key, (num_samples, num_particles)), axis=1)


def to_networks(rows: Float[Array, "S K I"], num_networks: int) -> Float[Array, "E SK/E I"]:
    """Particle slots 0..K/E-1 of every plan sample to network 0, the next K/E to network 1, and so on."""
    samples, particles, size = rows.shape
    grouped = rows.reshape(samples, num_networks, particles // num_networks, size)
    return grouped.swapaxes(0, 1).reshape(num_networks, -1, size)


def from_networks(rows: Float[Array, "E SK/E D"], num_particles: int) -> Float[Array, "S K D"]:
    """The inverse of ``to_networks``."""
    networks, _, size = rows.shape
    grouped = rows.reshape(networks, -1, num_particles // networks, size)
    return grouped.swapaxes(0, 1).reshape(-1, num_particles, size)
