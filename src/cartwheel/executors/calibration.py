"""How fast this machine runs an agent's programs: measured on the programs themselves, on all devices side by side.

Beginnings of lives are run on every device at once, as the study would: a random episode and fits after it, with and
without epochs, then some planned env steps. So rates hold for busy caches, cores and memory.
"""

import contextlib
import ctypes
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from cartwheel.agents.pets.hypers import hypers_from_configs
from cartwheel.agents.pets.planner import plan_bounds
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import Engine, EpisodeJob, MakeEnv
from cartwheel.engines.rollouts import Abandoned
from cartwheel.executors.memory import PLAN, needed_bytes
from cartwheel.rates import Rates, Work
from cartwheel.records import Config

PLAN_S = 1.0
"""So long env steps are planned for a rate."""
FIT_S = 0.5
"""So long a fit takes, roughly, that is measured for a rate."""
MAX_EPOCHS = 100
_SEED = ("calibration",)


def work_of(setup: AgentSetup, tuned: Config) -> Work:
    """The arithmetic of an agent under a config: that of its networks; samples are counted in whole chunks."""
    chosen = setup.under(tuned)
    shape, sizes = chosen.shape, _num_weights(chosen)
    per_sample = shape.num_planning_networks if shape.propagation == "e" else shape.num_particles
    plan = imagined_steps(chosen) * per_sample * sizes
    return Work(float(plan), float(chosen.base["num_epochs"]) * shape.num_networks * sizes)


def imagined_steps(chosen: AgentSetup) -> int:
    """Env steps that the samples of a plan come to; samples are counted in whole chunks."""
    bounds = plan_bounds(hypers_from_configs([chosen.base], chosen.shape.planner).planner, chosen.shape)
    return int(np.sum(bounds.num_chunks)) * chosen.shape.sample_chunk * int(bounds.horizon)


def _num_weights(setup: AgentSetup) -> int:
    """Of one network: a multiply-add each, for every row."""
    task, shape = setup.task, setup.shape
    hidden = (shape.num_layers - 1) * shape.width**2
    return hidden + shape.width * (task.obs_size + task.action_size + 2 * task.obs_size)


