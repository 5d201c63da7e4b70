"""What is recorded about the model and the plans at every fit: cheap, and read from data the model has not seen.

A new episode is judged by the model that planned it, before anything is learned from it, so its rows are held out
without holding anything out. ``docs/model.md`` says what each number means. One that cannot be computed, such as the
error 25 steps ahead of a shorter episode, is not finite here, and left out of what is recorded.

    E networks that plan   T episode length   O observation   A action   D target dimensions   H plan horizon   R plans
"""

from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from cartwheel.agents.pets import heads
from cartwheel.agents.pets.buffer import Buffer, Transitions
from cartwheel.agents.pets.fit import Fitted
from cartwheel.agents.pets.holdout import count_below, training_rows
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import (
    MIN_STD,
    Ensemble,
    Normaliser,
    Prediction,
    cross_entropy,
    negative_log_likelihood,
    networks,
    normalise,
    predict_all,
)
from cartwheel.agents.pets.propagation import World, draw_luck, plan_returns
from cartwheel.agents.pets.row_folds import moments
from cartwheel.envs.tasks import Task

STEPS_AHEAD = (1, 5, 25)
"""Open-loop predictions are judged this many environment steps ahead."""
COVERAGES = (50, 90)
"""Central intervals of the predicted Gaussians that are judged, in percent."""
MAX_PLANS = 32
"""So many plans of an episode are judged, evenly spaced: enough for a mean, and next to nothing to compute."""


class Experience(NamedTuple):
    """An episode: its rows [T], how many of them are real, and the plans executed at ``plan_steps``, in the
    environment's units; NaN where it acted at random.
    """

    rows: Transitions
    length: Int[Array, ""]
    plans: Float[Array, "R H A"]


