"""What a study will take, before it starts: ``cartwheel tune --dry-run``. Nothing starts, and nothing is written but
compiled programs, into the user's cache.
"""

import contextlib
import functools
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cartwheel.analysis.wording import data_size, duration
from cartwheel.backend import AgentBackend, NumAgents
from cartwheel.costs import Course, Rehearsal, episode_seconds
from cartwheel.disk_use import max_bytes, probable_bytes
from cartwheel.errors import ConfigError
from cartwheel.rates import Rates
from cartwheel.records import Config
from cartwheel.spec import StudySpec
from cartwheel.study_agents import agent_setup, env_maker, played_in
from cartwheel.tuners.rehearsal import quick_tuner
from cartwheel.tuning import NUM_FINALISTS, corners, kept_amount, kept_in_the_end, with_own_defaults

if TYPE_CHECKING:
    from cartwheel.agents.pets.setup import AgentSetup


@dataclass(frozen=True)
class Forecast:
    """A study's costs.

    ``memory_bytes``: of this process, with what compiling takes only where no cache keeps it; ``device_bytes``: the
    most that agents of one shape take of a device, a GPU say; ``disk_bytes``: what the checkpoints probably take in the
    end, and ``max_disk_bytes`` the most that they ever take.
    """

    course: Course
    rates: Rates
    num_devices: int
    num_lanes: int
    num_env_steps: int
    memory_bytes: int
    device_bytes: int
    disk_bytes: int
    max_disk_bytes: int

    @property
    def wall_s(self) -> float:
        """From the first segment to the last validation, compiling included."""
        return self.rates.compile_s + self.course.wall_s

    def lines(self, run_dir: Path) -> Iterator[str]:
        """What people read."""
        course, rates = self.course, self.rates
        yield (
            f"will run: {course.num_segments:,} segments, {course.num_episodes:,} episodes and "
            f"{course.num_validation_episodes:,} of validation, {self.num_env_steps:,} env steps if none ends early, "
            f"on {self.num_devices} devices x {self.num_lanes} lanes"
        )
        yield (
            f"measured on this machine: an env step {1e3 * rates.step_s:.2f} ms, planning {_giga(rates.plan_s)} and "
            f"fitting {_giga(rates.update_s)} of multiply-adds a second and device, a fit {rates.fit_s:.2f} s beside"
        )
        yield f"time: {duration(self.wall_s)}, of which {duration(rates.compile_s)} until programs are there"
        yield (
            f"memory: {data_size(self.memory_bytes)} of this process; "
            f"up to {data_size(self.device_bytes)} for the agents of each device"
        )
        free = data_size(shutil.disk_usage(_existing(run_dir)).free)
        yield f"disk: about {data_size(self.disk_bytes)}, at most {data_size(self.max_disk_bytes)}; {free} are free"
        yield "nothing was started, and nothing written but compiled programs"


def forecast(spec: StudySpec, backend: AgentBackend) -> Forecast:
    """Lead the study's tuner through it, at rates that are measured now. Raises ConfigError as ``tune``."""
    from cartwheel.executors.calibration import Calibration, work_of
    from cartwheel.executors.devices import devices_for, num_cores, prepare_jax, user_compile_cache
    from cartwheel.executors.memory import needed_bytes

    if spec.model == "simulator":
        cause = "what it costs to plan with the true dynamics is not foreseen"
        raise ConfigError(cause, "--dry-run, model", "run a shorter study, and see its report")
    spec, reachable = with_own_defaults(backend.applied_to(spec), backend), corners(spec)
    setup = agent_setup(spec, reachable)
    spreads_plans = setup.shape.spreads_plans
    prepare_jax(user_compile_cache() if backend.has_compile_cache else None, devices_for(spreads_plans))
    backend.check(spec, reachable)
    about = (spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes, spec.seed)
    num_lanes = _num_lanes(spec, backend, reachable, lambda most: len(quick_tuner(*about).ask(most)))
    num_devices = _num_devices(spec, num_cores(), spreads_plans)
    first = quick_tuner(*about).ask(1)[0]
    num_busy = min(num_devices, -(-len(quick_tuner(*about).ask(num_devices * num_lanes)) // num_lanes))
    calibration = Calibration(setup, first.config, num_lanes, played_in(spec, env_maker(spec)))
    # a program that spreads its plans wants all devices: never two of them at once in one process
    rates = calibration.measure(1 if spreads_plans else num_busy, backend.has_compile_cache)
    seconds = episode_seconds(rates, lambda config: work_of(setup, config), setup.task.episode_length)
    rehearsal = Rehearsal(num_devices, num_lanes, seconds)
    course = rehearsal.run(quick_tuner(*about), NUM_FINALISTS, spec.validation.num_episodes)
    num_episodes = course.num_episodes + course.num_validation_episodes
    most = max_bytes(kept_amount(spec), num_devices * num_lanes, backend.file_sizes(spec, reachable))
    return Forecast(
        course=course,
        rates=rates,
        num_devices=num_devices,
        num_lanes=num_lanes,
        num_env_steps=num_episodes * setup.task.episode_length,
        memory_bytes=calibration.memory_bytes,
        device_bytes=needed_bytes(setup.task, setup.shape, num_lanes),
        disk_bytes=_probable_disk_bytes(spec, setup),
        max_disk_bytes=most,
    )


def _probable_disk_bytes(spec: StudySpec, setup: "AgentSetup") -> int:
    """On average over studies of this kind.

    How long episodes become that an environment may end early is not known. If it is between what random actions reach
    and the full length, the geometric mean of the two is wrong by the smallest factor.
    """
    from cartwheel.executors.file_sizes import checkpoint_size, episode_size
    from cartwheel.executors.random_play import random_length

    with contextlib.closing(env_maker(spec)(setup.task)) as env:
        random = random_length(env)
    planned = math.sqrt(random * setup.task.episode_length)
    episodes = [episode_size(setup.task, round(length)) for length in (random, planned)]
    of_shape = functools.cache(functools.partial(checkpoint_size, setup.task))
    kept = kept_in_the_end(spec)
    return round(fmean(probable_bytes(each, lambda c: of_shape(setup.under(c).shape), *episodes) for each in kept))


def _num_lanes(spec: StudySpec, backend: AgentBackend, reachable: Sequence[Config], num_agents: NumAgents) -> int:
    """Of a device, as ``tune`` will have it."""
    is_given = "lanes" in spec.engine.model_fields_set
    return spec.engine.lanes if is_given else backend.default_lanes(spec, reachable, num_agents)


def _num_devices(spec: StudySpec, num_cores: int, spreads_plans: bool) -> int:
    """Devices of this process (all of them count as one where plans are spread), or workers."""
    import jax

    if spec.engine.executor == "inline":
        return 1 if spreads_plans else len(jax.local_devices())
    return spec.engine.workers or num_cores


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _giga(seconds: float) -> str:
    return f"{1e-9 / seconds:.1f} G" if seconds > 0 else "no measurable time"
