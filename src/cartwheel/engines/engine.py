"""One compiled program for a whole cohort: vectorises an agent over lanes and advances it in real environments.

An engine owns one device and a fixed number of lanes; each lane holds one agent. ``run_episode`` advances every busy
lane by one episode: rollout, then fit. Lanes differ freely in age and hyperparameters; a lane without a job idles.
The program's width is fixed, because the bits of a compiled program depend on its width and on nothing else: so what
a lane computes does not depend on its neighbours, its slot, or the number of devices.

    L lanes   T episode length   O observation   A action
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Transitions, host_transitions, row_shapes
from cartwheel.agents.pets.diagnostics import Experience, plan_steps
from cartwheel.agents.pets.hypers import HostArray, PetsHypers, PetsShape, hypers_from_configs
from cartwheel.agents.pets.planner import PlanBounds, no_bounds, plan_bounds
from cartwheel.agents.pets.propagation import World
from cartwheel.engines.programs import Programs, compile_programs, planning_sharding
from cartwheel.engines.rollouts import Abandoned, Failure, Rollout, empty_rollout, wild_action
from cartwheel.engines.whole_episodes import POLL_S, Progress, collect
from cartwheel.envs.formula import FormulaEnv
from cartwheel.envs.pool import EnvironmentFailed, Watched, make_env
from cartwheel.envs.tasks import Task
from cartwheel.records import Config, Episode
from cartwheel.seeds import seed_integer, seed_words

_Act: TypeAlias = Callable[..., Any]
MakeEnv: TypeAlias = Callable[[Task], Watched | FormulaEnv]
HostState: TypeAlias = PetsState
"""A single agent's state as NumPy arrays."""


@dataclass(frozen=True, slots=True)
class EpisodeJob:
    """What a lane does next. ``seed`` names this episode's randomness; ``learns`` is off for evaluations."""

    config: Config
    seed: tuple[int | str, ...]
    index: int
    is_random: bool = False
    learns: bool = True


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """A lane's finished episode and its transitions (arrays [length, ...]).

    ``failure`` is None when all went well.
    """

    episode: Episode
    transitions: Transitions
    failure: Failure | None = None


def random_key(*names: int | str) -> NDArray[np.uint32]:
    """The raw JAX key [2] that names address."""
    return np.asarray(seed_words(*names)[:2], np.uint32)


