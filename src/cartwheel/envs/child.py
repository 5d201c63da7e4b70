"""The process of one environment, which ``isolated`` starts: ``python -m cartwheel.envs.child SOCKET``.

It makes the environment that the first message describes, and looks at it or watches its physics: then it answers
resets and steps until its study has gone. What it prints goes where its standard output and error lead.
"""

import contextlib
import ctypes
import dataclasses
import math
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from cartwheel.envs.channel import Broken, Channel
from cartwheel.envs.isolated import run_inside
from cartwheel.envs.looking import look_at
from cartwheel.envs.making import CannotMake, allow_imports, describe
from cartwheel.envs.pool import EnvironmentFailed, WatchedEnv, make_env
from cartwheel.envs.task import Plausible, Task

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve whoever is at the other end of the socket."""
    _end_with_parent()
    run_inside()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    with contextlib.suppress(Broken):
        channel.send({"ready": True})
        recipe, _ = channel.receive()
        try:
            _prepare(recipe)
            if recipe["task"] is None:
                channel.send({"look": dataclasses.asdict(look_at(recipe["env_id"], recipe["env_kwargs"]))})
                return
            env = _make(recipe)
        except BaseException as error:
            reason = str(error) if isinstance(error, CannotMake) else f"making it raised {describe(error)}"
            channel.send({"cannot_make": reason})
            return
        channel.send({"made": True})
        while True:
            channel.send(*_answer(env, *channel.receive()))


def _end_with_parent() -> None:
    """Linux kills this process with its parent's thread, even while an environment hangs in compiled code. Elsewhere
    it ends when it next finds nobody at the other end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prepare(recipe: dict[str, Any]) -> None:
    """Know what ``isolated.recipe_of`` describes."""
    if recipe["allow_imports"]:
        allow_imports()
    if recipe["task_file"] is not None:
        from cartwheel.task_files import load_task_file

        path, sha256 = recipe["task_file"]
        if load_task_file(Path(path)).sha256 != sha256:
            raise CannotMake(f"the task file {path} is another one than when the study began")
    if recipe["spec"] is not None:
        spec = EnvSpec.from_json(recipe["spec"])
        gymnasium.registry[spec.id] = spec


def _make(recipe: dict[str, Any]) -> WatchedEnv:
    about = {**recipe["task"], "env_id": recipe["env_id"], "env_kwargs": recipe["env_kwargs"]}
    return make_env(Task(**{**about, "plausible": Plausible(**about["plausible"])}))


def _answer(env: WatchedEnv, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    reward, terminated = math.nan, False
    try:
        if "seed" in request:
            obs = env.reset(request["seed"])
        else:
            obs, reward, terminated = env.step(np.frombuffer(data, np.float32))
    except EnvironmentFailed as error:
        return {"failed": str(error), "kind": error.kind, **_physics(env)}, b""
    except BaseException as error:  # nobody's interrupt: this process has no terminal
        reason = f"{env.task.env_id}: raised {describe(error)}"
        return {"failed": reason, "kind": "environment_error", **_physics(env)}, b""
    outcome = {"reward": reward, "terminated": terminated, "is_over": env.is_over, **_physics(env)}
    return outcome, obs.tobytes()


def _physics(env: WatchedEnv) -> dict[str, Any]:
    return {"warnings": dict(env.warnings), "metrics": env.metrics}


if __name__ == "__main__":
    main()
