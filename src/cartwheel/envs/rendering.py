"""Pictures of an episode without a screen: the same reset and the same actions again, watched as they were at first.

MuJoCo's simulations are repeated bit for bit from their resets, so what is seen is what was recorded. MuJoCo tasks are
drawn by MuJoCo itself through EGL or OSMesa, others by their environment's own ``rgb_array``.

    T steps   A action   W, H size of a picture in pixels
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs.audit import simulator_of
from cartwheel.envs.making import CannotMake
from cartwheel.envs.pool import make_env
from cartwheel.envs.task import Task
from cartwheel.errors import UsageError

Pixels = NDArray[np.uint8]
"""[H, W, 3], red, green, blue."""

FRAMES_PER_S = 30
"""Browsers play this smoothly; where steps are shorter than a frame, some are left out."""
FLOOR_PATTERN_M = 2.0
"""Two squares of a chequered floor: a cheetah is about one of them long."""
GL_BACKENDS = ("egl", "osmesa")
_CHOOSES_GL = ("MUJOCO_GL", "PYOPENGL_PLATFORM")
_PROBE_S = 60
_ADVICE = "on Debian: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6"


@dataclass(frozen=True, slots=True)
class Frame:
    """What is to be seen after a step, from 1. ``total`` is the return so far, ``kinds`` what was noted so far."""

    pixels: Pixels
    step: int
    total: float
    speed_m_s: float | None
    num_turns: int | None
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an episode is made of: the seed of its reset, and its actions [T, A] in the environment's units."""

    task: Task
    reset_seed: int
    actions: NDArray[np.float32]


@cache
def find_gl() -> str:
    """A way to draw without a screen that works here; ``MUJOCO_GL`` decides if it is set. Raises UsageError.

    Each is tried in a process of its own: a library that is there may still find no device, and loading it spoils the
    other one.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    inherited = {name: value for name, value in os.environ.items() if name not in _CHOOSES_GL}
    for backend in (wanted,) if wanted in GL_BACKENDS else GL_BACKENDS:
        probe = f"from mujoco.{backend} import GLContext; GLContext(16, 16).make_current()"
        tried = subprocess.run([sys.executable, "-c", probe], env=inherited, capture_output=True, timeout=_PROBE_S)
        if tried.returncode == 0:
            return backend
    raise UsageError("no OpenGL that draws without a screen: neither EGL nor OSMesa works here", "video", _ADVICE)


def frames(recipe: Recipe, size: tuple[int, int], steps: range) -> Iterator[Frame]:
    """Pictures of ``size`` (W, H) of consecutive ``steps``, from 1: as many as a film needs, and the last one.

    Raises UsageError if the task cannot be drawn.
    """
    stride = stride_of(recipe.task)
    env, draw = _drawn(recipe.task, size)
    try:
        env.reset(recipe.reset_seed)
        total = 0.0
        for step, action in enumerate(recipe.actions, start=1):
            _, reward, _ = env.step(action)
            total += reward
            is_last = step == min(len(recipe.actions), steps[-1]) or env.is_over
            if step in steps and (step % stride == 0 or is_last):
                yield Frame(draw(), step, total, env.speed_m_s, env.num_turns, tuple(sorted(env.warnings)))
            if is_last:
                return
    finally:
        env.close()


def stride_of(task: Task) -> int:
    """How many steps a frame stands for."""
    return 1 if task.step_s is None else max(1, round(1 / (FRAMES_PER_S * task.step_s)))


def frames_per_s(task: Task) -> float:
    """At this rate an episode is seen as fast as it happens; ``FRAMES_PER_S`` where that is not known."""
    return FRAMES_PER_S if task.step_s is None else 1 / (task.step_s * stride_of(task))


def _drawn(task: Task, size: tuple[int, int]) -> tuple[Any, Callable[[], Pixels]]:
    """The task's environment, and what draws it as it is."""
    env = make_env(task)
    simulator = simulator_of(env.env)
    if simulator is not None:
        return env, _Camera(*simulator, size).draw
    env.close()
    try:
        env = make_env(task, render_mode="rgb_array")
        env.reset(0)
        if not isinstance(env.env.render(), np.ndarray):
            raise CannotMake("its render() gives no picture")
    except Exception as error:  # whatever an environment raises when it cannot draw is the user's to know
        raise UsageError(f"{task.id} cannot be drawn: {error}", "video", "choose a task that can be drawn") from error
    return env, lambda: np.asarray(env.env.render(), np.uint8)


class _Camera:
    """Draws a MuJoCo simulation: with the model's own camera ``track`` if it has one, else following the first body."""

    def __init__(self, model: Any, data: Any, size: tuple[int, int]) -> None:
        width, height = size
        self._model, self._data = model, data
        self._context = _gl_context(width, height)
        self._context.make_current()
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        _lay_floor(model)
        self._scene, self._option = mujoco.MjvScene(model, maxgeom=2000), mujoco.MjvOption()
        self._drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)
        self._view = _view_of(model)

    def draw(self) -> Pixels:
        """The simulation as it is."""
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        self._context.make_current()
        mujoco.mjv_updateScene(self._model, self._data, self._option, None, self._view, everything, self._scene)
        mujoco.mjr_render(self._rectangle, self._scene, self._drawing)
        mujoco.mjr_readPixels(self._pixels, None, self._rectangle, self._drawing)
        return np.flipud(self._pixels).copy()


def _lay_floor(model: Any) -> None:
    """Planes are endless to contacts, whatever their size: drawn so, too, nobody runs off the floor.

    Its pattern repeats every ``FLOOR_PATTERN_M``, so that one sees how fast it passes.
    """
    is_plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    model.geom_size[is_plane, :2] = 0.0
    materials = model.geom_matid[is_plane]
    materials = materials[materials >= 0]
    model.mat_texuniform[materials] = True
    model.mat_texrepeat[materials] = 1.0 / FLOOR_PATTERN_M


def _gl_context(width: int, height: int) -> Any:
    if find_gl() == "egl":
        from mujoco.egl import GLContext
    else:
        from mujoco.osmesa import GLContext
    return GLContext(width, height)


def _view_of(model: Any) -> Any:
    view = mujoco.MjvCamera()
    own = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA.value, "track")
    if own >= 0:
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED.value, own
        return view
    mujoco.mjv_defaultFreeCamera(model, view)
    view.type, view.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING.value, min(1, model.nbody - 1)
    return view
