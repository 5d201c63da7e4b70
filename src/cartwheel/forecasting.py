"""What a study will take, before it starts: ``cartwheel tune --dry-run``. Nothing starts, and nothing is written but
compiled programs, into the user's cache.
"""

import contextlib
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cartwheel.analysis.wording import data_size, duration
from cartwheel.backend import AgentBackend, NumAgents
from cartwheel.costs import Course, Lengths, Programs, Rehearsal, episode_seconds
from cartwheel.disk_use import max_bytes, probable_bytes
from cartwheel.rates import Rates
from cartwheel.records import Config
from cartwheel.spec import StudySpec
from cartwheel.study_agents import agent_setup, env_maker, played_in
from cartwheel.tuners.rehearsal import quick_tuner
from cartwheel.tuning import NUM_FINALISTS, corners, kept_amount, kept_in_the_end

if TYPE_CHECKING:
    from cartwheel.agents.pets.setup import AgentSetup
    from cartwheel.executors.foreseen import ForeseenAgents


@dataclass(frozen=True)
class Forecast:
    """A study's costs.

    ``memory_bytes``: of this process, with what compiling takes only where no cache keeps it; ``disk_bytes``: what the
    checkpoints probably take in the end, and ``max_disk_bytes`` the most that they ever take.
    """

    course: Course
    rates: Rates
    is_simulated: bool
    num_devices: int
    num_lanes: int
    num_env_steps: int
    memory_bytes: int
    disk_bytes: int
    max_disk_bytes: int

    @property
    def wall_s(self) -> float:
        """From the first segment to the last validation, compiling included."""
        return self.course.wall_s

    def lines(self, run_dir: Path) -> Iterator[str]:
        """What people read."""
        course = self.course
        yield (
            f"will run: {course.num_segments:,} segments, {course.num_episodes:,} episodes and "
            f"{course.num_validation_episodes:,} of validation, {self.num_env_steps:,} env steps if none ends early, "
            f"on {self.num_devices} devices x {self.num_lanes} lanes"
        )
        yield f"measured on this machine: an env step {1e3 * self.rates.step_s:.2f} ms, {self._measured()}"
        programs = "its program is" if course.num_programs == 1 else f"{course.num_programs} different programs are"
        yield f"time: {duration(self.wall_s)}, of which {duration(course.compile_s)} until {programs} there"
        agents = (
            f"; up to {data_size(course.device_bytes)} for the agents of each device" if course.device_bytes else ""
        )
        yield f"memory: {data_size(self.memory_bytes)} of this process{agents}"
        free = data_size(shutil.disk_usage(_existing(run_dir)).free)
        yield f"disk: about {data_size(self.disk_bytes)}, at most {data_size(self.max_disk_bytes)}; {free} are free"
        yield "nothing was started, and nothing written but compiled programs"

    def _measured(self) -> str:
        rates = self.rates
        if self.is_simulated:
            return f"planning {_per_second(rates.plan_s, 1e-3, 'k')} of simulated env steps a second"
        plan, update = (_per_second(seconds, 1e-9, "G") for seconds in (rates.plan_s, rates.update_s))
        done = f"planning {plan} and fitting {update} of multiply-adds a second and device"
        return f"{done}, a fit {rates.fit_s:.2f} s beside"


