"""How fast this machine plans with the true dynamics: measured on a few steps of the study's own planner."""

import itertools

from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.ceiling import TruePlanner
from cartwheel.engines.rollouts import Abandoned
from cartwheel.envs.pool import EnvironmentFailed
from cartwheel.errors import ConfigError
from cartwheel.executors.calibration import PLAN_S, Clock, imagined_steps, peak_bytes
from cartwheel.rates import Rates, Work
from cartwheel.records import Config

_SEED = ("calibration",)


def simulator_work_of(setup: AgentSetup, tuned: Config) -> Work:
    """Env steps that the simulator takes to plan one: samples x iterations x horizon. Nothing is fitted."""
    return Work(float(imagined_steps(setup.under(tuned))), 0.0)


class SimulatorCalibration:
    """A planner under one config. ``memory_bytes``: of this process, once it has been measured."""

    memory_bytes = 0

    def __init__(self, setup: AgentSetup, config: Config) -> None:
        self._setup, self._config = setup, config

    def measure(self) -> Rates:
        """Compiles, which every process does anew: a program that calls the simulator is in no cache."""
        planner = TruePlanner(self._setup)
        try:
            random, planned = self._run(planner, is_random=True), self._run(planner, is_random=False)
        finally:
            planner.close()
        self.memory_bytes = peak_bytes()
        compile_s = max(0.0, planned.first_s - planned.step_s)
        work = simulator_work_of(self._setup, self._config)
        plan_s = max(0.0, planned.step_s - random.step_s) / work.plan
        return Rates(compile_s, load_s=compile_s, step_s=random.step_s, plan_s=plan_s, fit_s=0.0, update_s=0.0)

    def _run(self, planner: TruePlanner, is_random: bool) -> Clock:
        """Some env steps of an episode."""
        clock = Clock(PLAN_S, itertools.count().__next__)
        try:
            planner.play(self._config, _SEED, int(not is_random), is_random, should_stop=clock)
            clock()
        except Abandoned:
            pass
        except EnvironmentFailed as error:
            step = "run a shorter study, and see its report"
            raise ConfigError(f"no episode could be tried: {error}", "--dry-run", step) from error
        return clock
