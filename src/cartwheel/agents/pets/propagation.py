"""Rolling plans out in the model: trajectory sampling with particles (Chua et al. 2018, section 5).

Every plan sample carries K particles, and E networks plan. Under ``tsinf`` a particle keeps one network for the whole
plan and each network has K/E particles *of every plan sample*; under ``ts1`` the particles of each plan sample are
dealt anew to the networks at every step, still K/E each; under ``e`` there is one particle, moved by the mean of the
networks' means, without noise. The noise of trajectory sampling is drawn per particle and step and shared by all plan
samples (common random numbers): plans are compared under the same luck, and it costs next to nothing.

    S plan samples   K particles   E networks   H plan horizon   O observation   A action   D target dimensions
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from cartwheel.agents.pets.heads import in_env_units
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import Ensemble, Normaliser, normalise, predict_all, predict_spread
from cartwheel.envs.tasks import Task


class World(NamedTuple):
    """The networks that plan and what their predictions mean."""

    ensemble: Ensemble
    normaliser: Normaliser


def particles_per_sample(shape: PetsShape) -> int:
    """K, which is 1 under ``e``."""
    return 1 if shape.propagation == "e" else shape.num_particles


class Imagined(NamedTuple):
    """One step of every particle: the next observations, what the step pays, and whether the episode ends with it."""

    obs: Float[Array, "K S O"]
    reward: Float[Array, "K S"]
    is_end: Bool[Array, "K S"]


class Luck(NamedTuple):
    """The randomness of imagined rollouts, drawn before the loop over the horizon: at its maximum, so that no random
    number depends on a horizon. ``deal_key`` deals the particles under ``ts1``.
    """

    noise: Float[Array, "H K D"]
    deal_key: PRNGKeyArray

    def at(self, t: Int[Array, ""]) -> "StepLuck":
        """The randomness of step ``t``."""
        return StepLuck(
            lax.dynamic_index_in_dim(self.noise, t, axis=0, keepdims=False), random.fold_in(self.deal_key, t)
        )


class StepLuck(NamedTuple):
    """The randomness of one imagined step."""

    noise: Float[Array, "K D"]
    deal_key: PRNGKeyArray


def draw_luck(shape: PetsShape, num_targets: int, key: PRNGKeyArray) -> Luck:
    """Standard normal noise per step, particle and target dimension, and a key for dealing."""
    noise_key, deal_key = random.split(key)
    size = (shape.max_horizon, particles_per_sample(shape), num_targets)
    return Luck(random.normal(noise_key, size, jnp.float32), deal_key)


def plan_returns(
    task: Task,
    shape: PetsShape,
    world: World,
    obs: Float[Array, " O"],
    actions: Float[Array, "S H A"],
    horizon: Int[Array, ""],
    horizon_bound: Int[Array, ""],
    luck: Luck,
) -> Float[Array, " S"]:
    """Mean over particles of the imagined return of each plan over its first ``horizon`` steps.

    ``horizon_bound`` >= ``horizon`` is how many steps the loop takes (one number for a whole cohort, so that it stays
    a plain loop when vectorised). A particle earns nothing after a step that ends the episode: by the task's formula,
    or because its own network finds that likelier than not. A plan with any particle that is not finite returns -inf.
    """
    num_samples, num_particles = actions.shape[0], particles_per_sample(shape)
    states = jnp.broadcast_to(obs[None, None], (num_particles, num_samples, obs.shape[0]))
    alive = jnp.ones((num_particles, num_samples), bool)
    returns = jnp.zeros((num_particles, num_samples), jnp.float32)

    def step(t: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        states, alive, returns = carry
        action = lax.dynamic_index_in_dim(actions, t, axis=1, keepdims=False)  # [S, A]
        action = jnp.broadcast_to(action[None], (num_particles, *action.shape))
        next_states, reward, is_end = imagine(task, shape, world, states, action, luck.at(t))
        is_finite = jnp.all(jnp.isfinite(next_states), axis=-1)  # rewards need not look at every dimension
        reward = jnp.where(is_finite, reward, -jnp.inf)
        reward = jnp.where(alive & (t < horizon), reward, 0.0)
        if task.has_termination:
            alive = alive & ~is_end
        return next_states, alive, returns + reward

    _, _, returns = lax.fori_loop(0, horizon_bound, step, (states, alive, returns))
    mean = jnp.mean(returns, axis=0)
    return jnp.where(jnp.isfinite(mean), mean, -jnp.inf)


def imagine(
    task: Task,
    shape: PetsShape,
    world: World,
    states: Float[Array, "K S O"],
    actions: Float[Array, "K S A"],
    luck: StepLuck,
) -> Imagined:
    """One imagined step of every particle. A learned reward is its predicted mean, without noise."""
    inputs = jnp.concatenate([jax.vmap(jax.vmap(task.encode))(states), actions], axis=-1)  # [K, S, I]
    inputs = normalise(world.normaliser, inputs)
    if task.learns_reward:
        luck = luck._replace(noise=luck.noise.at[:, -1].set(0.0))
    if shape.propagation == "e":
        prediction, logit = _mean_targets(shape, world.ensemble, inputs)
    else:
        prediction, logit = sample_targets(shape, world.ensemble, inputs, luck)
    dynamics = prediction[..., :-1] if task.learns_reward else prediction
    next_states = jax.vmap(jax.vmap(task.next_obs))(states, dynamics)
    if task.imagined_reward is not None:
        reward = jax.vmap(jax.vmap(task.imagined_reward))(states, actions, next_states)
    else:
        reward = in_env_units(world.normaliser, prediction[..., -1])
    if task.terminated is not None:
        return Imagined(next_states, reward, jax.vmap(jax.vmap(task.terminated))(next_states))
    assert logit is not None
    return Imagined(next_states, reward, logit > 0.0)


def _mean_targets(
    shape: PetsShape, ensemble: Ensemble, inputs: Float[Array, "1 S I"]
) -> tuple[Float[Array, "1 S D"], Float[Array, "1 S"] | None]:
    """The mean over networks of their means and of their log-odds of termination."""
    everyone = jnp.broadcast_to(inputs, (shape.num_planning_networks, *inputs.shape[1:]))
    gaussian, logit = predict_all(ensemble, everyone)
    mean = jnp.mean(gaussian.mean, axis=0, keepdims=True)
    return mean, None if logit is None else jnp.mean(logit, axis=0, keepdims=True)


def sample_targets(
    shape: PetsShape, ensemble: Ensemble, inputs: Float[Array, "K S I"], luck: StepLuck
) -> tuple[Float[Array, "K S D"], Float[Array, "K S"] | None]:
    """A draw from the Gaussian of each particle's network, and its log-odds of termination.

    Particles 0..K/E-1 of every plan sample stand at network 0, the next K/E at network 1, and so on: with particles
    as the leading axis that is a reshape.
    """
    hand = deal(luck.deal_key, *inputs.shape[:2]) if shape.propagation == "ts1" else None
    if hand is not None:
        inputs = jnp.take_along_axis(inputs, hand[:, :, None], axis=0)
    by_network = inputs.reshape(shape.num_planning_networks, -1, inputs.shape[-1])
    mean, std, logit = predict_spread(ensemble, by_network)
    mean, std = (array.reshape(*inputs.shape[:2], -1) for array in (mean, std))
    logit = None if logit is None else logit.reshape(inputs.shape[:2])
    if hand is not None:
        back = jnp.argsort(hand, axis=0)
        mean, std = (jnp.take_along_axis(array, back[:, :, None], axis=0) for array in (mean, std))
        logit = None if logit is None else jnp.take_along_axis(logit, back, axis=0)
    return mean + std * luck.noise[:, None], logit


def deal(key: PRNGKeyArray, num_particles: int, num_samples: int) -> Int[Array, "K S"]:
    """For every plan sample a uniformly random permutation: which particle stands at which place."""
    return jnp.argsort(random.bits(key, (num_particles, num_samples)), axis=0)
