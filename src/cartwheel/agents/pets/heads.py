"""What a model predicts beside the dynamics where a task has no formula: what a step pays, if it ends the episode.

Both are further outputs of the same networks, for the same input, trained in the same passes. The reward is one more
dimension of the Gaussian, last of the targets, in standard deviations of the rewards seen: unlike observations, rewards
come in any scale, and PETS does not scale its targets. Termination is the log-odds that the step ends the episode, by
cross-entropy (see ``model.row_losses``). Reaching a time limit is not termination and never a target.

    T rows   D target dimensions
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from cartwheel.agents.pets.buffer import Transitions
from cartwheel.agents.pets.model import MIN_STD, Normaliser
from cartwheel.envs.tasks import Task


def num_targets(task: Task) -> int:
    """Dimensions of the Gaussian: those of the task's target, and the reward if it is learned."""
    obs = jnp.zeros(task.obs_size, jnp.float32)
    num_dynamics: int = jax.eval_shape(task.target, obs, obs).shape[0]
    return num_dynamics + task.learns_reward


def targets(task: Task, normaliser: Normaliser, rows: Transitions) -> Float[Array, "T D"]:
    """What the networks are to predict of every row: the task's target, then the reward, then 1 where it terminated."""
    columns = [jax.vmap(task.target)(rows.obs, rows.next_obs)]
    if rows.reward is not None and normaliser.reward_mean is not None and normaliser.reward_std is not None:
        columns.append(((rows.reward - normaliser.reward_mean) / normaliser.reward_std)[:, None])
    if rows.terminated is not None:
        columns.append(rows.terminated[:, None])
    return jnp.concatenate(columns, axis=-1) if len(columns) > 1 else columns[0]


def with_reward_units(normaliser: Normaliser, rows: Transitions, present: Bool[Array, " T"]) -> Normaliser:
    """The normaliser with mean and standard deviation of the rewards that are present, if they are learned."""
    if rows.reward is None:
        return normaliser
    distance = jnp.where(present, rows.reward - rows.reward[0], 0.0)
    # in units of the largest: a square would leave float32 long before the reward does
    unit = jnp.maximum(jnp.max(jnp.abs(distance)), MIN_STD)
    count = jnp.maximum(jnp.sum(present), 1).astype(jnp.float32)
    shift = jnp.sum(distance / unit) / count
    spread = jnp.sqrt(jnp.sum(jnp.where(present, jnp.square(distance / unit - shift), 0.0)) / count)
    std = jnp.where(unit * spread <= MIN_STD, 1.0, unit * spread)
    return Normaliser(normaliser.mean, normaliser.std, rows.reward[0] + unit * shift, std)


def in_env_units(normaliser: Normaliser, reward: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """A predicted reward as the environment would pay it."""
    assert normaliser.reward_mean is not None
    assert normaliser.reward_std is not None
    return normaliser.reward_mean + normaliser.reward_std * reward


def rewards(task: Task, rows: Transitions) -> Float[Array, " T"]:
    """What the planner calls the reward of every row: by the task's formula, or what was paid."""
    if task.imagined_reward is not None:
        return jax.vmap(task.imagined_reward)(rows.obs, rows.action, rows.next_obs)
    assert rows.reward is not None
    return rows.reward


def is_end(task: Task, rows: Transitions, index: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether a row ended its episode: by the task's formula, or as it happened."""
    if task.terminated is not None:
        return task.terminated(rows.next_obs[index])
    assert rows.terminated is not None
    return rows.terminated[index] > 0.5
