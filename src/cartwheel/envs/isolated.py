"""Environments in processes of their own: one that hangs is killed, one that ends its process fails its episode.

A process is a fresh interpreter (``envs.child``), never a fork: it is told which environment to make, and makes it in
the same way. The watch over physics runs beside the environment, so what is found and what is learned from is the
same, bit for bit, as inside the study's process. Where the environment cannot be described to another process, because
its class exists only in a script that runs, it stays inside.
"""

import dataclasses
import functools
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs import making, tasks
from cartwheel.envs.channel import Broken
from cartwheel.envs.looking import Look, look_at
from cartwheel.envs.making import DM_CONTROL, CannotMake
from cartwheel.envs.pool import EnvironmentFailed, Watched, make_env
from cartwheel.envs.process import Process, Recipe, begin
from cartwheel.envs.tasks import Task
from cartwheel.records import FailureKind

Isolate: TypeAlias = Literal["foreign", "all", "none"]

MAX_CALL_S = 300.0
"""As in a study that does not say otherwise (``spec.EngineSpec``)."""
_REGISTERED_BY_US = ("cartwheel/", DM_CONTROL)
_NUMBERS = (
    "id", "obs_size", "action_low", "action_high", "episode_length", "reward_bound", "state_bound", "trunk_angle",
)  # fmt: skip
"""What the watch needs of a task: its formulas stay here."""


@dataclass(frozen=True, slots=True)
class EnvMaker:
    """How a study makes its environments. ``log`` takes what isolated ones print, ``task_file``: path and SHA-256."""

    isolate: Isolate = "foreign"
    max_call_s: float = MAX_CALL_S
    log: Path | None = None
    task_file: tuple[str, str] | None = None

    def __call__(self, task: Task) -> Watched:
        """A new environment. Raises CannotMake."""
        recipe = self._recipe(task.env_id, task.env_kwargs)
        if recipe is None:
            return make_env(task)
        return IsolatedEnv(task, {**recipe, "task": _numbers(task)}, self.max_call_s, self.log)

    def look(self, env_id: str, env_kwargs: Mapping[str, Any]) -> Look:
        """What the environment observes and takes. Raises CannotMake.

        Where it would be isolated, a process of its own finds it out, once in the life of this one.
        """
        making.require_allowed(env_id)
        recipe = self._recipe(env_id, env_kwargs)
        if recipe is None:
            return look_at(env_id, env_kwargs)
        return _look_outside(json.dumps({**recipe, "task": None}), self.max_call_s)

    def isolates(self, env_id: str) -> bool:
        """Whether this environment gets a process of its own, if it can be described to one."""
        if _here["is_isolated"]:
            return False
        return self.isolate == "all" or (self.isolate == "foreign" and not tasks.ships(env_id))

    def exception(self, task: Task) -> str:
        """Why an environment that should be isolated is not; empty if it is or should not be."""
        if not self.isolates(task.env_id) or self._recipe(task.env_id, task.env_kwargs) is not None:
            return ""
        return (
            f"{task.env_id} runs in this process, where it cannot be killed if it hangs: its class cannot be imported "
            "or its arguments are no JSON; put it into a module, or into a task file"
        )

    def _recipe(self, env_id: str, env_kwargs: Mapping[str, Any]) -> Recipe | None:
        """None where it runs inside."""
        return recipe_of(env_id, env_kwargs, self.task_file) if self.isolates(env_id) else None


AS_USUAL = EnvMaker()

_here = {"is_isolated": False}


def run_inside() -> None:
    """From now on nothing is isolated from this process, which is an environment's own.

    It may import a module that looks at that very environment, and would begin such a process itself, without end.
    """
    _here["is_isolated"] = True


@functools.cache
def _look_outside(recipe: str, max_call_s: float) -> Look:
    """``recipe`` is JSON, so that it can be remembered."""
    process, answer = begin(json.loads(recipe), max_call_s, log=None)
    process.end()
    seen = answer["look"]
    return Look(seen["obs_size"], tuple(seen["action_low"]), tuple(seen["action_high"]), seen["max_steps"])


def recipe_of(
    env_id: str, env_kwargs: Mapping[str, Any], task_file: tuple[str, str] | None = None
) -> dict[str, Any] | None:
    """What another process needs to find the environment; None if it could not."""
    recipe = {"env_id": env_id, "env_kwargs": dict(env_kwargs), "allow_imports": making.imports_are_allowed()}
    recipe |= {"spec": None, "task_file": None}
    making.register(env_id)
    spec = gymnasium.registry.get(env_id)
    if not _survives_json(recipe["env_kwargs"]):
        return None
    if ":" in env_id or env_id.startswith(_REGISTERED_BY_US) or spec is None:
        return recipe  # whoever makes it finds it, or says why not
    module, name = _place(spec.entry_point)
    if module.startswith(making.TASK_FILE_MODULE):
        return None if task_file is None else {**recipe, "task_file": list(task_file)}
    if not _is_importable(module, name) or not _survives_json(spec.kwargs):
        return None
    return {**recipe, "spec": dataclasses.replace(spec, entry_point=f"{module}:{name}").to_json()}


def _numbers(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _NUMBERS} | {"plausible": dataclasses.asdict(task.plausible)}


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
    max_call_s: float = MAX_CALL_S
    log: Path | None = None
    warnings: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, float] = field(default_factory=dict)
    step_index: int = 0
    is_over: bool = False
    _process: Process | None = None

    def __post_init__(self) -> None:
        self._process, _ = begin(self.recipe, self.max_call_s, self.log)

    def reset(self, seed: int) -> NDArray[np.float32]:
        """The first observation [O] of an episode."""
        self.warnings, self.metrics, self.step_index, self.is_over = Counter(), {}, 0, False
        if self._process is None:
            try:
                self._process, _ = begin(self.recipe, self.max_call_s, self.log)
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
