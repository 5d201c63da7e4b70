"""From a spec to an executor: the one place that joins what is tuned to what runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cartwheel.errors import ConfigError
from cartwheel.records import MAX_LANES, Config, FileSizes
from cartwheel.spec import ExecutorName, StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.study import TimedExecutor
from cartwheel.study_agents import ENVIRONMENT_LOG, agent_setup, env_maker, played_in

if TYPE_CHECKING:
    from cartwheel.agents.pets.setup import AgentSetup
    from cartwheel.envs.isolated import Isolate
    from cartwheel.executors.messages import Recipe

Say: TypeAlias = Callable[[str], None]
NumAgents: TypeAlias = Callable[[int], int]
"""How many agents of a study run at a time where there is room for so many."""


class Backend(Protocol):
    """``reachable`` are configs whose sizes the agent's program must cover."""

    def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
        """Raises ConfigError if the environment or the agent cannot be made; compiles nothing."""

    def default_lanes(self, spec: StudySpec, reachable: Sequence[Config], num_agents: NumAgents) -> int:
        """How many agents share a program in a new study that does not say."""

    def agent_defaults(self, spec: StudySpec, reachable: Sequence[Config], alone: Sequence[Config]) -> Config:
        """What agents have that a new study does not say.

        ``alone``: the configs of an agent that trains alone, and may have all devices.
        """

    def own_config(self, spec: StudySpec) -> Config:
        """What the study's agents have where nothing is tuned, as far as that is known."""

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Say
    ) -> TimedExecutor:
        """A new executor for this study."""

    def file_sizes(self, spec: StudySpec, reachable: Sequence[Config]) -> FileSizes:
        """How large the files of its agents will be. To be called after ``make``, which may prepare what this uses."""


