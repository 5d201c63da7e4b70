"""Arms: forward kinematics against MuJoCo's own, and the paper's numbers."""

from typing import Any

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from cartwheel.envs.arms import arm_point
from cartwheel.envs.pool import make_env
from cartwheel.envs.tasks import PETS_PUSHER, PETS_REACHER3D, REACHER, Task


def simulation(task: Task) -> Any:
    return make_env(task).env.unwrapped


def placed(robot: Any, rng: np.random.Generator) -> np.ndarray:
    """A random configuration, also beyond the joints' limits, with all positions computed."""
    robot.data.qpos[:] = rng.uniform(-3.0, 3.0, robot.model.nq)
    mujoco.mj_kinematics(robot.model, robot.data)
    return robot.data.qpos.copy()


def test_the_end_effector_is_where_mujoco_has_it() -> None:
    """EE(q) in 200 random configurations, for NumPy on the host and for JAX in a plan."""
    robot, rng = simulation(PETS_REACHER3D), np.random.default_rng(0)
    for _ in range(200):
        q = placed(robot, rng)[:7]
        expected = robot.data.site("end_effector").xpos
        np.testing.assert_allclose(arm_point(q, (0.0, -0.188, 0.0), 0.16828, np), expected, atol=1e-12)
        found = arm_point(jnp.asarray(q, jnp.float32), (0.0, -0.188, 0.0), 0.16828, jnp)
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("task", [PETS_PUSHER, REACHER, PETS_REACHER3D], ids=lambda task: task.id)
def test_observations_follow_from_states(task: Task) -> None:
    """In random configurations ``observe`` says what the environment observes: tips, objects, distances."""
    env, rng = make_env(task), np.random.default_rng(1)
    env.reset(0)
    robot: Any = env.env.unwrapped
    for _ in range(50):
        qpos = placed(robot, rng)
        robot.data.qvel[:] = rng.normal(size=robot.model.nv)
        seen = robot._get_obs() if task is REACHER else robot._observe()
        np.testing.assert_allclose(task.observe(qpos, qpos, robot.data.qvel), seen, atol=1e-12)


def test_reacher3d_is_the_papers_arm() -> None:
    """Joints, ranges, damping, armature, motors; no gravity, no contacts."""
    robot = simulation(PETS_REACHER3D)
    model = robot.model
    assert (model.opt.timestep, robot.frame_skip, PETS_REACHER3D.step_s) == (0.01, 2, pytest.approx(robot.dt))
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert not model.opt.gravity.any()
    assert not model.geom_contype.any()
    assert not model.geom_conaffinity.any()
    assert model.dof_damping.tolist() == [10.0, 10.0, 0.1, 1.0, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0]
    assert set(model.dof_armature) == {0.04}
    assert model.jnt_limited.tolist() == [1, 1, 1, 1, 0, 1, 0, 0, 0, 0]
    ranges = [(-2.2854, 1.7146), (-0.5236, 1.3963), (-3.9, 0.8), (-2.3213, 0.0), (-2.094, 0.0)]
    assert [tuple(row) for row in model.jnt_range[model.jnt_limited.astype(bool)]] == ranges
    assert model.jnt_axis[:7].argmax(axis=1).tolist() == [2, 1, 0, 1, 0, 1, 0]
    assert model.actuator_ctrlrange.tolist() == [[-20.0, 20.0]] * 7
    assert model.actuator_trnid[:, 0].tolist() == list(range(7))


def test_reacher3d_starts_at_rest_with_its_goal_somewhere() -> None:
    """The goal is (0, 0.25, 0) + N(0, 0.1), is observed, and stays where it is."""
    env = make_env(PETS_REACHER3D)
    starts = np.stack([env.reset(seed) for seed in range(400)])
    np.testing.assert_allclose(starts[:, 7:10].mean(axis=0), [0.0, 0.25, 0.0], atol=0.025)
    np.testing.assert_allclose(starts[:, 7:10].std(axis=0), 0.1, rtol=0.18)
    assert not starts[:, :7].any()
    assert not starts[:, 10:].any()
    for _ in range(20):
        obs, _, _ = env.step(np.full(7, 20.0, np.float32))
    assert np.array_equal(obs[7:10], starts[-1, 7:10])
    assert np.abs(obs[:7]).max() > 0.1


