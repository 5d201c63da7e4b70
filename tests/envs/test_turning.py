"""Full turns of trunks that are free in space: scripted rotations, whose number of turns is known in closed form."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cartwheel.envs.audit import PhysicsAudit, simulator_of
from cartwheel.envs.pool import make_env
from cartwheel.envs.tasks import get_task
from cartwheel.envs.turning import FreeTurns, turns_of

UP = np.array([0.0, 0.0, 1.0])
STEP = 0.37
"""Radians between two looks: no divisor of a turn."""


def qpos_of(rotation: Rotation) -> NDArray[np.float64]:
    """A free joint's place and quaternion (w, x, y, z)."""
    return np.concatenate([[1.0, 2.0, 3.0], rotation.as_quat(scalar_first=True)])


def about(axis: NDArray[np.float64], degrees: float) -> Rotation:
    return Rotation.from_rotvec(axis * math.radians(degrees))


def swept(*legs: tuple[NDArray[np.float64], float], start: Rotation | None = None) -> int:
    """Turns counted where a trunk turns by so many degrees about each world axis, one after the other."""
    at = Rotation.identity() if start is None else start
    turns = FreeTurns(np.asarray(at.inv().apply(UP)))
    for axis, degrees in legs:
        num_steps = math.ceil(abs(math.radians(degrees)) / STEP)
        for _ in range(num_steps):
            at = about(axis, degrees / num_steps) * at
            turns.see(qpos_of(at))
    return turns.num_turns


def horizontal(degrees: float) -> NDArray[np.float64]:
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0])


@pytest.mark.parametrize("heading", [0.0, 35.0, 90.0, 200.0, 311.0])
@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0, 295.0, 360.0, 655.0, 720.0, -360.0, -1080.0])
def test_turning_over_about_any_horizontal_axis_counts(heading: float, degrees: float) -> None:
    """Upright again is within 60 degrees of upright: a turn counts from its last sixth on."""
    assert swept((horizontal(heading), degrees)) == math.floor((abs(degrees) + 60) / 360)


def test_a_frame_that_lies_on_its_side_counts_as_well() -> None:
    """Upright is how the episode began, whatever the body's axes are."""
    for start in Rotation.random(5, rng=np.random.default_rng(3)):
        assert swept((horizontal(20.0), 1080.0), start=start) == 3
        assert swept((UP, 1080.0), start=start) == 0


def test_spinning_about_the_vertical_is_no_turn() -> None:
    """Upright, on its back, or on its nose; and a fall to one side that ends on the same side of the body is none."""
    east = horizontal(0.0)
    assert swept((UP, 3600.0)) == 0
    assert swept((east, 170.0), (UP, 3600.0), (east, -170.0)) == 0
    assert swept((east, 90.0), (UP, 180.0), (east, 90.0)) == 0


def test_rocking_is_no_turn() -> None:
    """Over to its back and back again, on the side on which it fell, as often as it likes."""
    assert swept(*[(horizontal(50.0), degrees) for degrees in (200.0, -200.0, -280.0, 280.0)]) == 0


def test_turns_count_while_the_trunk_changes_its_heading() -> None:
    """Forward rolls on a curve: the axis is horizontal, and another one every time."""
    assert swept(*[leg for k in range(4) for leg in ((horizontal(90.0 * k), 360.0), (UP, 90.0))]) == 4


def test_a_wobble_is_no_turn() -> None:
    """A trunk whose tilt of 50 degrees runs round the compass a hundred times is never upside down."""
    turns = FreeTurns(UP)
    for step in range(2000):
        turns.see(qpos_of(about(horizontal(18.0 * step), 50.0)))
    assert turns.num_turns == 0


def test_what_is_no_number_is_no_turn() -> None:
    turns = FreeTurns(UP)
    for rotation in (about(horizontal(0.0), 90.0), about(horizontal(0.0), 180.0)):
        turns.see(qpos_of(rotation))
    turns.see(np.full(7, np.nan))
    turns.see(qpos_of(Rotation.identity()))
    assert turns.num_turns == 0


@pytest.mark.parametrize("env_id", ["Ant-v5", "hexapod", "quadruped"])
def test_robots_that_are_free_in_space_are_watched(env_id: str) -> None:
    """In their own simulators: two rolls are two turns in what is recorded, and no fault."""
    env = make_env(get_task(env_id))
    env.reset(0)
    robot: Any = env.env.unwrapped
    audit = PhysicsAudit(env.task, simulator_of(env.env))
    for step in range(25):
        robot.data.qpos[:7] = qpos_of(about(horizontal(10.0), 30.0 * step))
        robot.data.time += 1.0
        audit.see(step, np.zeros(1, np.float32), 0.0)
    assert audit.metrics["turns"] == 2


def test_who_has_no_trunk_has_no_turns() -> None:
    robot: Any = make_env(get_task("pets-reacher3d")).env.unwrapped
    assert turns_of(robot.model, robot.data.qpos, None) is None
