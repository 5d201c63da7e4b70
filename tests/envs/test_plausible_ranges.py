"""The ranges of speed, energy and penetration that tasks declare: measured, and such that a break is outside.

That random and extreme play is inside: ``test_working_physics_raises_no_alarm``.
"""

import csv
import math
from typing import Any

import mujoco
import numpy as np
import pytest

from benchmarks.plausible_ranges import QUANTITIES, mujoco_tasks
from cartwheel.ceiling import TruePlanner
from cartwheel.envs.pool import WatchedEnv, make_env
from cartwheel.envs.tasks import get_task
from cartwheel.spec import StudySpec
from cartwheel.study_agents import agent_setup
from documents import ROOT

TASKS = mujoco_tasks()
JUDGED = {"HalfCheetah-v5", "pets-halfcheetah"}
"""Their ranges are judgements, wider than thrice what was measured: they let a cheetah run as fast as a cheetah."""
HEIGHT = {"HalfCheetah-v5": 1, "pets-halfcheetah": 1, "Hopper-v5": 1, "pets-hopper": 1, "Walker2d-v5": 1, "Ant-v5": 2,
          "quadruped": 2, "hexapod": 2}  # fmt: skip
"""Which entry of ``qpos`` is the height above the floor."""
SLOWED_DOWN = {"Reacher-v5"}
"""Damped so much that, of a push, only the energy is still out of bounds when the step is over."""
TOO_MUCH = 4.0
QUIET_STEPS = 3


def bounds(env_id: str) -> list[float]:
    plausible = get_task(env_id).plausible
    return [plausible.speed_m_s, plausible.energy_j, plausible.penetration_m]


@pytest.mark.parametrize("env_id", TASKS)
def test_every_simulated_task_declares_what_was_measured(env_id: str) -> None:
    """Thrice the most of docs/results/plausible-ranges.csv, in which nothing was noted; with a reason."""
    rows = csv.DictReader((ROOT / "docs" / "results" / "plausible-ranges.csv").read_text().splitlines())
    measured = [row for row in rows if row["env_id"] == env_id]
    assert {row["play"] for row in measured} >= {"random", "highest", "planned"}
    assert [row["warnings"] for row in measured if row["warnings"]] == []
    tops = [max(float(row[quantity]) for row in measured) for quantity in QUANTITIES]
    if env_id in JUDGED:
        assert all(bound > 2.0 * top for bound, top in zip(bounds(env_id), tops, strict=True))
    else:
        assert bounds(env_id) == pytest.approx([3.0 * top for top in tops])
    assert all(map(math.isfinite, bounds(env_id)))
    assert get_task(env_id).plausible.reason


def quiet(env_id: str) -> tuple[WatchedEnv, Any]:
    """An episode in which a few steps went well, and its robot."""
    env = make_env(get_task(env_id))
    env.reset(0)
    for _ in range(QUIET_STEPS):
        env.step(np.zeros(env.task.action_size, np.float32))
    assert not env.warnings
    return env, env.env.unwrapped


def fast_enough(env: WatchedEnv, robot: Any) -> float:
    """A speed of the first joint at which both the centre of mass and the energy are far out of bounds."""
    mass, jacobian = np.zeros((robot.model.nv, robot.model.nv)), np.zeros((3, robot.model.nv))
    mujoco.mj_forward(robot.model, robot.data)
    mujoco.mj_fullM(robot.model, robot.data, mass)
    mujoco.mj_jacSubtreeCom(robot.model, robot.data, jacobian, 0)
    for_speed = TOO_MUCH * env.task.plausible.speed_m_s / np.linalg.norm(jacobian[:, 0])
    return float(max(for_speed, math.sqrt(2.0 * TOO_MUCH * env.task.plausible.energy_j / mass[0, 0])))


@pytest.mark.parametrize("env_id", TASKS)
def test_a_push_beyond_the_range_is_caught_at_its_step(env_id: str) -> None:
    """A scripted one, of which no counter of MuJoCo knows."""
    env, robot = quiet(env_id)
    robot.data.qvel[0] = fast_enough(env, robot)
    env.step(np.zeros(env.task.action_size, np.float32))
    steps = {name: at for name, at in env.metrics.items() if name.startswith("first_step_")}
    assert set(steps.values()) == {float(QUIET_STEPS + 1)}
    assert "first_step_energy_out_of_bounds" in steps
    assert "first_step_speed_out_of_bounds" in steps or env_id in SLOWED_DOWN
    assert not [kind for kind in env.warnings if kind.startswith("BAD")]


@pytest.mark.parametrize("env_id", HEIGHT)
def test_a_robot_in_the_floor_is_caught_at_its_step(env_id: str) -> None:
    """Lowered into it by 1 cm at a time: noted as soon as it is deeper than the task declares, and not before."""
    env, robot = quiet(env_id)
    start, place = float(robot.data.qpos[HEIGHT[env_id]]), HEIGHT[env_id]
    for lower_m in np.arange(0.0, 1.5, 0.01):
        robot.data.qpos[place] = start - lower_m
        mujoco.mj_forward(robot.model, robot.data)
        depth_m = -float(robot.data.contact.dist.min(initial=0.0))
        env._audit.see(QUIET_STEPS + 1, np.zeros(1, np.float32), 0.0)
        is_noted = "first_step_penetration_out_of_bounds" in env.metrics
        assert is_noted == (depth_m > env.task.plausible.penetration_m)
        if is_noted:
            return
    raise AssertionError("never deep enough")


@pytest.mark.slow
@pytest.mark.parametrize("env_id", TASKS)
def test_planned_play_is_inside(env_id: str) -> None:
    """Fifty steps of the planner with the true dynamics, under names that were not used to measure."""
    spec = StudySpec.model_validate({"env_id": env_id, "num_episodes": 1, "episode_length": 50})
    planner = TruePlanner(agent_setup(spec, []))
    episode, _ = planner.play({}, ("another",), 0)
    planner.close()
    assert not episode.warnings