def test_reaching_the_goal_is_worth_everything_but_effort() -> None:
    """With the goal at the end effector nothing is lost but 0.01 |a|^2; 0.3 away costs 0.09."""
    robot = simulation(PETS_REACHER3D)
    q = placed(robot, np.random.default_rng(2))
    there = robot.data.site("end_effector").xpos
    obs = np.concatenate([q[:7], there, np.zeros(7)]).astype(np.float32)
    action = np.full(7, 2.0, np.float32)
    assert float(PETS_REACHER3D.reward(obs, action, obs)) == pytest.approx(-0.28, abs=1e-5)
    obs[8] += 0.3
    assert float(PETS_REACHER3D.reward(obs, action, obs)) == pytest.approx(-0.37, abs=1e-5)


def test_pusher_is_gymnasiums_with_the_papers_start() -> None:
    """pusher_v5.xml at frame skip 4; the object starts around (-0.25, 0.15) of its place, the goal never moves."""
    robot = simulation(PETS_PUSHER)
    assert robot.fullpath.endswith("pusher_v5.xml")
    assert (robot.model.opt.timestep, robot.frame_skip) == (0.01, 4)
    assert PETS_PUSHER.step_s == pytest.approx(robot.dt)
    offsets, env = [], make_env(PETS_PUSHER)
    inner: Any = env.env.unwrapped
    for seed in range(400):
        env.reset(seed)
        offsets.append(inner.data.qpos[7:9].copy())
        assert inner.data.body("goal").xpos.tolist() == [0.45, -0.05, -0.323]
    np.testing.assert_allclose(np.mean(offsets, axis=0), [-0.25, 0.15], atol=0.007)
    np.testing.assert_allclose(np.std(offsets, axis=0), 0.025, rtol=0.18)


def test_pusher_pays_for_the_state_after_the_step() -> None:
    """0.5 L1(tip, object) + 1.25 L1(object, goal) + 0.1 |a|^2 of the next observation; the one before is not used."""
    tip, thing = [0.1, 0.2, -0.2], [0.4, -0.15, -0.275]
    after = jnp.asarray([*[0.0] * 14, *tip, *thing])
    expected = -(0.5 * (0.3 + 0.35 + 0.075) + 1.25 * (0.05 + 0.1 + 0.048)) - 0.1 * 7 * 4.0
    for before in (jnp.zeros(20), jnp.ones(20)):
        found = PETS_PUSHER.reward(before, jnp.full(7, 2.0), after)
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_reachers_target_stays_where_it_is() -> None:
    """Whatever the model predicts, the target does not wander and cosines and sines belong to angles."""
    obs = jnp.asarray([1.0, 0.6, 0.0, 0.8, 0.05, -0.1, 0.0, 0.0, 0.1, 0.1])
    following = REACHER.next_obs(obs, jnp.full(8, 0.2))
    assert following[4:6].tolist() == obs[4:6].tolist()
    np.testing.assert_allclose(following[:2] ** 2 + following[2:4] ** 2, 1.0, atol=1e-6)
    np.testing.assert_allclose(following[6:], obs[6:] + 0.2, atol=1e-6)
    assert float(REACHER.reward(obs, jnp.asarray([1.0, -0.5]), obs)) == pytest.approx(-(0.02**0.5) - 1.25)


@pytest.mark.parametrize(
    ("task", "defaults"),
    [
        (PETS_REACHER3D, {"plan_horizon": 25, "learning_rate": 7.5e-4, "weight_decay": 5e-4, "initial_std": 0.1}),
        (PETS_PUSHER, {"plan_horizon": 25, "weight_decay": 5e-4, "num_iterations": 5, "initial_std": 0.15}),
    ],
    ids=["reacher3d", "pusher"],
)
def test_the_papers_settings_come_with_its_tasks(task: Task, defaults: dict[str, float]) -> None:
    """Horizon, learning rate and weight decay are the paper's, the noise is for fewer samples; 150 steps."""
    assert task.defaults == defaults
    assert task.episode_length == 150