class Calibration:
    """Engines on some devices, with agents of one config in all lanes.

    ``memory_bytes``: of this process while it has them all, once they have been measured.
    """

    memory_bytes = 0

    def __init__(self, setup: AgentSetup, config: Config, num_lanes: int, make: MakeEnv) -> None:
        self._setup, self._config, self._num_lanes, self._make = setup.under(config), config, num_lanes, make
        self._work = work_of(setup, config)

    def measure(self, num_devices: int, has_cache: bool, has_others: bool) -> Rates:
        """Rates on the first devices. Compiles, unless the cache has the programs, and then takes some seconds.

        What is compiled now will be in the cache when the study begins, if there is a cache. If it ``has_others``,
        agents with programs of their own, these will not be there: what compiling takes is then measured as well.
        """
        devices = jax.local_devices()[:num_devices]
        barrier, compile_s = threading.Barrier(len(devices)), 0.0
        with ThreadPoolExecutor(len(devices)) as threads:
            if has_cache and has_others:
                with without_cache():
                    compile_s = self._timed_build(threads, devices)
            if has_cache:
                self._timed_build(threads, devices)
            started = time.perf_counter()
            engines = list(threads.map(self._build, devices))
            load_s = time.perf_counter() - started
            measured = list(threads.map(lambda engine: self._run(engine, barrier), engines))
            self.memory_bytes = settled_bytes() if has_cache and not has_others else peak_bytes()
        return Rates(compile_s or load_s, load_s, *map(fmean, zip(*measured, strict=True)))

    def _timed_build(self, threads: ThreadPoolExecutor, devices: Sequence[jax.Device]) -> float:
        """Seconds until all devices have a program, which is then forgotten."""
        started = time.perf_counter()
        engines = list(threads.map(self._build, devices))
        seconds = time.perf_counter() - started
        for engine in engines:
            engine.close()
        jax.clear_caches()
        return seconds

    def _build(self, device: jax.Device) -> Engine:
        task, shape = self._setup.task, self._setup.shape
        PLAN.promise(device, num_bytes := needed_bytes(task, shape, self._num_lanes))
        try:
            return Engine(task, shape, self._num_lanes, device, self._make)
        finally:
            PLAN.release(device, num_bytes)

    def _run(self, engine: Engine, barrier: threading.Barrier) -> tuple[float, float, float, float]:
        """Step, plan, fit and update rates of a device, begun together with the others."""
        barrier.wait()
        steps_s, bare_s, _ = zip(*(self._random_episode(engine, num_epochs=0) for _ in range(2)), strict=True)
        one_step_s, one_s, _ = self._random_episode(engine, num_epochs=1)
        fit_s = min(bare_s)
        num_epochs = min(MAX_EPOCHS, max(2, round(FIT_S / max(one_s - fit_s, FIT_S / MAX_EPOCHS))))
        long_step_s, long_s, length = self._random_episode(engine, num_epochs)
        per_epoch = self._work.fit / max(1.0, float(self._setup.under(self._config).base["num_epochs"])) * length
        update_s = max(0.0, long_s - fit_s) / (num_epochs * per_epoch)
        step_s = min(*steps_s, one_step_s, long_step_s)  # what else disturbs so short an episode only makes it longer
        plan_s = max(0.0, self._planned_step_s(engine) - step_s) / self._work.plan
        engine.close()
        return step_s, plan_s, fit_s, update_s

    def _random_episode(self, engine: Engine, num_epochs: int) -> tuple[float, float, int]:
        """Seconds of an env step that is not planned, and of the fit; how many steps there were."""
        fresh = engine.fresh(_SEED)
        for lane in range(self._num_lanes):
            engine.load(lane, fresh)
        config = {**self._setup.base, "num_epochs": num_epochs}
        results = engine.run_episode(self._jobs(config, 0, learns=True)).values()
        episodes = [result.episode for result in results]
        length = max(episode.length for episode in episodes)
        total = {name: sum(episode.seconds[name] for episode in episodes) for name in ("plan", "env", "fit")}
        return (total["plan"] + total["env"]) / max(1, length), total["fit"], length

    def _planned_step_s(self, engine: Engine) -> float:
        """Seconds of an env step that is planned."""
        clock = Clock(PLAN_S, lambda: engine.num_steps)
        with contextlib.suppress(Abandoned):
            engine.run_episode(self._jobs(self._setup.base, 1, learns=False), clock)
            clock()
        return clock.step_s

    def _jobs(self, config: Config, index: int, learns: bool) -> dict[int, EpisodeJob]:
        return {
            lane: EpisodeJob(config, (*_SEED, lane), index, is_random=index == 0, learns=learns)
            for lane in range(self._num_lanes)
        }


class Clock:
    """Asked between env steps whether to stop, so it knows when they began. The first ones are not counted."""

    def __init__(self, limit_s: float, num_steps: Callable[[], int]) -> None:
        self._limit_s, self._num_steps = limit_s, num_steps
        self._at: list[tuple[float, int]] = []

    def __call__(self) -> bool:
        self._at.append((time.perf_counter(), self._num_steps()))
        return len(self._at) > 3 and self._at[-1][0] - self._at[0][0] > self._limit_s

    @property
    def first_s(self) -> float:
        """Of the first ones, which compile where that has not been done before."""
        return self._at[min(1, len(self._at) - 1)][0] - self._at[0][0]

    @property
    def step_s(self) -> float:
        """Of one of the others."""
        (began, first), (ended, last) = self._at[min(1, len(self._at) - 2)], self._at[-1]
        return (ended - began) / max(1, last - first)


@contextlib.contextmanager
def without_cache() -> Iterator[None]:
    """Programs are compiled inside, also those that JAX's cache has."""
    was_enabled = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # which remembers whether it is enabled
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", was_enabled)
        compilation_cache.reset_cache()


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def settled_bytes() -> int:
    """The memory of this process, without what the compiler took and gave back; the peak where nobody can tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_bytes()
    with contextlib.suppress(AttributeError):  # a C library without it keeps what the compiler gave back
        ctypes.CDLL(None).malloc_trim(0)
    return int(statm.read_text().split()[1]) * resource.getpagesize()
