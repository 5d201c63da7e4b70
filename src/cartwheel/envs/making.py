"""Making Gymnasium environments, with one clear message for everything that keeps one from being made.

What is made has vectors for observations and actions: boxes of other shapes, and dicts and tuples of boxes, are
flattened. Nothing is imported because an id says so: an id that names a module, such as ``module:Env-v0``, is refused
until ``allow_imports`` was called.
"""

import contextlib
import ctypes.util
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any, TypeAlias

import gymnasium
from gymnasium.spaces import Box
from gymnasium.wrappers import FlattenObservation, TransformAction

from cartwheel.envs import own
from cartwheel.records import FailureKind

Env: TypeAlias = gymnasium.Env[Any, Any]

DM_CONTROL = "dm_control/"
"""The namespace that Shimmy registers DeepMind's control suite under."""

_imports = {"are_allowed": False}


TASK_FILE_MODULE = "cartwheel_task_"
"""How the modules of task files begin, which nobody can import: see ``cartwheel.task_files``."""


class CannotMake(ValueError):
    """An environment cannot be made here. The message says why."""

    def __init__(self, message: str, kind: FailureKind = "environment_error") -> None:
        super().__init__(message)
        self.kind: FailureKind = kind


def allow_imports() -> None:
    """From now on, ids may name modules: the user has said so, never a file that was read."""
    _imports["are_allowed"] = True


def imports_are_allowed() -> bool:
    """Whether ids may name modules."""
    return _imports["are_allowed"]


def require_allowed(env_id: str) -> None:
    """Raises CannotMake if the id names a module, and ids may not."""
    if ":" in env_id and not _imports["are_allowed"]:
        raise CannotMake(f"env_id {env_id!r}: names a module, which is code to run: allow it by --allow-env-import")


def make_vector_env(env_id: str, **kwargs: Any) -> Env:
    """The environment, flattened; ``kwargs`` go to Gymnasium. Raises CannotMake."""
    register(env_id)
    require_allowed(env_id)
    try:
        env: Env = gymnasium.make(env_id, disable_env_checker=True, **kwargs)
        return _flattened(env)
    except (Exception, SystemExit) as error:
        if isinstance(error, gymnasium.error.Error):
            reason = one_line(str(error))
        elif isinstance(error, ModuleNotFoundError):
            name = error.name or env_id.partition(":")[0]  # Gymnasium's own error has no name
            reason = f"there is no module {name!r}: install its package, or put its folder on PYTHONPATH"
        else:
            reason = f"making it raised {describe(error)}"
        raise CannotMake(f"env_id {env_id!r}: {reason}") from error


def register(env_id: str = "") -> None:
    """Make our environments known to Gymnasium, and those of ``env_id``'s kept adapter; harmless when repeated."""
    own.register()
    if env_id.startswith(DM_CONTROL) and env_id not in gymnasium.registry:
        _register_dm_control()


def close(env: Env) -> None:
    """Close it; what it raises then harms nobody, for its episodes are over."""
    with contextlib.suppress(Exception, SystemExit):
        env.close()


def one_line(message: str) -> str:
    """A message without line breaks, cut to what fits a report."""
    return " ".join(message.split())[:300]


def describe(error: BaseException) -> str:
    """An exception on one line; an environment's own may not even be able to say what it is."""
    try:
        return one_line(repr(error))
    except Exception:
        return type(error).__name__


def is_users_interrupt(error: BaseException) -> bool:
    """Whether this is Ctrl-C: Python delivers it to the main thread only, elsewhere an environment has raised it."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _flattened(env: Env) -> Env:
    observations, actions = env.observation_space, env.action_space
    is_vector = isinstance(observations, Box) and len(observations.shape) == 1
    if not is_vector and getattr(observations, "is_np_flattenable", False):
        env = FlattenObservation(env)
    if isinstance(actions, Box) and len(actions.shape) != 1:
        flat = Box(actions.low.ravel(), actions.high.ravel(), dtype=actions.dtype.type)
        env = TransformAction(env, lambda action: action.reshape(actions.shape), flat)
    return env


def _register_dm_control() -> None:
    try:
        with _renderer_for_dm_control(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about displays and deprecations, none of the user's making
            import shimmy

        gymnasium.register_envs(shimmy)
    except ImportError as error:
        step = "install the extra: pip install 'cartwheel[dm-control]'"
        raise CannotMake(f"dm_control environments need the package {error.name!r}; {step}") from error


@contextlib.contextmanager
def _renderer_for_dm_control() -> Iterator[None]:
    """dm_control chooses how to draw when it is imported, and takes a display for granted: where there is none it is
    told to draw without, or not at all."""
    if os.environ.get("MUJOCO_GL") or os.environ.get("DISPLAY"):
        yield
        return
    os.environ["MUJOCO_GL"] = "egl" if ctypes.util.find_library("EGL") else "off"
    try:
        yield
    finally:
        del os.environ["MUJOCO_GL"]
