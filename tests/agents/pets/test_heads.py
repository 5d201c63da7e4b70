"""Reward and termination, learned where a task has no formula."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import arrays, heads, model, propagation
from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Transitions, host_transitions, row_shapes
from cartwheel.agents.pets.model import Ensemble, init_ensemble, init_normaliser
from cartwheel.agents.pets.propagation import World
from cartwheel.agents.pets.setup import make_setup
from cartwheel.engines.engine import Engine, EpisodeJob
from cartwheel.envs import probes
from cartwheel.envs.tasks import Task
from hand_made import POSITION, TINY, with_shape

PLAIN = dataclasses.replace(POSITION, id="plain", reward=None, terminated=None)
"""Nothing is known about it but sizes and bounds."""


def rows(reward: Any, terminated: Any) -> Transitions:
    count = len(reward)
    obs = jnp.arange(count, dtype=jnp.float32)[:, None]
    return Transitions(obs, obs, obs + 2.0, jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, jnp.float32))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e30])
def test_rewards_are_learned_in_their_own_units(scale: float) -> None:
    """Mean and standard deviation of the rows that are present, at any scale that float32 holds."""
    paid = scale * np.asarray([3.0, -1.0, 5.0, 100.0])
    present = jnp.asarray([True, True, True, False])
    found = heads.with_reward_units(init_normaliser(2, learns_reward=True), rows(paid, [0, 0, 1, 0]), present)
    assert float(found.reward_mean) == pytest.approx(np.mean(paid[:3]), rel=1e-5)
    assert float(found.reward_std) == pytest.approx(np.std(paid[:3]), rel=1e-5)
    targets = np.asarray(heads.targets(PLAIN, found, rows(paid, [0, 0, 1, 0])))
    assert targets[:, 0].tolist() == [2.0] * 4
    np.testing.assert_allclose(targets[:, 1], (paid - np.mean(paid[:3])) / np.std(paid[:3]), rtol=1e-4)
    assert targets[:, 2].tolist() == [0.0, 0.0, 1.0, 0.0]
    back = heads.in_env_units(found, jnp.asarray(targets[:, 1]))
    np.testing.assert_allclose(back, paid, rtol=1e-5, atol=1e-6 * scale)


def test_a_constant_reward_is_shifted_and_not_scaled() -> None:
    found = heads.with_reward_units(init_normaliser(2, True), rows([7.0] * 3, [0] * 3), jnp.ones(3, bool))
    assert (float(found.reward_mean), float(found.reward_std)) == (7.0, 1.0)


def test_a_task_with_formulas_has_no_heads() -> None:
    """Neither its networks, nor its normaliser, nor its replay hold anything for them."""
    known, plain = (pets.init(task, TINY, jax.random.key(0)) for task in (POSITION, PLAIN))
    assert known.weights.weights[-1].shape[-1] == 2
    assert plain.weights.weights[-1].shape[-1] == 2 + 2 + 1
    extra = set(arrays.to_arrays(plain)) - set(arrays.to_arrays(known))
    assert extra == {"normaliser/.reward_mean", "normaliser/.reward_std"}
    assert list(row_shapes(POSITION)) == ["obs", "action", "next_obs"]
    assert known.replay.rows.reward is known.replay.rows.terminated is None


def test_the_loss_of_termination_is_its_cross_entropy() -> None:
    """By NumPy: it counts as one more dimension beside those of the Gaussian."""
    shape = with_shape(num_networks=2)
    ensemble = init_ensemble(jax.random.key(1), 3, 2, shape, has_logit=True)
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(2, 5, 3)), jnp.float32)
    y, ended = rng.normal(size=(2, 5, 2)), rng.integers(0, 2, (2, 5, 1))
    (mean, logvar), logit = model.predict_all(ensemble, inputs)
    assert logit is not None
    chance = 1.0 / (1.0 + np.exp(-np.asarray(logit, np.float64)))
    happened = np.where(ended[..., 0] == 1, chance, 1.0 - chance)
    gaussian = np.square(mean - y) * np.exp(-np.asarray(logvar)) + np.asarray(logvar)
    found = model.row_losses(ensemble, inputs, jnp.asarray(np.concatenate([y, ended], axis=-1), jnp.float32))
    np.testing.assert_allclose(found, (gaussian.sum(axis=-1) - np.log(happened)) / 3.0, rtol=1e-4, atol=1e-5)


def test_before_there_is_data_nothing_ends_an_episode() -> None:
    """An agent that has seen nothing gives termination about one chance in 100, wherever it looks."""
    state = pets.init(PLAIN, TINY, jax.random.key(0))
    anywhere = jnp.asarray(np.random.default_rng(0).uniform(-3, 3, (TINY.num_networks, 50, 2)), jnp.float32)
    logit = model.predict_all(state.weights, anywhere).logit
    assert logit is not None
    assert np.asarray(jax.nn.sigmoid(logit)).max() < 0.2


def world(paid: float, logits: list[float], log_std: float = 3.0) -> World:
    """Every network moves by 1 and promises ``paid``, unsurely; network e says ``logits[e]``."""
    num_networks = len(logits)
    bias = np.tile(np.asarray([1.0, paid, -60.0, 2.0 * log_std, 0.0], np.float32), (num_networks, 1, 1))
    bias[:, 0, -1] = logits
    hidden = np.zeros((num_networks, 2, 4), np.float32), np.zeros((num_networks, 1, 4), np.float32)
    bounds = np.full(2, 100.0, np.float32), np.full(2, -100.0, np.float32)
    last = np.zeros((num_networks, 4, 5), np.float32)
    ensemble = Ensemble((hidden[0], last), (hidden[1], bias), *bounds, has_logit=True)
    return World(jax.tree.map(jnp.asarray, ensemble), init_normaliser(2, learns_reward=True))


@pytest.mark.parametrize(("name", "expected"), [("tsinf", 0.5 * 2.0 + 0.5 * 8.0), ("ts1", None), ("e", 8.0)])
def test_imagined_rewards_are_means_and_end_with_the_networks_word(name: Any, expected: float | None) -> None:
    """Each particle asks its own network; the reward is the predicted mean, however unsure it is.

    Of two networks one ends every episode at once, so under tsinf half of the particles earn one step of 2.0 and half
    all four; under e the mean of the log-odds, -1, decides for all.
    """
    shape = with_shape(num_networks=2, num_particles=4, propagation=name, max_horizon=4)
    luck = propagation.draw_luck(shape, 2, jax.random.key(3))
    found = propagation.plan_returns(
        PLAIN,
        shape,
        world(2.0, [3.0, -5.0]),
        jnp.zeros(1),
        jnp.zeros((3, 4, 1)),
        jnp.int32(4),
        jnp.int32(4),
        luck,
    )
    if expected is None:
        assert np.all((found >= 2.0) & (found < 5.0))  # dealt anew at every step, everybody meets the end soon
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def episode(**columns: Any) -> Transitions:
    base = {name: np.ones((4, *shape), np.float32) for name, shape in row_shapes(PLAIN).items()}
    return host_transitions(**{**base, **columns})


def test_replay_shards_keep_what_was_paid_and_what_ended() -> None:
    """To files and back; a shard without a column that the agent learns from does not fit."""
    state = pets.init(PLAIN, TINY, jax.random.key(0))
    ended = np.asarray([0, 0, 0, 1], np.float32)
    shard = arrays.shard_to_arrays(episode(reward=np.arange(4, dtype=np.float32), terminated=ended))
    replay = arrays.buffer_from_shards(state, [shard, shard])
    assert replay.rows.reward is not None
    assert replay.rows.terminated is not None
    assert replay.rows.reward[:8].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert replay.rows.terminated[:8].tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="a replay shard does not fit the agent: reward is missing"):
        arrays.buffer_from_shards(state, [{name: a for name, a in shard.items() if name != "reward"}])


SETTINGS = {
    "num_networks": 2,
    "num_particles": 2,
    "num_layers": 1,
    "width": 16,
    "learning_rate": 1e-2,
    "num_epochs": 100,
    "plan_horizon": 5,
    "num_samples": 48,
    "noise_exponent": 0.0,
    "executes": "best",
}


def learn(task: Task, num_episodes: int, seed: int = 0) -> tuple[list[tuple[float, int]], PetsState]:
    """Returns and lengths of an agent's episodes, the random one first, and the agent."""
    setup = make_setup(task, SETTINGS, [], num_episodes)
    engine = Engine(setup.task, setup.shape, 1)
    engine.load(0, engine.fresh(("heads", seed)))
    found = []
    for index in range(num_episodes + 1):
        result = engine.run_episode({0: EpisodeJob(setup.base, ("heads", seed), index, is_random=index == 0)})[0]
        assert not result.failure
        assert np.isfinite(result.episode.metrics["unseen_nll"])
        found.append((result.episode.return_, result.episode.length))
    state = engine.snapshot([0])[0]
    engine.close()
    return found, state


