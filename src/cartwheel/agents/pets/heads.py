"""What a model predicts beside the dynamics where a task has no formula: what a step pays, if it ends the episode.

Both are further outputs of the same networks, for the same input, trained in the same passes. The reward is one more
dimension of the Gaussian, last of the targets, in standard deviations of the rewards seen: unlike observations, rewards
come in any scale, and PETS does not scale its targets. Termination is the log-odds that the step ends the episode, by
cross-entropy (see ``model.row_losses``). Reaching a time limit is not termination and never a target.

    T rows   N buffer capacity   I inputs   D target dimensions
"""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from cartwheel.agents.pets.buffer import Transitions
from cartwheel.agents.pets.model import MIN_STD, Normaliser
from cartwheel.agents.pets.row_folds import fold_rows, moments
from cartwheel.envs.tasks import Task


def num_targets(task: Task) -> int:
    """Dimensions of the Gaussian: those of the task's target, and the reward if it is learned."""
    obs = jnp.zeros(task.obs_size, jnp.float32)
    num_dynamics: int = jax.eval_shape(task.target, obs, obs).shape[0]
    return num_dynamics + task.learns_reward


def model_inputs(task: Task, rows: Transitions) -> Float[Array, "T I"]:
    """What the networks are shown of every row, in the environment's units: the encoded observation and the action."""
    return jnp.concatenate([jax.vmap(task.encode)(rows.obs), rows.action], axis=-1)


def targets(task: Task, normaliser: Normaliser, rows: Transitions) -> Float[Array, "T D"]:
    """What the networks are to predict of every row: the task's target, then the reward, then 1 where it terminated."""
    columns = [jax.vmap(task.target)(rows.obs, rows.next_obs)]
    if rows.reward is not None and normaliser.reward_mean is not None and normaliser.reward_std is not None:
        columns.append(((rows.reward - normaliser.reward_mean) / normaliser.reward_std)[:, None])
    if rows.terminated is not None:
        columns.append(rows.terminated[:, None])
    return jnp.concatenate(columns, axis=-1) if len(columns) > 1 else columns[0]


def with_reward_units(
    normaliser: Normaliser, rows: Transitions, present: Bool[Array, " N"], num_rows: Int[Array, ""] | int | None = None
) -> Normaliser:
    """The normaliser with mean and standard deviation of the rewards that are present, if they are learned.

    None of them lies behind the first ``num_rows`` rows (None: anywhere).
    """
    if rows.reward is None:
        return normaliser
    num_rows = present.shape[0] if num_rows is None else num_rows
    first = rows.reward[0]

    def larger(unit: Array, rewards: Array, flags: Array) -> Array:
        return jnp.maximum(unit, jnp.max(jnp.where(flags, jnp.abs(rewards - first), 0.0)))

    # in units of the largest: a square would leave float32 long before the reward does
    unit = fold_rows(rows.reward, present, num_rows, larger, jnp.asarray(MIN_STD, jnp.float32))
    shift, spread = moments(rows.reward, present, num_rows, lambda rewards: ((rewards - first) / unit)[:, None])
    std = jnp.where(unit * spread[0] <= MIN_STD, 1.0, unit * spread[0])
    return Normaliser(normaliser.mean, normaliser.std, first + unit * shift[0], std)


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