def plan_steps(episode_length: int) -> range:
    """The environment steps whose plans are judged, at most ``MAX_PLANS`` of them."""
    return range(0, episode_length, -(-episode_length // MAX_PLANS))


def planning_world(shape: PetsShape, ensemble: Ensemble, normaliser: Normaliser) -> World:
    """The part of a model that plans."""
    return World(networks(ensemble, slice(shape.num_planning_networks)), normaliser)


class Spread(NamedTuple):
    """Standard deviations of observations and of targets."""

    obs: Float[Array, " O"]
    targets: Float[Array, " D"]


def spread_of(task: Task, world: World, replay: Buffer, num_rows: Int[Array, ""] | int) -> Spread:
    """Over all that is remembered, which are at most ``num_rows`` rows."""

    def values_of(rows: Transitions) -> Array:
        targets = heads.targets(task, world.normaliser, rows)[:, : world.ensemble.num_targets]
        return jnp.concatenate([rows.obs, targets], axis=1)

    is_stored = jnp.arange(replay.rows.obs.shape[0]) < replay.num_rows
    _, std = moments(replay.rows, is_stored, num_rows, values_of)
    return Spread(std[: task.obs_size], std[task.obs_size :])


def judge_unseen(
    task: Task,
    shape: PetsShape,
    world: World,
    experience: Experience,
    spread: Spread,
    horizon: Int[Array, ""],
    key: PRNGKeyArray,
) -> dict[str, Array]:
    """What the model that planned an episode, with plans of ``horizon`` steps, knew about it.

    Errors are in units of the ``spread`` of all that is remembered, the episode included.
    """
    is_real = jnp.arange(experience.rows.obs.shape[0]) < experience.length
    return {
        **one_step(task, world, experience.rows, is_real, spread.targets),
        **open_loop(task, world, experience, spread.obs),
        **plan_errors(task, shape, world, experience, horizon, key),
    }


def judge_fit(task: Task, shape: PetsShape, fitted: Fitted, replay: Buffer, num_rows: int) -> dict[str, Array]:
    """How well the fitted model knows what it was fitted to, and the rows held out from it.

    The training rows are judged by ``num_rows`` of them, evenly spread over all.
    """
    training = jnp.asarray(training_rows(shape))
    present = count_below(training_rows(shape), replay.num_rows).astype(jnp.float32)
    place = jnp.arange(num_rows, dtype=jnp.float32) * (present / num_rows)
    rows = jax.tree.map(lambda leaf: leaf[training[place.astype(jnp.int32)]], replay.rows)
    found = {"model_loss": fitted.loss}
    if shape.is_probabilistic:
        world = planning_world(shape, fitted.ensemble, fitted.normaliser)
        prediction, targets = one_step_predictions(task, world, rows)
        found["train_nll"] = jnp.mean(negative_log_likelihood(prediction.gaussian, targets))
    if shape.holdout_ratio > 0.0:
        found["epochs_run"] = fitted.num_epochs.astype(jnp.float32)
    if shape.holdout_ratio > 0.0 and fitted.ensemble.has_logit:
        found["holdout_loss"] = fitted.holdout_loss
    elif shape.holdout_ratio > 0.0 and shape.is_probabilistic:
        loss_per_dimension = fitted.holdout_loss + jnp.log(2 * jnp.pi).astype(jnp.float32)
        found["holdout_nll"] = 0.5 * fitted.ensemble.num_targets * loss_per_dimension
    elif shape.holdout_ratio > 0.0:
        found["holdout_mse"] = fitted.holdout_loss
    return found


def one_step_predictions(task: Task, world: World, rows: Transitions) -> tuple[Prediction, Float[Array, "1 T D"]]:
    """What every network says [E, T, ...] of every row, and what happened. Without rewards, D is less by theirs."""
    inputs = normalise(world.normaliser, heads.model_inputs(task, rows))
    everyone = jnp.broadcast_to(inputs[None], (world.ensemble.weights[0].shape[0], *inputs.shape))
    targets = heads.targets(task, world.normaliser, rows)[None, :, : world.ensemble.num_targets]
    return predict_all(world.ensemble, everyone), targets


def one_step(
    task: Task, world: World, rows: Transitions, is_real: Bool[Array, " T"], target_std: Float[Array, " D"]
) -> dict[str, Array]:
    """Likelihood, calibration and disagreement of predictions one step ahead, averaged over networks and real rows.

    Dimensions whose target never changes are left out of the last two.
    """
    (prediction, logit), targets = one_step_predictions(task, world, rows)
    moves = target_std > MIN_STD
    found: dict[str, Array] = {}
    if world.ensemble.is_probabilistic:
        nll = jnp.mean(negative_log_likelihood(prediction, targets), axis=0)
        found["unseen_nll"] = _mean(nll, is_real)
        distance = jnp.abs(targets - prediction.mean) * jnp.exp(-0.5 * prediction.logvar)
        counted = (is_real[:, None] & moves[None])[None]
        for percent in COVERAGES:
            is_within = distance <= NormalDist().inv_cdf(0.5 + percent / 200)
            found[f"coverage_{percent}"] = _mean(is_within.astype(jnp.float32), counted)
    if logit is not None and rows.terminated is not None:
        surprise = jnp.mean(cross_entropy(logit, jnp.broadcast_to(rows.terminated[None], logit.shape)), axis=0)
        found["unseen_termination"] = _mean(surprise, is_real)
    if prediction.mean.shape[0] > 1:
        relative = jnp.var(prediction.mean, axis=0) / jnp.square(jnp.where(moves, target_std, 1.0))[None]
        found["disagreement"] = jnp.sqrt(_mean(relative, is_real[:, None] & moves[None]))
    return found


def open_loop(task: Task, world: World, experience: Experience, obs_std: Float[Array, " O"]) -> dict[str, Array]:
    """Errors k steps ahead along the episode, from every step of it, under the actions that were taken.

    The prediction is the mean of the networks' means, fed back. The error is the root of the mean square, each
    dimension in standard deviations of all observations so far; dimensions that never change are left out.
    """
    rows, length = experience.rows, experience.length
    num_rows = rows.obs.shape[0]
    moves = obs_std > MIN_STD
    scale = jnp.where(moves, obs_std, 1.0)[None]

    def step(states: Array, ahead: Array) -> tuple[Array, Array]:
        now = jnp.arange(num_rows) + ahead
        at = jnp.minimum(now, num_rows - 1)
        imagined = Transitions(states, rows.action[at], states)
        prediction, _ = one_step_predictions(task, world, imagined)
        mean = jnp.mean(prediction.gaussian.mean, axis=0)
        states = jax.vmap(task.next_obs)(states, mean[:, :-1] if task.learns_reward else mean)
        square = jnp.square((states - rows.next_obs[at]) / scale)
        return states, jnp.sqrt(_mean(square, (now < length)[:, None] & moves[None]))

    known = [k for k in STEPS_AHEAD if k <= num_rows]
    _, errors = lax.scan(step, rows.obs, jnp.arange(max(known)))
    return {f"error_{k}_ahead": errors[k - 1] for k in known}


def plan_errors(
    task: Task, shape: PetsShape, world: World, experience: Experience, horizon: Int[Array, ""], key: PRNGKeyArray
) -> dict[str, Array]:
    """What executed plans realised over their horizon, and by how much more the planner had promised for them.

    Both are by the planner's own reward. Only plans count whose whole horizon was lived, or that met the end of an
    episode that terminated.
    """
    if task.imagined_reward is None or task.terminated is None:
        return {}  # what is learned cannot say what was really paid
    rows, length = experience.rows, experience.length
    begin = jnp.asarray(plan_steps(rows.obs.shape[0]))
    luck = draw_luck(shape, world.ensemble.num_targets, key)

    def promised(obs: Array, plan: Array) -> Array:
        bound = jnp.asarray(shape.max_horizon, jnp.int32)
        return plan_returns(task, shape, world, obs, plan[None], horizon, bound, luck)[0]

    reward = heads.rewards(task, rows)
    t = jnp.arange(rows.obs.shape[0])[None]
    is_lived = (t >= begin[:, None]) & (t < (begin + horizon)[:, None]) & (t < length)  # [R, T]
    realised = jnp.sum(jnp.where(is_lived, reward[None], 0.0), axis=1)
    ends = task.has_termination & heads.is_end(task, rows, length - 1)
    counts = ((begin + horizon <= length) | (ends & (begin < length))) & jnp.isfinite(experience.plans[:, 0, 0])
    promise = jax.vmap(promised)(rows.obs[begin], experience.plans)
    return {"plan_return": _mean(realised, counts), "plan_return_error": _mean(promise - realised, counts)}


def _mean(values: Float[Array, "..."], counted: Bool[Array, "..."]) -> Float[Array, ""]:
    """The mean of those values that count; NaN if none does."""
    counted = jnp.broadcast_to(counted, values.shape)
    total, number = jnp.sum(jnp.where(counted, values, 0.0)), jnp.sum(counted).astype(jnp.float32)
    return jnp.where(number > 0.0, total / jnp.maximum(number, 1.0), jnp.nan)
