"""Simulators broken on purpose: each way, in each task, is found out at the step at which it happens.

MuJoCo repairs a broken state by starting over, silently, and the step that explodes pays before any counter moves.
"""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco import MujocoEnv

from cartwheel.envs.pool import EnvironmentFailed, WatchedEnv, make_env
from cartwheel.envs.tasks import HOPPER, PETS_HALFCHEETAH, get_task, task_ids

TASKS = ["cartpole-swingup", "pets-halfcheetah", "Hopper-v5", "Ant-v5", "hexapod", "pets-pusher"]
Break = Callable[[Any], Any]


def state(name: str, where: Any, value: float) -> Break:
    return lambda robot: getattr(robot.data, name).__setitem__(where, value)


def model(name: str, value: float, where: Any = slice(None)) -> Break:
    return lambda robot: getattr(robot.model, name).__setitem__(where, value)


def lose_all_mass(robot: Any) -> None:
    for name in ("body_mass", "body_inertia", "dof_armature"):
        getattr(robot.model, name)[:] = 1e-12


def start_over(robot: Any) -> None:
    mujoco.mj_resetData(robot.model, robot.data)


BREAKS: dict[str, Break] = {
    "first position NaN": state("qpos", 0, np.nan),
    "last position infinite": state("qpos", -1, np.inf),
    "first position 1e9": state("qpos", 0, 1e9),
    "all positions 1e9": state("qpos", slice(None), 1e9),
    "last position 1e12": state("qpos", -1, 1e12),
    "first velocity infinite": state("qvel", 0, -np.inf),
    "last velocity NaN": state("qvel", -1, np.nan),
    "all velocities NaN": state("qvel", slice(None), np.nan),
    "first velocity 1e9": state("qvel", 0, -1e9),
    "last velocity 1e9": state("qvel", -1, 1e9),
    "all velocities 1e12": state("qvel", slice(None), 1e12),
    "force NaN": state("qfrc_applied", 0, np.nan),
    "force 1e12": state("qfrc_applied", -1, 1e12),
    "push infinite": state("xfrc_applied", (-1, 0), np.inf),
    "motors of 1e9": model("actuator_gear", 1e9),
    "motors of NaN": model("actuator_gear", np.nan),
    "no mass": lose_all_mass,
    "mass NaN": model("body_mass", np.nan),
    "damping that drives": model("dof_damping", -1e4),
    "gravity 1e9": lambda robot: robot.model.opt.gravity.__setitem__(2, -1e9),
    "steps of 10 s": lambda robot: setattr(robot.model.opt, "timestep", 10.0),
    "simulation restarted": start_over,
}


def running(name: str) -> tuple[WatchedEnv, Any, np.ndarray]:
    """An environment in the middle of an episode, its robot, and a full action."""
    task = get_task(name)
    env, full = make_env(task), np.asarray(task.action_high, np.float32)
    env.reset(0)
    for _ in range(3):
        env.step(0.1 * full)
    assert not env.warnings
    return env, env.env.unwrapped, full


def found(env: WatchedEnv, action: np.ndarray) -> set[str]:
    """What the watch says about the next step; a failure is an alarm, too."""
    try:
        env.step(action)
    except EnvironmentFailed as failure:
        return {*env.warnings, str(failure)}
    return set(env.warnings)


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("name", TASKS)
def test_a_broken_simulator_is_found_out(name: str, how: str) -> None:
    """The step that follows has a warning or fails."""
    env, robot, full = running(name)
    BREAKS[how](robot)
    assert found(env, full)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30], ids=str)
@pytest.mark.parametrize("name", TASKS)
def test_an_impossible_action_is_found_out(name: str, value: float) -> None:
    """NaN, infinite and absurd motor commands, in the last motor only."""
    env, _, full = running(name)
    full[-1] = value
    assert found(env, full)


def test_the_exploding_step_is_found_before_any_counter_moves() -> None:
    """MuJoCo's counters see nothing yet, but reward and state are beyond what working physics can reach."""
    env, robot, full = running("Hopper-v5")
    robot.model.opt.gravity[2] = -1e9
    beyond = {f"{what}_out_of_bounds" for what in ("reward", "state", "speed", "energy", "penetration")}
    assert {"reward_out_of_bounds", "state_out_of_bounds"} <= found(env, full) <= beyond


def test_bounds_look_at_the_state_behind_clipped_observations() -> None:
    """Hopper shows velocities clipped at 10; the watch sees the thousands behind."""
    env, robot, full = running(HOPPER.id)
    robot.data.qvel[-1] = 3e3
    obs, _, _ = env.step(full)
    assert np.abs(obs).max() < 20.0
    assert env.warnings["state_out_of_bounds"] == 1
    assert env.warnings["BADQVEL"] == env.warnings["BADQACC"] == 0


def test_time_that_does_not_go_on_is_a_reset() -> None:
    """A simulation that started over shows nothing but its clock."""
    env, robot, full = running(PETS_HALFCHEETAH.id)
    start_over(robot)
    for _ in range(2):
        env.step(full)
    assert env.warnings == {"simulator_reset": 1}
    env.reset(1)
    env.step(full)
    assert not env.warnings


def is_mujoco(name: str) -> bool:
    return isinstance(make_env(get_task(name)).env.unwrapped, MujocoEnv)


@pytest.mark.parametrize("name", [name for name in task_ids() if not name.startswith("probe-") and is_mujoco(name)])
def test_working_physics_raises_no_alarm(name: str) -> None:
    """Full episodes of random commands, of full commands, and of hard switches stay within a task's bounds."""
    task = get_task(name)
    env, rng = make_env(task), np.random.default_rng(0)
    low, high = np.asarray(task.action_low, np.float32), np.asarray(task.action_high, np.float32)
    commands = [lambda t: rng.uniform(low, high), lambda t: high, lambda t: (low, high)[t // 8 % 2]]
    for seed, command in enumerate(commands):
        env.reset(seed)
        for t in range(min(task.episode_length, 500)):
            _, _, ended = env.step(command(t))
            assert not env.warnings
            if ended:
                env.reset(t)