def test_the_edge_of_a_cliff_is_learned() -> None:
    """Without any formula: running over the edge pays 3 in all; who has learned where episodes end waits before it."""
    probes.register()
    task = dataclasses.replace(probes.CLIFF.task, id="plain-cliff", reward=None, terminated=None)
    found, _ = learn(task, 8)
    assert np.mean([paid for paid, _ in found[-4:]]) > 4.0
    assert max(length for _, length in found[-4:]) == task.episode_length


def test_an_environment_that_never_ends_is_not_believed_to() -> None:
    """No row says so: far around of what was seen, no network finds an end likelier than not, so no plan is cut."""
    probes.register()
    _, state = learn(dataclasses.replace(probes.INTEGRATOR.task, id="plain-integrator", terminated=None), 3)
    obs, action = np.meshgrid(np.linspace(-2, 2, 21), np.linspace(-1, 1, 5))
    inputs = jnp.asarray(np.stack([obs.ravel(), action.ravel()], axis=-1), jnp.float32)
    state = jax.tree.map(jnp.asarray, state)
    inputs = model.normalise(state.normaliser, jnp.broadcast_to(inputs[None], (2, *inputs.shape)))
    logit = model.predict_all(state.weights, inputs).logit
    assert logit is not None
    assert float(jnp.max(logit)) < 0.0