class Engine:
    """Runs agents of one task and shape on one device. ``num_steps``: that its episodes had so far."""

    def __init__(
        self, task: Task, shape: PetsShape, num_lanes: int, device: Any = None, make: MakeEnv = make_env
    ) -> None:
        self.task, self.shape, self.num_lanes = task, shape, num_lanes
        self.device = device if device is not None else jax.devices()[0]
        self._planning = planning_sharding(shape, self.device)
        self.compile_s = 0.0
        self.num_steps = 0
        self._envs: list[Watched | FormulaEnv] = []
        try:
            self._envs.extend(make(task) for _ in range(num_lanes))
            self._plays_whole = all(isinstance(env, FormulaEnv) for env in self._envs)
            self._programs = self._compile()
            self._states: PetsState = self._programs.init(self._put(np.zeros((num_lanes, 2), np.uint32)))
        except BaseException:
            self.close()  # environments may be processes
            raise

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def fresh(self, seed: tuple[int | str, ...]) -> HostState:
        """A new agent, on the host."""
        keys = np.tile(random_key(*seed, "init"), (self.num_lanes, 1))
        return lane_of(jax.device_get(self._programs.init(self._put(keys))), 0)

    def load(self, lane: int, state: HostState) -> None:
        """Put an agent into a lane."""
        self._states = self._programs.load(self._states, self._put(state), np.asarray(lane, np.int32))

    def snapshot(self, lanes: Sequence[int]) -> dict[int, HostState]:
        """The agents of some lanes on the host, their replay left out (its rows are the caller's transitions)."""
        empty = host_transitions(*(np.zeros((self.num_lanes, 0, 0), np.float32) for _ in range(3)))
        light = dataclasses.replace(self._states, replay=dataclasses.replace(self._states.replay, rows=empty))
        host = jax.device_get(light)
        return {lane: lane_of(host, lane) for lane in lanes}

    def run_episode(
        self, jobs: Mapping[int, EpisodeJob], should_stop: Callable[[], bool] = lambda: False
    ) -> dict[int, EpisodeResult]:
        """One episode of every lane that has a job, then a fit of those that learn.

        Raises Abandoned when ``should_stop`` says so between two environment steps; lanes must then be loaded anew.
        """
        lanes = [jobs.get(lane) for lane in range(self.num_lanes)]
        filler = next(iter(jobs.values()))
        hypers = hypers_from_configs([dict((job or filler).config) for job in lanes], self.shape.planner)
        rollout = self._roll_out(jobs, hypers, should_stop)
        fitting = {lane: job for lane, job in jobs.items() if job.learns and lane not in rollout.failures}
        started = time.perf_counter()
        metrics = self._learn(fitting, hypers, rollout)
        fit_s = time.perf_counter() - started
        return {lane: self._result(lane, jobs, rollout, metrics, fit_s) for lane in jobs}

    def _roll_out(self, jobs: Mapping[int, EpisodeJob], hypers: PetsHypers, should_stop: Callable[[], bool]) -> Rollout:
        rollout = empty_rollout(self.task, self.shape, self.num_lanes)
        obs = np.zeros((self.num_lanes, self.task.obs_size), np.float32)
        started = time.perf_counter()
        running = set(jobs)
        for lane, job in jobs.items():
            try:
                obs[lane] = self._envs[lane].reset(seed_integer(*job.seed, job.index, "reset"))
            except EnvironmentFailed as error:
                rollout.failures[lane] = Failure(error.kind, str(error))
                running.discard(lane)
        rollout.env_s += time.perf_counter() - started
        models = self._put_to_plan(World(self._states.weights, self._states.normaliser))
        bounds, device_hypers = self._plan_bounds(jobs, hypers), self._put_to_plan(hypers)
        is_random, keys = self._put_to_plan(self._per_lane(jobs, "act"))

        def act(memory: Any, *rest: Any) -> Any:
            """The compiled program on what stays for the episode, and on what changes from call to call."""
            *seen, last = rest
            return self._programs.act(models, memory, device_hypers, bounds, *seen, is_random, keys, last)

        if self._plays_whole:
            self._play(running, rollout, obs, act, should_stop)
        else:
            self._step(running, rollout, obs, act, should_stop)
        return rollout

    def _play(
        self, running: set[int], rollout: Rollout, obs: NDArray[np.float32], act: _Act, should_stop: Callable[[], bool]
    ) -> None:
        """Whole episodes of the lanes, by the task's equations; their environments look at them afterwards."""
        started = time.perf_counter()
        is_running = np.isin(np.arange(self.num_lanes), list(running))
        begun = self._programs.begin()._replace(**self._put_to_plan({"obs": obs, "is_running": is_running}))
        collect(self._played(act, begun, should_stop), rollout)
        played = time.perf_counter()
        for lane in sorted(running):
            env, length = self._envs[lane], rollout.lengths[lane]
            assert isinstance(env, FormulaEnv)
            try:
                env.watch(rollout.next_obs[lane, :length], rollout.reward[lane, :length])
            except EnvironmentFailed as error:
                rollout.failures[lane] = Failure(error.kind, str(error))
                rollout.cut(lane, length - 1)  # what is not usable ends an episode
        rollout.plan_s += played - started
        rollout.env_s += time.perf_counter() - played

    def _played(self, act: _Act, now: Progress, should_stop: Callable[[], bool]) -> Progress:
        """The end of the episodes. Twice as many steps at once every time, but for pauses to ask whether to stop."""
        t, at_once, length = 0, 1, self.task.episode_length
        while t < length and np.asarray(now.is_running).any():
            if should_stop():
                raise Abandoned
            started = time.perf_counter()
            now = act(now, np.asarray(min(t + at_once, length), np.int32))
            self.num_steps += int(now.t) - t
            t = int(now.t)
            if time.perf_counter() - started < POLL_S / 2:
                at_once *= 2
        return now

    def _step(
        self, running: set[int], rollout: Rollout, obs: NDArray[np.float32], act: _Act, should_stop: Callable[[], bool]
    ) -> None:
        """The lanes' environments, step by step, until all episodes have ended."""
        memory = self._programs.begin()
        place_of = {t: place for place, t in enumerate(plan_steps(self.task.episode_length))}
        for t in range(self.task.episode_length):
            if should_stop():
                raise Abandoned
            if not running:
                break
            started = time.perf_counter()
            action, memory, plan = act(memory, self._put_to_plan(obs), np.asarray(t, np.int32))
            self.num_steps += 1
            host_action = np.asarray(action)
            if t in place_of:
                rollout.plans[:, place_of[t]] = np.asarray(plan)
            planned = time.perf_counter()
            self._step_envs(running, rollout, obs, host_action, t)
            rollout.plan_s += planned - started
            rollout.env_s += time.perf_counter() - planned

    def _step_envs(
        self,
        running: set[int],
        rollout: Rollout,
        obs: NDArray[np.float32],
        action: NDArray[np.float32],
        t: int,
    ) -> None:
        """Step every running lane, in place: ``obs`` moves on, ended lanes leave ``running``."""
        for lane in sorted(running):
            env = self._envs[lane]
            assert not isinstance(env, FormulaEnv)
            if not np.isfinite(action[lane]).all():
                rollout.failures[lane] = wild_action(t + 1)
                running.discard(lane)
                continue
            try:
                next_obs, reward, terminated = env.step(action[lane])
            except EnvironmentFailed as error:
                rollout.failures[lane] = Failure(error.kind, str(error))
                running.discard(lane)
                continue
            rollout.obs[lane, t], rollout.action[lane, t], rollout.next_obs[lane, t] = obs[lane], action[lane], next_obs
            rollout.reward[lane, t], rollout.terminated[lane, t] = reward, terminated
            rollout.returns[lane] += reward
            rollout.lengths[lane] = t + 1
            obs[lane] = next_obs
            if env.is_over:
                running.discard(lane)

    def _plan_bounds(self, jobs: Mapping[int, EpisodeJob], hypers: PetsHypers) -> PlanBounds:
        """Loop bounds over the lanes that plan."""
        planning = [lane for lane, job in jobs.items() if not job.is_random]
        if not planning:
            return no_bounds(self.shape)
        return plan_bounds(jax.tree.map(lambda leaf: leaf[planning], hypers.planner), self.shape)

    def _per_lane(self, jobs: Mapping[int, EpisodeJob], purpose: str) -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
        """Which lanes act at random [L], and each lane's key [L, 2] for a purpose."""
        is_random = np.zeros(self.num_lanes, bool)
        keys = np.zeros((self.num_lanes, 2), np.uint32)
        for lane, job in jobs.items():
            is_random[lane] = job.is_random
            keys[lane] = random_key(*job.seed, job.index, purpose)
        return is_random, keys

    def _learn(self, jobs: Mapping[int, EpisodeJob], hypers: PetsHypers, rollout: Rollout) -> dict[str, NDArray[Any]]:
        """Append and fit on the lanes of ``jobs``; the others keep their state."""
        if not jobs:
            return {}
        learns = np.zeros(self.num_lanes, bool)
        learns[list(jobs)] = True
        num_rows = np.asarray(self._states.replay.num_rows)[learns]
        self._check_capacity(num_rows)
        most_rows = int((num_rows + rollout.lengths[learns]).max())
        _, keys = self._per_lane(jobs, "fit")
        episode = host_transitions(**{name: getattr(rollout, name) for name in row_shapes(self.task)})
        lived: list[HostArray] = [rollout.lengths, rollout.plans]
        *arguments, keys = self._put((Experience(episode, *lived), learns, hypers, keys))
        self._states, metrics = self._programs.learn(self._states, *arguments, np.asarray(most_rows, np.int32), keys)
        return {name: np.asarray(value) for name, value in metrics.items()}

    def _check_capacity(self, num_rows: NDArray[np.int32]) -> None:
        if num_rows.max() + self.task.episode_length > self.shape.capacity:
            raise ValueError(
                f"the buffer holds {self.shape.capacity} transitions, {num_rows.max()} are in it, "
                f"and an episode of up to {self.task.episode_length} does not fit"
            )

    def _result(
        self,
        lane: int,
        jobs: Mapping[int, EpisodeJob],
        rollout: Rollout,
        metrics: Mapping[str, NDArray[Any]],
        fit_s: float,
    ) -> EpisodeResult:
        job, length = jobs[lane], int(rollout.lengths[lane])
        failure = rollout.failures.get(lane)
        learned = job.learns and failure is None
        own = _recorded(metrics, lane) if learned else {}
        share = 1.0 / len(jobs)
        episode = Episode(
            index=job.index,
            return_=float(rollout.returns[lane]),
            length=length,
            is_random=job.is_random,
            metrics=self._envs[lane].metrics | own,
            warnings=dict(self._envs[lane].warnings),
            seconds={"plan": rollout.plan_s * share, "env": rollout.env_s * share, "fit": fit_s * share},
        )
        columns = {name: getattr(rollout, name)[lane, :length].copy() for name in row_shapes(self.task)}
        if learned:
            failure = _failure_of_model(metrics, lane)
        return EpisodeResult(episode, host_transitions(**columns), failure)

    def _put(self, tree: Any) -> Any:
        return jax.device_put(tree, self.device)

    def _put_to_plan(self, tree: Any) -> Any:
        return jax.device_put(tree, self._planning)

    def _compile(self) -> Programs:
        started = time.perf_counter()
        programs = compile_programs(self.task, self.shape, self.num_lanes, self.device, plays_whole=self._plays_whole)
        self.compile_s = time.perf_counter() - started
        return programs


def _recorded(metrics: Mapping[str, NDArray[Any]], lane: int) -> dict[str, float]:
    """A lane's diagnostics, without those that say nothing."""
    own = {name: float(values[lane]) for name, values in metrics.items() if name != "is_finite"}
    return {name: value for name, value in own.items() if math.isfinite(value)}


def _failure_of_model(metrics: Mapping[str, NDArray[Any]], lane: int) -> Failure | None:
    """Whether a lane's fit has left a model to go on with."""
    if not bool(metrics["is_finite"][lane]):
        return Failure("non_finite_training", "the model's weights are not finite")
    if not math.isfinite(metrics.get("train_nll", {lane: 0.0})[lane]):
        return Failure("diverged_model", "the likelihood of what the model was trained on is not finite")
    return None


def lane_of(states: PetsState, lane: int) -> HostState:
    """One agent of a stacked state, as NumPy arrays."""
    one: HostState = jax.tree.map(lambda leaf: np.array(leaf[lane]), states)
    return one
