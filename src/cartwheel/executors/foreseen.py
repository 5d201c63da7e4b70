"""What a forecast asks of a study's agents before there are any: of those that learn, and of those that simulate."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import MakeEnv
from cartwheel.executors.calibration import Calibration, work_of
from cartwheel.executors.file_sizes import checkpoint_size, episode_size, simulator_episode_size, simulator_file_sizes
from cartwheel.executors.lanes import MAX_ENGINES
from cartwheel.executors.memory import needed_bytes
from cartwheel.executors.simulator_calibration import SimulatorCalibration, simulator_work_of
from cartwheel.rates import Rates, Work
from cartwheel.records import Config, Value

Found = TypeVar("Found")


@dataclass(frozen=True)
class ForeseenAgents:
    """``program``: of an agent; those that are equal share one, and a device keeps ``max_programs``.

    ``measure``: rates for agents of a config, and the bytes of this process then; arguments as ``Calibration.measure``.
    ``program_bytes``: what the agents of a program take of their device; ``checkpoint_bytes``: one
    of them that lists no episodes; ``episode_bytes``: what is kept of so many env steps.
    """

    measure: Callable[[Config, int, bool, bool], tuple[Rates, int]]
    work: Callable[[Config], Work]
    program: Callable[[Config], PetsShape]
    max_programs: float
    program_bytes: Callable[[PetsShape], int]
    checkpoint_bytes: Callable[[PetsShape], int]
    episode_bytes: Callable[[int], int]


def learning_agents(setup: AgentSetup, num_lanes: int, make: MakeEnv) -> ForeseenAgents:
    """As ``AgentLanes`` run them."""

    def measure(config: Config, *about: Any) -> tuple[Rates, int]:
        calibration = Calibration(setup, config, num_lanes, make)
        return calibration.measure(*about), calibration.memory_bytes

    return ForeseenAgents(
        measure=measure,
        work=_once_each(lambda config: work_of(setup, config)),
        program=_once_each(lambda config: setup.under(config).shape),
        max_programs=MAX_ENGINES,
        program_bytes=functools.cache(lambda shape: needed_bytes(setup.task, shape, num_lanes)),
        checkpoint_bytes=functools.cache(lambda shape: checkpoint_size(setup.task, shape)),
        episode_bytes=lambda num_steps: episode_size(setup.task, num_steps),
    )


def simulator_planners(setup: AgentSetup) -> ForeseenAgents:
    """As ``SimulatorLanes`` run them: on one device, of which they take next to nothing."""

    def measure(config: Config, *_: Any) -> tuple[Rates, int]:
        calibration = SimulatorCalibration(setup, config)
        return calibration.measure(), calibration.memory_bytes

    return ForeseenAgents(
        measure=measure,
        work=_once_each(lambda config: simulator_work_of(setup, config)),
        program=_once_each(lambda config: setup.under(config).shape),
        max_programs=math.inf,
        program_bytes=lambda _: 0,
        checkpoint_bytes=lambda _: simulator_file_sizes(setup).checkpoint,
        episode_bytes=lambda num_steps: simulator_episode_size(setup.task, num_steps),
    )


def _once_each(function: Callable[[Config], Found]) -> Callable[[Config], Found]:
    """``function``, computed once for every config: a rehearsal asks for each episode."""

    @functools.cache
    def found(items: tuple[tuple[str, Value], ...]) -> Found:
        return function(dict(items))

    return lambda config: found(tuple(config.items()))
