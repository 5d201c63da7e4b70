"""Environments in processes of their own: one that hangs is killed, one that ends its process fails its episode.

A process is a fresh interpreter (``envs.child``), never a fork: it is told which environment to make, and makes it in
the same way. The watch over physics runs beside the environment, so what is found and what is learned from is the
same, bit for bit, as inside the study's process. Where the environment cannot be described to another process, because
its class exists only in a script that runs, it stays inside.
"""

import contextlib
import dataclasses
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs import making, tasks
from cartwheel.envs.channel import Broken, Channel
from cartwheel.envs.making import DM_CONTROL, CannotMake, one_line
from cartwheel.envs.pool import EnvironmentFailed, Watched, make_env
from cartwheel.envs.tasks import Task
from cartwheel.records import FailureKind

Isolate: TypeAlias = Literal["foreign", "all", "none"]
Recipe: TypeAlias = Mapping[str, Any]

START_S = 120.0
"""Starting an interpreter and importing takes seconds, on a busy machine more; no environment's code runs yet."""
END_S = 5.0
"""A process that was told to end, by closing its socket, gets so long to close its environment."""
MAX_LOG_BYTES = 2**20
_TAIL_BYTES = 2000
_REGISTERED_BY_US = ("cartwheel/", DM_CONTROL)
_NUMBERS = (
    "id", "env_id", "obs_size", "action_low", "action_high", "episode_length", "reward_bound", "state_bound",
    "trunk_angle",
)  # fmt: skip
"""What the watch needs of a task: its formulas stay here."""


@dataclass(frozen=True, slots=True)
class EnvMaker:
    """How a study makes its environments. ``log`` takes what isolated ones print, ``task_file``: path and SHA-256."""

    isolate: Isolate = "foreign"
    max_call_s: float = math.inf
    log: Path | None = None
    task_file: tuple[str, str] | None = None

    def __call__(self, task: Task) -> Watched:
        """A new environment. Raises CannotMake."""
        recipe = recipe_of(task, self.task_file) if self.isolates(task) else None
        return make_env(task) if recipe is None else IsolatedEnv(task, recipe, self.max_call_s, self.log)

    def isolates(self, task: Task) -> bool:
        """Whether the task's environment gets a process of its own, if it can be described to one."""
        return self.isolate == "all" or (self.isolate == "foreign" and not tasks.ships(task.env_id))

    def exception(self, task: Task) -> str:
        """Why an environment that should be isolated is not; empty if it is or should not be."""
        if not self.isolates(task) or recipe_of(task, self.task_file) is not None:
            return ""
        return (
            f"{task.env_id} runs in this process, where it cannot be killed if it hangs: its class cannot be imported "
            "or its arguments are no JSON; put it into a module, or into a task file"
        )


def recipe_of(task: Task, task_file: tuple[str, str] | None = None) -> Recipe | None:
    """What another process needs to make the task's environment; None if it could not."""
    numbers = {name: getattr(task, name) for name in _NUMBERS} | {"env_kwargs": dict(task.env_kwargs)}
    numbers["plausible"] = dataclasses.asdict(task.plausible)
    recipe = {"task": numbers, "spec": None, "task_file": None, "allow_imports": making.imports_are_allowed()}
    making.register(task.env_id)
    spec = gymnasium.registry.get(task.env_id)
    if not _survives_json(numbers["env_kwargs"]):
        return None
    if ":" in task.env_id or task.env_id.startswith(_REGISTERED_BY_US) or spec is None:
        return recipe  # whoever makes it finds it, or says why not
    module, name = _place(spec.entry_point)
    if module.startswith(making.TASK_FILE_MODULE):
        return None if task_file is None else {**recipe, "task_file": list(task_file)}
    if not _is_importable(module, name) or not _survives_json(spec.kwargs):
        return None
    return {**recipe, "spec": dataclasses.replace(spec, entry_point=f"{module}:{name}").to_json()}


def _place(entry: Any) -> tuple[str, str]:
    """The module and the name in it of what makes an environment."""
    if isinstance(entry, str):
        module, _, name = entry.partition(":")
        return module, name
    return getattr(entry, "__module__", ""), getattr(entry, "__qualname__", "")


def _is_importable(module: str, name: str) -> bool:
    """Whether a fresh interpreter finds it; a module that is not loaded here yet has to be found there."""
    loaded = sys.modules.get(module)
    return module not in ("", "__main__") and (loaded is None or hasattr(loaded, name))


