"""Small tasks of Gymnasium: shaped rewards, ends, and observations of our own making."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.envs.equations import POLE_STEP_S, pole
from cartwheel.envs.pool import make_env
from cartwheel.envs.tasks import CARTPOLE_BALANCE, INVERTED_DOUBLE_PENDULUM, MOUNTAIN_CAR


def drive(policy: str) -> tuple[np.ndarray, list[float], bool]:
    """An episode of the car: observations [T + 1, 2], rewards, and whether it ended by itself."""
    env = make_env(MOUNTAIN_CAR)
    seen, paid = [env.reset(0)], []
    for _ in range(MOUNTAIN_CAR.episode_length):
        push = np.sign(seen[-1][1]) if policy == "swing" else 1.0
        obs, reward, ended = env.step(np.asarray([push or 1.0], np.float32))
        seen.append(obs)
        paid.append(reward)
        if ended:
            break
    assert not env.warnings
    return np.stack(seen), paid, ended


@pytest.mark.parametrize(("policy", "reaches"), [("swing", True), ("push", False)])
def test_the_car_is_paid_at_the_goal(policy: str, reaches: bool) -> None:
    """Swinging up reaches the goal and its 100; pushing does not: the formulas say so at every step."""
    seen, paid, ended = drive(policy)
    assert ended == reaches
    push = jnp.ones((len(paid), 1))
    rewards = jax.vmap(MOUNTAIN_CAR.reward)(jnp.asarray(seen[:-1]), push, jnp.asarray(seen[1:]))
    np.testing.assert_allclose(rewards, paid, atol=1e-5)
    assert paid[-1] == pytest.approx(99.9 if reaches else -0.1)
    over = jax.vmap(MOUNTAIN_CAR.terminated)(jnp.asarray(seen[1:]))
    assert over.tolist() == [*[False] * (len(paid) - 1), reaches]


def test_the_planner_earns_energy_which_adds_up_to_nothing_else() -> None:
    """The declared difference is 10,000 times the energy gained, so over an episode only its ends count."""
    seen, paid, _ = drive("swing")
    obs, following = jnp.asarray(seen[:-1]), jnp.asarray(seen[1:])
    planned = jax.vmap(MOUNTAIN_CAR.imagined_reward)(obs, jnp.ones((len(paid), 1)), following)
    energy = 0.5 * seen[:, 1] ** 2 + 0.0025 / 3.0 * np.sin(3.0 * seen[:, 0])
    gained = 1e4 * (energy[-1] - energy[0])
    assert gained > 10.0
    assert float(jnp.sum(planned)) - sum(paid) == pytest.approx(gained, rel=1e-3)


def test_the_double_pendulum_is_gymnasiums() -> None:
    """The same states to the bit and the same ends; what is paid differs by what Gymnasium reads late."""
    ours, theirs = make_env(INVERTED_DOUBLE_PENDULUM), gymnasium.make("InvertedDoublePendulum-v5")
    obs, _ = theirs.reset(seed=1)
    assert np.array_equal(ours.reset(1), obs[:8].astype(np.float32))
    ended = False
    while not ended:
        seen, reward, ended = ours.step(np.asarray([0.1], np.float32))
        obs, expected, terminated, _, _ = theirs.step(np.asarray([0.1], np.float32))
        assert ended == terminated
        assert reward == pytest.approx(expected, abs=0.2)
        assert np.array_equal(seen[:8], obs[:8].astype(np.float32))


def test_fast_poles_are_seen_as_fast() -> None:
    """Velocities beyond 10, which Gymnasium clips but charges for, are observed and charged for."""
    env = make_env(INVERTED_DOUBLE_PENDULUM)
    before = env.reset(0)
    env.env.unwrapped.data.qvel[2] = 25.0  # type: ignore[attr-defined]
    after, reward, _ = env.step(np.zeros(1, np.float32))
    assert abs(after[7]) > 10.5
    assert float(INVERTED_DOUBLE_PENDULUM.reward(before, np.zeros(1), after)) == pytest.approx(reward, abs=1e-5)


@pytest.mark.parametrize(("angle", "is_over"), [(0.0, False), (0.3, False), (0.6, True), (-0.6, True), (3.1, True)])
def test_the_double_pendulum_ends_below_one(angle: float, is_over: bool) -> None:
    """With both poles at this angle from upright the tip is at 0.6 cos t + 0.6 cos 2t."""
    assert (0.6 * np.cos(angle) + 0.6 * np.cos(2.0 * angle) <= 1.0) == is_over
    obs = jnp.asarray([0.3, *[np.sin(angle)] * 2, *[np.cos(angle)] * 2, 0.0, 0.0, 0.0], jnp.float32)
    assert bool(INVERTED_DOUBLE_PENDULUM.terminated(obs)) == is_over


@pytest.mark.parametrize("seed", range(5))
def test_the_balanced_pole_at_full_force_is_gymnasiums(seed: int) -> None:
    """From the same start, with the same random pushes: the same states, rewards and end."""
    ours, theirs, rng = make_env(CARTPOLE_BALANCE), gymnasium.make("CartPole-v1"), np.random.default_rng(seed)
    obs, _ = theirs.reset(seed=seed)
    np.testing.assert_allclose(ours.reset(seed), obs, atol=1e-7)
    ended, num_steps = False, 0
    while not ended:
        push = int(rng.integers(2))
        obs, expected, ended, _, _ = theirs.step(push)
        seen, reward, is_over = ours.step(np.asarray([2.0 * push - 1.0], np.float32))
        np.testing.assert_allclose(seen, obs, atol=1e-5)
        assert (reward, is_over) == (expected, ended)
        assert bool(CARTPOLE_BALANCE.terminated(jnp.asarray(seen))) == ended
        num_steps += 1
    assert num_steps > 8


def test_half_the_force_accelerates_half_as_much() -> None:
    """Upright and at rest: x'' = F / (m_c + m_p - 3/4 m_p) for a rod of mass m_p, worked out by hand."""
    accelerations = [pole(np.zeros(4), np.array([push]), np)[1] / POLE_STEP_S for push in (1.0, 0.5, 2.0)]
    assert accelerations == pytest.approx([10 / 1.025, 5 / 1.025, 10 / 1.025])


def test_a_pole_that_is_not_finite_has_fallen() -> None:
    assert bool(CARTPOLE_BALANCE.terminated(jnp.asarray([0.0, 0.0, np.nan, 0.0])))
