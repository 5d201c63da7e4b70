"""Each task's formulas against what its environment really does, on recorded transitions."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from cartwheel.envs import probes, tasks
from cartwheel.envs.pool import make_env
from cartwheel.envs.simulator import true_dynamics
from cartwheel.envs.tasks import Task

SHIPPED = ["InvertedPendulum-v5", "Pendulum-v1", "cartpole-swingup", "line"]
NUM_STEPS = 160


def all_tasks() -> list[Task]:
    """Everything that is registered, the probes too."""
    probes.register()
    return [tasks.get_task(name) for name in tasks.task_ids()]


@dataclasses.dataclass
class Record:
    """Transitions of one environment, in float32, and what it paid."""

    obs: list[Any] = dataclasses.field(default_factory=list)
    action: list[Any] = dataclasses.field(default_factory=list)
    next_obs: list[Any] = dataclasses.field(default_factory=list)
    reward: list[float] = dataclasses.field(default_factory=list)
    terminated: list[bool] = dataclasses.field(default_factory=list)

    def arrays(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        return jnp.asarray(self.obs), jnp.asarray(self.action), jnp.asarray(self.next_obs)


@functools.cache
def record(name: str) -> Record:
    """Random actions, both extremes for long, what swings and what pumps: many episodes where they end early."""
    task = tasks.get_task(name)
    env, rng, found = make_env(task), np.random.default_rng(1), Record()
    low, high = np.asarray(task.action_low, np.float32), np.asarray(task.action_high, np.float32)
    plans = [
        lambda t, obs: rng.uniform(low, high).astype(np.float32),
        lambda t, obs: high,
        lambda t, obs: low,
        lambda t, obs: high if t // 10 % 2 else low,
        lambda t, obs: high if obs[-1] > 0 else low,
    ]
    for seed, choose in enumerate(plans):
        obs, ended = env.reset(seed), False
        for t in range(NUM_STEPS):
            if ended or t % task.episode_length == 0:
                obs, ended = env.reset(100 * seed + t), False
            action = choose(t, obs)
            next_obs, reward, ended = env.step(action)
            for column, value in zip((found.obs, found.action, found.next_obs), (obs, action, next_obs), strict=True):
                column.append(value)
            found.reward.append(reward)
            found.terminated.append(ended)
            obs = next_obs
    env.close()
    return found


@pytest.fixture(params=[task.id for task in all_tasks()])
def task(request: pytest.FixtureRequest) -> Task:
    return tasks.get_task(request.param)


def test_the_shipped_tasks_are_here() -> None:
    """What the documentation names is registered."""
    assert set(SHIPPED) <= set(tasks.task_ids())


def test_reward_is_what_the_environment_pays(task: Task) -> None:
    """On random and extreme actions the task's formula gives the environment's reward."""
    seen = record(task.id)
    found = jax.jit(jax.vmap(task.reward))(*seen.arrays())
    np.testing.assert_allclose(found, seen.reward, rtol=2e-5, atol=2e-5)
    assert np.abs(seen.reward).max() <= task.reward_bound
    assert task.id == "probe-bandit" or np.std(seen.reward) > 0 or task.has_termination


def test_termination_is_the_environments(task: Task) -> None:
    """The formula says "ended" exactly where the environment did; a task that never ends says so."""
    seen = record(task.id)
    found = jax.jit(jax.vmap(task.terminated))(jnp.asarray(seen.next_obs))
    assert found.tolist() == seen.terminated
    assert any(seen.terminated) == task.has_termination


def test_predictions_lead_back_to_the_observation(task: Task) -> None:
    """next_obs is the inverse of target: a perfect prediction gives the next observation."""
    obs, _, next_obs = record(task.id).arrays()
    target = jax.jit(jax.vmap(task.target))(obs, next_obs)
    found = jax.jit(jax.vmap(task.next_obs))(obs, target)
    np.testing.assert_allclose(found, next_obs, rtol=1e-5, atol=1e-5)


def test_encodings_are_finite_and_bounds_are_the_environments(task: Task) -> None:
    """What the model sees is finite, and actions reach exactly as far as the environment's space."""
    encoded = jax.jit(jax.vmap(task.encode))(jnp.asarray(record(task.id).obs))
    assert np.all(np.isfinite(encoded))
    env = make_env(task)
    space: Any = env.env.action_space
    assert space.low.tolist() == pytest.approx(list(task.action_low))
    assert space.high.tolist() == pytest.approx(list(task.action_high))
    env.close()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_planner_maximises_the_reward_unless_declared(name: str) -> None:
    """InvertedPendulum declares a shaped reward; it is lower than the true one by exactly its penalty."""
    shipped = tasks.get_task(name)
    seen = record(name).arrays()
    paid, planned = (np.asarray(jax.vmap(f)(*seen)) for f in (shipped.reward, shipped.imagined_reward))
    if name != "InvertedPendulum-v5":
        assert shipped.planner_reward is None
        assert np.array_equal(paid, planned)
        return
    x, angle, velocity = np.asarray(seen[2])[:, :3].T
    penalty = 0.5 * x**2 + 10.0 * angle**2 + 0.05 * velocity**2
    np.testing.assert_allclose(paid - planned, penalty, atol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_true_dynamics_predict_the_environment(name: str) -> None:
    """The ceiling's rollouts are what executing the same actions gives, from any state on the way."""
    shipped = tasks.get_task(name)
    env, rng = make_env(shipped), np.random.default_rng(3)
    rollout = true_dynamics(env)
    obs = env.reset(5)
    for _ in range(3):
        size = (2, 4, shipped.action_size)
        plans = rng.uniform(shipped.action_low, shipped.action_high, size).astype(np.float32) * 0.3
        imagined = rollout(obs, plans)[1]
        for action, expected in zip(plans[1], imagined, strict=True):
            obs, _, _ = env.step(action)
            np.testing.assert_allclose(obs, expected, rtol=1e-4, atol=1e-5)
    env.close()


def test_targets_are_changes_or_what_will_be() -> None:
    """Each dimension its own way, and back; a task that is changed later follows."""
    line = dataclasses.replace(tasks.LINE, absolute_targets=(1,))
    obs, after = jnp.asarray([1.0, 5.0]), jnp.asarray([1.5, 7.0])
    assert line.target(obs, after).tolist() == [0.5, 7.0]
    assert line.next_obs(obs, jnp.asarray([0.5, 7.0])).tolist() == [1.5, 7.0]
    longer = dataclasses.replace(line, episode_length=7)
    assert longer.target(obs, after).tolist() == [0.5, 7.0]
    assert dataclasses.replace(longer, absolute_targets=()).target(obs, after).tolist() == [0.5, 2.0]


def test_absolute_targets_that_make_no_sense_are_refused() -> None:
    """A dimension that is not there, or formulas of one's own beside."""
    with pytest.raises(ValueError, match="'line': absolute_targets are numbers of dimensions below 2"):
        dataclasses.replace(tasks.LINE, absolute_targets=(2,))
    with pytest.raises(ValueError, match="'Pendulum-v1': give absolute_targets, or a target and next_obs of your own"):
        dataclasses.replace(tasks.PENDULUM, absolute_targets=(2,))


def test_unknown_dynamics_are_said_to_be_unknown() -> None:
    """A task without equations has no ceiling, and the error says so."""
    env = make_env(dataclasses.replace(probes.CLIFF.task, equations=None))
    with pytest.raises(ValueError, match="'probe-cliff': its true dynamics are not known"):
        true_dynamics(env)


def test_swing_up_is_the_papers_cart_and_pole() -> None:
    """Masses, time step, integrator, joints, motor and rail are those that the paper's environment had."""
    inner: Any = make_env(tasks.CARTPOLE_SWINGUP).env.unwrapped
    model = inner.model
    masses = {model.body(i).name: float(model.body(i).mass[0]) for i in range(model.nbody)}
    assert masses["cart"] == pytest.approx(10.47, abs=0.005)
    assert masses["pole"] == pytest.approx(5.02, abs=0.005)
    assert (model.opt.timestep, inner.frame_skip) == (0.02, 2)
    assert tasks.CARTPOLE_SWINGUP.step_s == pytest.approx(inner.dt)
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    assert model.opt.gravity.tolist() == [0.0, 0.0, -9.81]
    assert model.joint("slider").range.tolist() == [-2.5, 2.5]
    assert bool(model.joint("slider").limited[0])
    assert not bool(model.joint("hinge").limited[0])
    assert model.joint("hinge").axis.tolist() == [0.0, 1.0, 0.0]
    assert model.dof_damping.tolist() == [1.0, 1.0]
    assert model.actuator_gear[0, 0] == 100.0
    assert model.actuator_ctrlrange.tolist() == [[-3.0, 3.0]]
    assert not model.geom_contype.any()


def test_swing_up_starts_near_hanging() -> None:
    """Positions and velocities start at N(0, 0.1): hanging is theta = 0, and the pole's tip hangs below the cart."""
    env = make_env(tasks.CARTPOLE_SWINGUP)
    starts = np.stack([env.reset(seed) for seed in range(400)])
    np.testing.assert_allclose(starts.mean(axis=0), 0.0, atol=0.025)  # five standard errors
    np.testing.assert_allclose(starts.std(axis=0), 0.1, rtol=0.18)
    inner: Any = env.env.unwrapped
    mujoco.mj_resetData(inner.model, inner.data)
    mujoco.mj_forward(inner.model, inner.data)
    assert inner.data.geom("pole").xpos[2] == pytest.approx(-0.3, abs=1e-3)
    upright = jnp.asarray([0.0, jnp.pi, 0.0, 0.0])
    assert float(tasks.CARTPOLE_SWINGUP.reward(upright, jnp.zeros(1), upright)) == pytest.approx(1.0)


def test_tasks_are_found_by_name() -> None:
    """An unknown name is met with the closest one, a taken name is not given away, lengths can be chosen."""
    with pytest.raises(ValueError, match="did you mean 'cartpole-swingup'"):
        tasks.get_task("cartpole-swingpu")
    with pytest.raises(ValueError, match="another task has this id"):
        tasks.register_task(dataclasses.replace(tasks.LINE, episode_length=3))
    tasks.register_task(tasks.LINE)
    assert tasks.get_task("line", episode_length=7).episode_length == 7
    assert tasks.get_task("line").episode_length == 30
