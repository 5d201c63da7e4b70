"""Walking, running and swimming: what the tasks say, at the edges, and what is kept from the model."""

from typing import Any

import gymnasium
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from cartwheel.envs.pool import WatchedEnv, make_env
from cartwheel.envs.tasks import (
    ANT,
    HALFCHEETAH,
    HEXAPOD,
    HOPPER,
    PETS_HALFCHEETAH,
    PETS_HOPPER,
    QUADRUPED,
    REACHER,
    SWIMMER,
    WALKER2D,
    Task,
)

NUM_PLACES = [(HALFCHEETAH, 1), (HOPPER, 1), (WALKER2D, 1), (SWIMMER, 2), (ANT, 2), (QUADRUPED, 2), (HEXAPOD, 2)]


def name_of(value: Any) -> str:
    return value.id if isinstance(value, Task) else str(value)


def inner(env: WatchedEnv) -> Any:
    return env.env.unwrapped


def simulation(task: Task) -> tuple[str, float, int]:
    robot = inner(make_env(task))
    return type(robot).__name__, robot.model.opt.timestep, robot.frame_skip


def test_the_papers_robots_are_gymnasiums() -> None:
    """The same bodies as in Gymnasium's cheetah and hopper, the paper's time steps, 1,000 steps an episode."""
    for own, theirs in ((PETS_HALFCHEETAH, HALFCHEETAH), (PETS_HOPPER, HOPPER)):
        one, two = inner(make_env(own)), inner(make_env(theirs))
        for name in ("body_mass", "body_inertia", "dof_damping", "dof_armature", "actuator_gear", "jnt_range"):
            assert np.array_equal(getattr(one.model, name), getattr(two.model, name))
        assert one.dt == pytest.approx(own.step_s)
        assert own.episode_length == 1000
    assert simulation(PETS_HALFCHEETAH) == ("PetsHalfCheetah", 0.01, 5)
    assert simulation(PETS_HOPPER) == ("PetsHopper", 0.002, 4)


def test_the_cheetah_starts_with_the_papers_noise() -> None:
    """Positions uniform within 0.1, velocities normal with deviation 0.1, and no velocity yet."""
    env = make_env(PETS_HALFCHEETAH)
    starts = np.stack([env.reset(seed) for seed in range(400)])
    assert not starts[:, 0].any()
    assert 0.095 < np.abs(starts[:, 1:9]).max() <= 0.1
    np.testing.assert_allclose(starts[:, 9:].std(axis=0), 0.1, rtol=0.18)


def test_the_hopper_starts_almost_upright() -> None:
    """Positions and velocities within 0.005 of standing at 1.25."""
    env = make_env(PETS_HOPPER)
    starts = np.stack([env.reset(seed) for seed in range(100)])
    standing = np.asarray([0.0, 1.25, *[0.0] * 10])
    assert not starts[:, 0].any()
    assert 0.0045 < np.abs(starts - standing).max() <= 0.005 + 1e-6


@pytest.mark.parametrize("task", [PETS_HALFCHEETAH, PETS_HOPPER], ids=name_of)
def test_velocity_is_predicted_as_it_is_the_rest_as_changes(task: Task) -> None:
    """The model does not see v, and its prediction of v does not depend on the v before."""
    rng = np.random.default_rng(0)
    obs, following = (jnp.asarray(rng.normal(size=task.obs_size), jnp.float32) for _ in range(2))
    faster = obs.at[0].add(5.0)
    assert np.array_equal(task.encode(obs), task.encode(faster))
    target = task.target(obs, following)
    assert float(target[0]) == float(following[0])
    assert np.array_equal(target, task.target(faster, following))
    np.testing.assert_allclose(target[1:], following[1:] - obs[1:])
    assert np.array_equal(task.next_obs(faster, target), task.next_obs(obs, target))


def test_a_turned_cheetah_looks_the_same() -> None:
    """A full turn of the pitch changes nothing that the model sees: cartwheels repeat themselves."""
    obs = jnp.asarray(np.random.default_rng(1).normal(size=18), jnp.float32)
    for task in (PETS_HALFCHEETAH, HALFCHEETAH):
        turned = task.encode(obs.at[2].add(2.0 * jnp.pi))
        np.testing.assert_allclose(turned, task.encode(obs), atol=1e-6)
        assert turned.shape == (18,)


