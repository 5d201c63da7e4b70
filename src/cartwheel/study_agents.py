"""From a spec to what its agents are made of: the setup, and the environments that they play in."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cartwheel.errors import ConfigError
from cartwheel.records import Config
from cartwheel.spec import StudySpec

if TYPE_CHECKING:
    from cartwheel.agents.pets.setup import AgentSetup
    from cartwheel.engines.engine import MakeEnv
    from cartwheel.envs.isolated import EnvMaker

ENVIRONMENT_LOG = "environment.log"
"""In the run folder: what environments in processes of their own print."""


def agent_setup(spec: StudySpec, reachable: Sequence[Config]) -> "AgentSetup":
    """The agent of a study. Raises ConfigError on an unknown environment or setting.

    Everything that uses JAX for a study begins here, so this is where XLA is made deterministic if it shall be.
    """
    from cartwheel.executors.xla import make_deterministic

    if spec.engine.deterministic:
        make_deterministic()
    from cartwheel.agents.pets.setup import make_setup
    from cartwheel.envs.lookup import find_task
    from cartwheel.task_files import require_loaded

    if spec.task_file is not None:
        require_loaded(spec.task_file.path, spec.task_file.sha256)
    try:
        task = find_task(spec.env_id, spec.episode_length, env_maker(spec))
    except ValueError as error:
        raise ConfigError(str(error), "env_id") from error
    try:
        return make_setup(task, spec.agent_settings, reachable, spec.num_episodes)
    except ValueError as error:
        raise ConfigError(str(error), "agent or space", "correct the study file or the option") from error


def env_maker(spec: StudySpec, log: Path | None = None) -> "EnvMaker":
    """How a study makes its environments; ``log`` takes what those in processes of their own print."""
    from cartwheel.envs.isolated import EnvMaker

    task_file = None if spec.task_file is None else (spec.task_file.path, spec.task_file.sha256)
    return EnvMaker(spec.engine.isolate, spec.engine.max_call_s, log, task_file)


def played_in(spec: StudySpec, make: "EnvMaker") -> "MakeEnv":
    """How a study's engines make what they play in."""
    from cartwheel.envs.formula import formula_or_env

    return partial(formula_or_env, make) if spec.engine.whole_episodes else make
