"""From a spec to an executor: the one place that joins what is tuned to what runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cartwheel.errors import ConfigError
from cartwheel.records import Config
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.study import TimedExecutor

if TYPE_CHECKING:
    from cartwheel.agents.pets.setup import AgentSetup

Say: TypeAlias = Callable[[str], None]


class Backend(Protocol):
    """``reachable`` are configs whose sizes the agent's program must cover."""

    def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
        """Raises ConfigError if the environment or the agent cannot be made; compiles nothing."""

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Say
    ) -> TimedExecutor:
        """A new executor for this study."""


@dataclass(frozen=True, slots=True)
class InlineBackend:
    """Everything in this process, on all its devices. Compiled programs are remembered in the user's cache folder."""

    has_compile_cache: bool = True

    def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
        from cartwheel.envs.pool import make_env

        setup = agent_setup(spec, reachable)
        try:
            make_env(setup.task).close()
        except ValueError as error:
            raise ConfigError(str(error), "env_id", "correct the task or choose another environment") from error

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Say
    ) -> TimedExecutor:
        from cartwheel.executors.devices import prepare_jax, user_compile_cache
        from cartwheel.executors.inline import InlineExecutor
        from cartwheel.executors.lanes import lanes_of_devices

        prepare_jax(user_compile_cache() if self.has_compile_cache else None)
        setup = agent_setup(spec, reachable)
        if setup.task.learned:
            say(f"{setup.task.learned} of {spec.env_id} will be learned from data: there is no formula")
        return InlineExecutor(
            lambda place: lanes_of_devices(setup, place),
            checkpoints,
            spec.engine.lanes,
            on_message=say,
            max_call_s=spec.engine.max_call_s,
        )


def agent_setup(spec: StudySpec, reachable: Sequence[Config]) -> "AgentSetup":
    """The agent of a study. Raises ConfigError on an unknown environment or setting."""
    from cartwheel.agents.pets.setup import make_setup
    from cartwheel.envs.lookup import find_task
    from cartwheel.task_files import require_loaded

    if spec.task_file is not None:
        require_loaded(spec.task_file.path, spec.task_file.sha256)
    try:
        task = find_task(spec.env_id, spec.episode_length)
    except ValueError as error:
        raise ConfigError(str(error), "env_id") from error
    try:
        return make_setup(task, spec.agent, reachable, spec.num_episodes)
    except ValueError as error:
        raise ConfigError(str(error), "agent or space", "correct the study file or the option") from error