@dataclass(frozen=True, slots=True)
class AgentBackend:
    """Real agents, in this process unless the study or ``executor`` says otherwise.

    ``executor`` and ``workers``: in place of the study's. ``ray_address``: of a running cluster; None: the one that
    Ray's environment variables name, or one of our own on this machine. Compiled programs are remembered in the user's
    cache folder.
    """

    has_compile_cache: bool = True
    executor: ExecutorName | None = None
    workers: int | None = None
    ray_address: str | None = None
    isolate: "Isolate | None" = None
    """Which environments get processes of their own; None: as the study says."""

    def applied_to(self, spec: StudySpec) -> StudySpec:
        """The study with what was chosen here in the place of its own choices."""
        chosen = {"executor": self.executor, "workers": self.workers, "isolate": self.isolate}
        given = {name: value for name, value in chosen.items() if value is not None}
        return spec.model_copy(update={"engine": spec.engine.model_copy(update=given)})

    def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
        from cartwheel.envs.tasks import task_ids

        spec = self.applied_to(spec)
        setup = agent_setup(spec, reachable)
        if spec.engine.whole_episodes and (spec.model == "simulator" or not setup.task.is_formula):
            cause = f"{setup.task.id} is not played whole: that takes equations, a reward and a termination as formulas"
            raise ConfigError(cause, "engine.whole_episodes", "leave it out, or give the task these")
        if spec.engine.executor != "inline":
            self._recipe(spec, reachable)
        try:
            if spec.model == "simulator":
                from cartwheel.ceiling import TruePlanner

                TruePlanner(setup).close()  # whose environment must be in this process: plans begin in its state
            elif setup.task.id in task_ids():  # any other has just been made, to look at it
                env_maker(spec)(setup.task).close()
        except ValueError as error:
            raise ConfigError(str(error), "env_id", "correct the task or choose another environment") from error

    def default_lanes(self, spec: StudySpec, reachable: Sequence[Config], num_agents: NumAgents) -> int:
        """1 for workers, of which there are as many as the user likes, and for a planner that needs all devices."""
        import jax

        from cartwheel.executors.devices import default_lanes
        from cartwheel.executors.memory import available_bytes, needed_bytes

        spec = self.applied_to(spec)
        setup = self._prepared(spec, reachable)
        if spec.engine.executor != "inline" or spec.model == "simulator" or setup.shape.spreads_plans:
            return 1
        first, *others = jax.local_devices()
        if first.platform == "cpu":
            return 1
        num_devices = 1 + len(others)
        lane_bytes = needed_bytes(setup.task, setup.shape, 1)
        agents = num_agents(MAX_LANES * num_devices)
        return default_lanes(first.platform, agents, num_devices, lane_bytes, available_bytes(first))

    def agent_defaults(self, spec: StudySpec, reachable: Sequence[Config], alone: Sequence[Config]) -> Config:
        spec = self.applied_to(spec)
        setup = agent_setup(spec, reachable)
        # where planners are tuned, what belongs to one planner is no default of another
        settings = setup.model_settings if "planner" in spec.make_space().names else setup.settings
        return {**settings, "spreads_plans": self._spreads_plans(spec, setup, alone)}

    def _spreads_plans(self, spec: StudySpec, setup: "AgentSetup", alone: Sequence[Config]) -> bool:
        """Whether plans are large enough to be worth the waiting for each other; on a CPU."""
        import jax

        from cartwheel.executors.calibration import work_of
        from cartwheel.executors.devices import SPREAD_FROM

        if spec.engine.executor != "inline" or spec.model == "simulator" or not alone:
            return False
        if max(work_of(setup, config).plan for config in alone) < SPREAD_FROM:
            return False
        self._prepare_jax(spreads_plans=True)
        is_cpu: bool = jax.local_devices()[0].platform == "cpu"
        return is_cpu

    def own_config(self, spec: StudySpec) -> Config:
        return agent_setup(self.applied_to(spec), []).own

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Say
    ) -> TimedExecutor:
        from cartwheel.executors.devices import num_cores

        spec = self.applied_to(spec)
        setup = self._prepared(spec, reachable)
        if spec.model == "simulator":
            return _simulator_executor(setup, checkpoints, spec, say)
        if setup.shape.spreads_plans:
            say("this agent plans on all devices (agent.spreads_plans)")
        if setup.task.learned:
            say(f"{setup.task.learned} of {spec.env_id} will be learned from data: there is no formula")
        engine = spec.engine
        match engine.executor:
            case "inline":
                from cartwheel.executors.inline import InlineExecutor
                from cartwheel.executors.lanes import lanes_of_devices

                make = env_maker(spec, checkpoints.folder.parent / ENVIRONMENT_LOG)
                if exception := make.exception(setup.task):
                    say(exception)
                make_lanes = partial(lanes_of_devices, setup, make=played_in(spec, make))
                return InlineExecutor(make_lanes, checkpoints, engine.lanes, say, engine.max_call_s)
            case "processes":
                from cartwheel.executors.processes import Processes
                from cartwheel.executors.workers import Bounds, WorkersExecutor

                recipe, bounds = self._recipe(spec, reachable), Bounds(engine.max_call_s, engine.max_worker_memory_mib)
                crew = Processes(recipe, checkpoints, engine.workers or num_cores(), engine.lanes)
                return WorkersExecutor(crew, say, bounds)
            case "ray":
                from cartwheel.executors.ray import RayActors
                from cartwheel.executors.workers import Bounds, WorkersExecutor

                recipe = self._recipe(spec, reachable)
                actors = RayActors(recipe, checkpoints, engine.workers, engine.lanes, self.ray_address)
                return WorkersExecutor(actors, say, Bounds(engine.max_call_s))

    def _prepared(self, spec: StudySpec, reachable: Sequence[Config]) -> "AgentSetup":
        """The study's agent, and JAX with the devices that it will have."""
        from cartwheel.executors.xla import share_gpus

        if spec.engine.executor != "inline":
            share_gpus()  # this process leaves them to its workers
        setup = agent_setup(spec, reachable)
        self._prepare_jax(setup.shape.spreads_plans)
        return setup

    def _prepare_jax(self, spreads_plans: bool) -> None:
        from cartwheel.executors.devices import devices_for, prepare_jax, user_compile_cache

        prepare_jax(user_compile_cache() if self.has_compile_cache else None, devices_for(spreads_plans))

    def file_sizes(self, spec: StudySpec, reachable: Sequence[Config]) -> FileSizes:
        from cartwheel.executors.file_sizes import file_sizes, simulator_file_sizes

        setup = agent_setup(self.applied_to(spec), reachable)
        return simulator_file_sizes(setup) if spec.model == "simulator" else file_sizes(setup, reachable)

    def _recipe(self, spec: StudySpec, reachable: Sequence[Config]) -> "Recipe":
        from cartwheel.worker_agents import recipe_of

        return recipe_of(spec, reachable, self.has_compile_cache)


def _simulator_executor(setup: "AgentSetup", checkpoints: CheckpointStore, spec: StudySpec, say: Say) -> TimedExecutor:
    """Always in this process: MuJoCo itself rolls out on all cores."""
    from cartwheel.executors.inline import InlineExecutor
    from cartwheel.executors.simulator import SimulatorLanes

    return InlineExecutor(lambda place: [SimulatorLanes(setup, place)], checkpoints, 1, say, spec.engine.max_call_s)