def _survives_json(arguments: Any) -> bool:
    """Whether they arrive as they are: of tuples lists would, and of an environment's own types nothing."""
    try:
        return bool(json.loads(json.dumps(arguments)) == arguments)
    except (TypeError, ValueError):
        return False


@dataclass(slots=True)
class IsolatedEnv:
    """As ``WatchedEnv``, in a process of its own. A process that was lost is replaced at the next reset."""

    task: Task
    recipe: Recipe
    max_call_s: float = math.inf
    log: Path | None = None
    warnings: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, float] = field(default_factory=dict)
    step_index: int = 0
    is_over: bool = False
    _process: "_Process | None" = None

    def __post_init__(self) -> None:
        self._process = self._started()

    def reset(self, seed: int) -> NDArray[np.float32]:
        """The first observation [O] of an episode."""
        self.warnings, self.metrics, self.step_index, self.is_over = Counter(), {}, 0, False
        if self._process is None:
            try:
                self._process = self._started()
            except CannotMake as error:
                raise EnvironmentFailed(str(error), error.kind) from error
        return self._ask("reset", {"seed": seed})[1]

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool]:
        """Observation [O], reward, and whether the episode terminated."""
        self.step_index += 1
        outcome, obs = self._ask(f"step {self.step_index}", {}, np.asarray(action, np.float32).tobytes())
        return obs, outcome["reward"], outcome["terminated"]

    def close(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process = None

    def _started(self) -> "_Process":
        process = _Process(self.log)
        try:
            process.channel.receive(max(START_S, self.max_call_s))
            process.channel.send(dict(self.recipe))
            answer, _ = process.channel.receive(self.max_call_s)
        except TimeoutError:
            process.kill()
            reason = f"making it has taken longer than {self.max_call_s:g} s: its process was killed"
            raise CannotMake(f"env_id {self.task.env_id!r}: {reason}", "timeout") from None
        except Broken:
            raise CannotMake(f"env_id {self.task.env_id!r}: making it {process.death()}") from None
        if "cannot_make" in answer:
            process.end()
            raise CannotMake(str(answer["cannot_make"]))
        return process

    def _ask(self, what: str, request: dict[str, Any], data: bytes = b"") -> tuple[dict[str, Any], NDArray[np.float32]]:
        process = self._process
        assert process is not None
        try:
            process.channel.send(request, data)
            answer, obs = process.channel.receive(self.max_call_s)
        except TimeoutError:
            process.kill()
            self._lose(f"{what} has taken longer than {self.max_call_s:g} s: its process was killed", "timeout")
        except Broken:
            self._lose(f"{what} {process.death()}", "environment_error")
        self.warnings, self.metrics = Counter(answer["warnings"]), answer["metrics"]
        if "failed" in answer:
            raise EnvironmentFailed(answer["failed"], answer["kind"])
        self.is_over = answer["is_over"]
        return answer, np.frombuffer(obs, np.float32).copy()

    def _lose(self, what: str, kind: FailureKind) -> NoReturn:
        self._process = None
        raise EnvironmentFailed(f"{self.task.env_id}: {what}", kind) from None


class _Process:
    """A running child: the socket to it, and what it has printed last."""

    def __init__(self, log: Path | None) -> None:
        ours, theirs = socket.socketpair()
        paths = [path or os.getcwd() for path in sys.path]
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "cartwheel.envs.child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is the study's; and what it starts can be killed with it
                # it computes no agent, so it takes no accelerator
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"},
            )
        self.channel = Channel(ours)
        self._tail = b""
        self._log = log
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    def kill(self) -> None:
        """End it now, with whatever it has started."""
        self.channel.close()
        self._kill_group()
        self._popen.wait()

    def end(self) -> None:
        """Let it close its environment, then end it."""
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END_S)
        self.kill()

    def death(self) -> str:
        """How it ended, in words; it is ended if it has not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END_S)
        self.kill()
        self._reader.join(END_S)
        code = self._popen.returncode
        how = f"ended its process by {signal.Signals(-code).name}" if code < 0 else f"ended its process, code {code}"
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return one_line(how + (f"; it said: {lines[-1]}" if lines else ""))

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _read_output(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            while part := os.read(output.fileno(), 2**16):
                self._tail = (self._tail + part)[-_TAIL_BYTES:]
                self._write(part)

    def _write(self, part: bytes) -> None:
        """Into the log, as long as there is room; a log that cannot be written must not harm a study."""
        if self._log is None:
            return
        try:
            with self._log.open("ab") as file:
                file.write(part[: max(0, MAX_LOG_BYTES - file.tell())])
        except OSError:
            self._log = None