UPRIGHT = [0.0, 1.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "bonus"),
    [
        ({}, 1.0),
        ({1: 0.69}, 0.0),
        ({1: 0.71}, 1.0),
        ({2: 0.21}, 0.0),
        ({2: -0.21}, 0.0),
        ({2: -0.19}, 1.0),
        ({3: 101.0}, 0.0),
        ({0: 101.0}, 1.0),
        ({5: np.nan}, 0.0),
        ({5: np.inf}, 0.0),
    ],
)
def test_the_hopper_is_paid_for_being_upright_and_the_planner_is_not(changes: dict[int, float], bonus: float) -> None:
    """1 while all but v and z is below 100, z above 0.7, the angle within 0.2; the planner does without."""
    obs = np.asarray(UPRIGHT, np.float32)
    for index, value in changes.items():
        obs[index] = value
    action = jnp.asarray([0.5, -1.0, 0.0])
    planned = PETS_HOPPER.imagined_reward(jnp.asarray(obs), action, jnp.asarray(obs))
    assert float(planned) == pytest.approx(obs[0] - 0.001 * 1.25)
    assert float(PETS_HOPPER.reward(jnp.asarray(obs), action, jnp.asarray(obs)) - planned) == pytest.approx(bonus)


def test_the_papers_hopper_may_lie_down() -> None:
    """Falling loses the bonus and ends nothing."""
    env = make_env(PETS_HOPPER)
    env.reset(0)
    paid = [env.step(np.ones(3, np.float32)) for _ in range(300)]
    assert not any(ended for _, _, ended in paid)
    assert paid[0][1] > 0.9
    lying, reward, _ = paid[-1]
    assert abs(lying[2]) > 0.2
    assert reward == pytest.approx(float(lying[0]) - 0.003, abs=1e-5)


@pytest.mark.parametrize(("task", "num_places"), NUM_PLACES, ids=name_of)
def test_the_model_does_not_see_where_it_is(task: Task, num_places: int) -> None:
    """Moving start and end of a step alike changes neither what the model sees or predicts nor the reward."""
    rng, places = np.random.default_rng(2), slice(0, num_places)
    obs, following = (jnp.asarray(rng.normal(size=task.obs_size), jnp.float32) for _ in range(2))
    action = jnp.zeros(task.action_size)
    there, then = obs.at[places].add(4.0), following.at[places].add(4.0)
    assert np.array_equal(task.encode(obs), task.encode(there))
    np.testing.assert_allclose(task.target(there, then), task.target(obs, following), atol=1e-5)
    paid = float(task.reward(obs, action, following))
    assert float(task.reward(there, action, then)) == pytest.approx(paid, abs=1e-3)
    assert float(task.reward(obs, action, then)) == pytest.approx(paid + 4.0 / task.step_s, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "index", "value", "is_over"),
    [
        (HOPPER, 1, 0.71, False),
        (HOPPER, 1, 0.69, True),
        (HOPPER, 2, 0.21, True),
        (HOPPER, 2, -0.19, False),
        (HOPPER, 3, 101.0, True),
        (HOPPER, 4, np.nan, True),
        (WALKER2D, 1, 0.79, True),
        (WALKER2D, 1, 1.99, False),
        (WALKER2D, 1, 2.01, True),
        (WALKER2D, 2, 1.01, True),
        (WALKER2D, 2, -0.99, False),
        (ANT, 2, 0.19, True),
        (ANT, 2, 0.21, False),
        (ANT, 2, 1.01, True),
        (ANT, 20, np.inf, True),
    ],
    ids=name_of,
)
def test_episodes_end_where_gymnasium_ends_them(task: Task, index: int, value: float, is_over: bool) -> None:
    """Just inside and just outside of every limit; the bonus for being alive goes with it."""
    place, height = (2, 0.75) if task is ANT else (1, 1.25)
    obs = jnp.zeros(task.obs_size).at[place].set(height)
    assert not bool(task.terminated(obs))
    edge = obs.at[index].set(value)
    assert bool(task.terminated(edge)) == is_over
    assert float(task.reward(obs, jnp.zeros(task.action_size), edge)) == (0.0 if is_over else 1.0)