def forecast(spec: StudySpec, backend: AgentBackend) -> Forecast:
    """Lead the study's tuner through it, at rates that are measured now. Raises ConfigError as ``tune``.

    ``spec`` is one whose space starts where it will (``with_own_defaults``).
    """
    from cartwheel.executors.devices import devices_for, num_cores, prepare_jax, user_compile_cache

    spec, reachable = backend.applied_to(spec), corners(spec)
    setup = agent_setup(spec, reachable)
    spreads_plans = setup.shape.spreads_plans
    prepare_jax(user_compile_cache() if backend.has_compile_cache else None, devices_for(spreads_plans))
    backend.check(spec, reachable)
    about = (spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes, spec.seed)
    num_lanes = _num_lanes(spec, backend, reachable, lambda most: len(quick_tuner(*about).ask(most)))
    num_devices = _num_devices(spec, num_cores(), spreads_plans)
    agents = _agents(spec, setup, num_lanes)
    first = quick_tuner(*about).ask(1)[0].config
    num_busy = min(num_devices, -(-len(quick_tuner(*about).ask(num_devices * num_lanes)) // num_lanes))
    has_others = len(set(map(agents.program, reachable))) > 1
    # a program that spreads its plans wants all devices: never two of them at once in one process
    on = (1 if spreads_plans else num_busy, backend.has_compile_cache, has_others)
    rates, memory_bytes = agents.measure(first, *on)
    lengths = _lengths(spec, setup)
    seconds = episode_seconds(rates, agents.work, lengths)
    rehearsal = Rehearsal(num_devices, num_lanes, seconds, _programs(agents, rates, first))
    course = rehearsal.run(quick_tuner(*about), NUM_FINALISTS, spec.validation.num_episodes)
    return Forecast(
        course=course,
        rates=rates,
        is_simulated=spec.model == "simulator",
        num_devices=num_devices,
        num_lanes=num_lanes,
        num_env_steps=(course.num_episodes + course.num_validation_episodes) * setup.task.episode_length,
        memory_bytes=memory_bytes,
        disk_bytes=_probable_disk_bytes(spec, lengths, agents),
        max_disk_bytes=max_bytes(kept_amount(spec), num_devices * num_lanes, backend.file_sizes(spec, reachable)),
    )


def _agents(spec: StudySpec, setup: "AgentSetup", num_lanes: int) -> "ForeseenAgents":
    from cartwheel.executors.foreseen import learning_agents, simulator_planners

    if spec.model == "simulator":
        return simulator_planners(setup)
    return learning_agents(setup, num_lanes, played_in(spec, env_maker(spec)))


def _programs(agents: "ForeseenAgents", rates: Rates, measured: Config) -> Programs:
    """When the study begins, that of the ``measured`` config is there."""
    return Programs(
        of=agents.program,
        bytes_of=agents.program_bytes,
        compile_s=rates.compile_s,
        load_s=rates.load_s,
        known=frozenset([agents.program(measured)]),
        room=agents.max_programs,
    )


def _lengths(spec: StudySpec, setup: "AgentSetup") -> Lengths:
    """How long episodes become that an environment may end early is not known.

    If it is between what random actions reach and the full length, the geometric mean of the two is wrong by the
    smallest factor.
    """
    from cartwheel.envs.pool import make_env
    from cartwheel.executors.random_play import random_length

    make = make_env if spec.model == "simulator" else env_maker(spec)
    with contextlib.closing(make(setup.task)) as env:
        random = random_length(env)
    return Lengths(random, math.sqrt(random * setup.task.episode_length))


def _probable_disk_bytes(spec: StudySpec, lengths: Lengths, agents: "ForeseenAgents") -> int:
    """On average over the ways in which the study may go."""
    episodes = [agents.episode_bytes(round(length)) for length in (lengths.random, lengths.planned)]

    def checkpoint(config: Config) -> int:
        return agents.checkpoint_bytes(agents.program(config))

    return round(fmean(probable_bytes(kept, checkpoint, *episodes) for kept in kept_in_the_end(spec)))


def _num_lanes(spec: StudySpec, backend: AgentBackend, reachable: Sequence[Config], num_agents: NumAgents) -> int:
    """Of a device, as ``tune`` will have it."""
    is_given = "lanes" in spec.engine.model_fields_set and spec.model != "simulator"
    return spec.engine.lanes if is_given else backend.default_lanes(spec, reachable, num_agents)


def _num_devices(spec: StudySpec, num_cores: int, spreads_plans: bool) -> int:
    """Devices of this process (all of them count as one where plans are spread or simulated), or workers."""
    import jax

    if spec.model == "simulator":
        return 1
    if spec.engine.executor == "inline":
        return 1 if spreads_plans else len(jax.local_devices())
    return spec.engine.workers or num_cores


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _per_second(seconds: float, scale: float, unit: str) -> str:
    return f"{scale / seconds:.1f} {unit}" if seconds > 0 else "no measurable time"
