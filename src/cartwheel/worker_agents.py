"""Agents in interpreters of their own: what travels to a worker, and what it makes of that.

A worker knows what ships and what is installed. The user's own task travels as the text of its file, which has run in
this process because the command line named it; what a script has registered cannot travel, and is refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartwheel.envs.making import allow_imports, imports_are_allowed
from cartwheel.envs.tasks import registered_later
from cartwheel.errors import ConfigError
from cartwheel.executors.messages import Recipe
from cartwheel.executors.work import Place
from cartwheel.records import Config
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.study_agents import ENVIRONMENT_LOG, agent_setup, env_maker, played_in
from cartwheel.task_files import loaded_task, run_task_source, source_of

if TYPE_CHECKING:
    from cartwheel.executors.lanes import AgentLanes

_BYTES = "latin-1"
"""Turns any bytes into text and back: a source file says its own encoding."""


def recipe_of(spec: StudySpec, reachable: Sequence[Config], has_compile_cache: bool) -> Recipe:
    """How a worker makes the agents of a study. Raises ConfigError if it could not know the task."""
    own = spec.task_file
    if spec.env_id in registered_later() and (own is None or loaded_task(own.sha256).id != spec.env_id):
        cause = f"{spec.env_id!r} was registered by a script, which workers, interpreters of their own, do not run"
        raise ConfigError(cause, "engine.executor", "give the task as a file (--task-file), or use --executor inline")
    arguments = {
        "spec": spec.to_dict(),
        "reachable": [dict(config) for config in reachable],
        "has_compile_cache": has_compile_cache,
        "allows_imports": imports_are_allowed(),
        "task_file": None if own is None else {"path": own.path, "source": source_of(own.sha256).decode(_BYTES)},
    }
    return Recipe("cartwheel.worker_agents:make_lanes", arguments)


def make_lanes(arguments: Mapping[str, Any], place: Place) -> "AgentLanes":
    """A worker's lanes, on one device. Raises ConfigError if the task or the environment is not known here."""
    import jax

    from cartwheel.executors.devices import prepare_jax, user_compile_cache
    from cartwheel.executors.lanes import AgentLanes
    from cartwheel.executors.xla import share_gpus

    share_gpus()
    # a worker has one core; where planning is spread, its bits are those of more than one device
    num_devices = 2 if arguments["spec"].get("agent", {}).get("spreads_plans", False) else 1
    prepare_jax(user_compile_cache() if arguments["has_compile_cache"] else None, num_devices)
    if arguments["allows_imports"]:
        allow_imports()
    if own := arguments["task_file"]:
        run_task_source(own["source"].encode(_BYTES), Path(own["path"]))
    try:
        spec = parse_spec(arguments["spec"], {})
        setup = agent_setup(spec, arguments["reachable"])
    except ConfigError as error:
        step = "what a script registers is not known to a worker: give a task file, or use --executor inline"
        raise ConfigError(f"in a worker: {error.cause}", error.place, step) from error
    devices = jax.local_devices()
    make = played_in(spec, env_maker(spec, log=place.checkpoints.folder.parent / ENVIRONMENT_LOG))
    return AgentLanes(setup, place, devices[place.index % len(devices)], make)