@pytest.mark.parametrize("task", [ANT, REACHER], ids=name_of)
def test_refreshed_environments_have_gymnasiums_physics(task: Task) -> None:
    """The same states to the bit; only what was read late differs, and by little."""
    ours, theirs = make_env(task), gymnasium.make(task.id, **task.env_kwargs)
    ours.reset(3)
    theirs.reset(seed=3)
    rng, paid = np.random.default_rng(0), []
    for _ in range(50):
        action = rng.uniform(-1.0, 1.0, task.action_size).astype(np.float32)
        paid.append((ours.step(action)[1], theirs.step(action)[1]))
        assert np.array_equal(inner(ours).data.qpos, theirs.unwrapped.data.qpos)
        assert np.array_equal(inner(ours).data.qvel, theirs.unwrapped.data.qvel)
    np.testing.assert_allclose(*zip(*paid, strict=True), atol=0.1)
    assert len({one - two for one, two in paid}) > 1  # or nothing needed to be refreshed


@pytest.mark.parametrize("task", [QUADRUPED, HEXAPOD], ids=name_of)
class TestWalkers:
    """Two robots of our own."""

    def test_they_stand(self, task: Task) -> None:
        """Without commands they stand for 1,000 steps where they were put, level, and at rest."""
        env = make_env(task)
        first = env.reset(0)
        for _ in range(1000):
            obs, reward, ended = env.step(np.zeros(task.action_size, np.float32))
            assert not ended
        assert not env.warnings
        np.testing.assert_allclose(obs[:3], first[:3], atol=0.03)
        assert abs(obs[3]) > 0.999
        assert np.abs(obs[-inner(env).model.nv :]).max() < 1e-3
        assert reward == pytest.approx(0.0, abs=1e-3)

    def test_they_survive_anything(self, task: Task) -> None:
        """1,000 random commands and hard switches: within bounds, no warnings, no end."""
        env, rng = make_env(task), np.random.default_rng(0)
        env.reset(1)
        low, high = np.asarray(task.action_low, np.float32), np.asarray(task.action_high, np.float32)
        for t in range(1000):
            hard = high if t // 5 % 2 else low
            obs, _, ended = env.step(hard if t % 200 < 100 else rng.uniform(low, high).astype(np.float32))
            assert not ended
            assert np.abs(obs).max() < task.state_bound / 5
        assert not env.warnings

    def test_their_legs_can_push(self, task: Task) -> None:
        """Every servo moves the body: no joint is a dead knob."""
        env = make_env(task)
        assert task.action_size == inner(env).model.nu
        for servo in range(task.action_size):
            rest, moved = [], []
            for places, command in ((rest, 0.0), (moved, 0.5)):
                env.reset(0)
                action = np.zeros(task.action_size, np.float32)
                action[servo] = command
                for _ in range(20):
                    obs, _, _ = env.step(action)
                places.append(obs)
            joint = 7 + servo
            assert moved[0][joint] - rest[0][joint] > 0.2
            assert np.abs(moved[0][:3] - rest[0][:3]).max() > 1e-4

    def test_imagined_attitudes_stay_rotations(self, task: Task) -> None:
        """The quaternion of a predicted observation has norm 1, whatever was predicted."""
        obs = jnp.zeros(task.obs_size).at[3].set(1.0)
        following = task.next_obs(obs, jnp.full(task.obs_size, 0.3))
        assert float(jnp.linalg.norm(following[3:7])) == pytest.approx(1.0)
        assert float(following[0]) == pytest.approx(0.3)


def test_legs_are_counted() -> None:
    """A quadruped has four feet on the ground, a hexapod six."""
    for task, num_legs in ((QUADRUPED, 4), (HEXAPOD, 6)):
        env = make_env(task)
        env.reset(0)
        for _ in range(20):
            env.step(np.zeros(task.action_size, np.float32))
        model, data = inner(env).model, inner(env).data
        pairs = {mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, c.geom[1]) for c in data.contact[: data.ncon]}
        assert len(pairs) == num_legs
        assert all(name.endswith("_foot") for name in pairs)
