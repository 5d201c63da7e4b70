"""The audit: measures what physics did, and says at which step it stopped being plausible."""

import dataclasses
import math
from typing import Any

import mujoco
import numpy as np
import pytest

from cartwheel.envs.audit import PhysicsAudit, simulator_of
from cartwheel.envs.pool import EnvironmentFailed, WatchedEnv, make_env
from cartwheel.envs.tasks import LINE, PETS_HALFCHEETAH, PETS_HOPPER, Task, get_task, registered_later, task_ids
from cartwheel.exploits import counted_return, first_implausible_step, num_turns, plausible_return, reasons
from cartwheel.records import Episode

BLOW_UP_AT = 8


def cheetah() -> tuple[WatchedEnv, Any]:
    """A cheetah at its start, and its simulator."""
    env = make_env(PETS_HALFCHEETAH)
    env.reset(0)
    return env, env.env.unwrapped


def rest(env: WatchedEnv) -> float:
    """Step without a command; what it pays."""
    return env.step(np.zeros(env.task.action_size, np.float32))[1]


def recorded(env: WatchedEnv, total: float) -> Episode:
    return Episode(1, total, env.step_index, metrics=env.metrics, warnings=dict(env.warnings))


def test_a_scripted_blow_up_is_caught_at_its_step() -> None:
    """Pushes, of which that before step 8 is beyond what a cheetah can do; no counter of MuJoCo moves."""
    env, robot = cheetah()
    rewards = []
    for step in range(1, 15):
        robot.data.qvel[0] = 60.0 if step >= BLOW_UP_AT else 1.0 * step
        rewards.append(rest(env))
    episode = recorded(env, sum(rewards))
    assert not any(kind.startswith("BAD") for kind in episode.warnings)
    assert first_implausible_step(episode) == BLOW_UP_AT
    assert reasons(episode) == ["energy_out_of_bounds", "reward_out_of_bounds", "speed_out_of_bounds"]
    assert plausible_return(episode) == pytest.approx(sum(rewards[: BLOW_UP_AT - 1]))
    mean = sum(rewards[: BLOW_UP_AT - 1]) / (BLOW_UP_AT - 1)
    capped = sum(rewards[: BLOW_UP_AT - 1]) + sum(min(r, mean) for r in rewards[BLOW_UP_AT - 1 :])
    assert counted_return(episode, "cap") == pytest.approx(capped)
    assert num_turns(episode) == 0


def test_a_warning_of_the_simulator_is_caught_at_its_step() -> None:
    env, robot = cheetah()
    for _ in range(3):
        rest(env)
    robot.data.qvel[3] = np.nan
    with pytest.raises(EnvironmentFailed, match="step 4 broke the simulator"):
        rest(env)
    assert first_implausible_step(recorded(env, 0.0)) == 4
    assert "BADQVEL" in reasons(recorded(env, 0.0))


def floating(env: WatchedEnv, height_m: float = 5.0) -> PhysicsAudit:
    """A robot at rest high above the floor, without springs and damping, watched from there on."""
    robot: Any = env.env.unwrapped
    robot.model.dof_damping[:], robot.model.jnt_stiffness[:] = 0.0, 0.0
    robot.data.qpos[1], robot.data.qvel[:] = height_m, 0.0
    mujoco.mj_forward(robot.model, robot.data)
    env._audit = PhysicsAudit(env.task, simulator_of(env.env))
    env._audit.see(0, np.zeros(1, np.float32), 0.0)
    return env._audit


def turned(quarters: list[int]) -> PhysicsAudit:
    """Where the trunk is turned by so many quarters before each step, in free space without gravity."""
    env, robot = cheetah()
    robot.model.opt.gravity[:] = 0.0
    audit = floating(env)
    for number in quarters:
        robot.data.qpos[2] += number * math.pi / 2
        rest(env)
    return audit


def test_turning_over_is_counted_and_no_fault() -> None:
    """Eighteen quarters are four full turns, and nothing is noted."""
    audit = turned([1] * 18)
    assert audit.metrics["turns"] == 4
    assert not audit.warnings


def test_turns_in_both_directions_count_and_rocking_does_not() -> None:
    assert turned([5, -5, -5]).metrics["turns"] == 3
    assert turned([3, -3, -3, 3]).metrics["turns"] == 0


@pytest.mark.parametrize("task", [task for task in map(get_task, task_ids()) if task.trunk_angle is not None])
def test_turns_are_counted_in_every_task_with_a_trunk(task: Task) -> None:
    """Cheetahs, hoppers and the walker: three quarters are no turn, nine are two."""
    env = make_env(task)
    env.reset(0)
    robot: Any = env.env.unwrapped
    assert robot.model.jnt_type[task.trunk_angle] == mujoco.mjtJoint.mjJNT_HINGE
    for quarter in range(1, 10):
        robot.data.qpos[task.trunk_angle] += math.pi / 2 + 1e-6  # so that no rounding keeps it below a full turn
        robot.data.time += 1.0
        env._audit.see(quarter, np.zeros(1, np.float32), 0.0)
        assert env.metrics["turns"] == quarter // 4


def test_robots_with_a_trunk_are_those_that_run_on_a_line() -> None:
    """Whose trunk has an angle of its own; one that is free in space needs none."""
    shipped = set(task_ids()) - registered_later()  # by other tests
    told = {task.id for task in map(get_task, shipped) if task.trunk_angle is not None}
    assert told == {"HalfCheetah-v5", "pets-halfcheetah", "Hopper-v5", "pets-hopper", "Walker2d-v5"}


def test_speed_is_that_of_the_centre_of_mass() -> None:
    """A hopper thrown to the right at 3 m/s, where nothing acts on it."""
    env = make_env(PETS_HOPPER)
    env.reset(0)
    robot: Any = env.env.unwrapped
    robot.model.opt.gravity[:] = 0.0
    audit = floating(env)
    robot.data.qvel[0] = 3.0
    for _ in range(3):
        rest(env)
    assert audit.metrics["top_speed_m_s"] == pytest.approx(3.0, rel=1e-6)
    kinetic_j = 0.5 * robot.model.body_mass.sum() * 3.0**2
    assert audit.metrics["top_energy_j"] == pytest.approx(kinetic_j, rel=1e-3)


def test_energy_is_what_was_gained_from_outside() -> None:
    """A cheetah falling freely gains none, however fast it becomes."""
    env, _ = cheetah()
    audit = floating(env)
    for _ in range(12):
        rest(env)
    assert audit.metrics["top_speed_m_s"] > 5.0
    assert audit.metrics["top_energy_j"] < 0.01 * 14.0 * 9.81 * 5.0


def test_penetration_is_the_depth_of_the_deepest_contact() -> None:
    """Pushed down by 10 cm more, a cheetah is that much deeper in the floor."""
    env, robot = cheetah()
    audit, depths_m = floating(env, height_m=0.0), []
    robot.data.qpos[:] = 0.0
    for step, height_m in enumerate([-0.2, -0.3], start=1):
        robot.data.qpos[1] = height_m
        mujoco.mj_forward(robot.model, robot.data)
        audit.see(step, np.zeros(1, np.float32), 0.0)
        depths_m.append(audit.metrics["top_penetration_m"])
    assert depths_m[1] - depths_m[0] == pytest.approx(0.1, abs=1e-6)
    assert depths_m[0] < PETS_HALFCHEETAH.plausible.penetration_m < depths_m[1]
    assert audit.warnings["penetration_out_of_bounds"] == 1


def test_an_environment_without_a_simulator_is_held_to_reward_and_state() -> None:
    """The line pays -0.004, -0.016 and -0.049: breaking a bound does not make up for what is paid afterwards."""
    env = make_env(dataclasses.replace(LINE, reward_bound=0.01))
    env.reset(0)
    total = sum(env.step(np.ones(1, np.float32))[1] for _ in range(3))
    assert env.metrics == {
        "first_step_reward_out_of_bounds": 2.0,
        "plausible_return": pytest.approx(-0.004),
        "capped_return": pytest.approx(total),
    }


def test_measuring_changes_nothing() -> None:
    """The trajectory is that of the bare environment, to the last bit."""
    env, robot = cheetah()
    bare = env.env
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (50, 6)).astype(np.float32)
    env.reset(3)
    watched = [env.step(action)[0] for action in actions]
    bare.reset(seed=3)
    plain = [np.asarray(bare.step(action)[0], np.float32) for action in actions]
    assert np.array_equal(watched, plain)
    assert robot is bare.unwrapped
