"""Runs work items in this process: one thread and one engine per JAX device, lanes refilled as they become free.

Threads only wait for their device or step environments, so both cores of a laptop are busy with one process, and
which thread runs what changes no result (see ``cartwheel.engine``).
"""

import contextlib
import dataclasses
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax

from cartwheel.agents.pets.agent import PetsState, shrink_perturb
from cartwheel.agents.pets.arrays import PARTS, buffer_from_shards, part_from_arrays, shard_to_arrays, to_arrays
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engine import Abandoned, Engine, EpisodeJob, EpisodeResult
from cartwheel.envs.pool import Call, call_under_way
from cartwheel.errors import CorruptCheckpoint, EnvironmentHangs
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, Work
from cartwheel.records import CheckpointId, Config, Segment, Status, StoredFile
from cartwheel.store.checkpoints import CheckpointStore

_IDLE_POLL_S = 0.05
MAX_ENGINES = 4
"""A thread keeps so many programs with their agents' buffers; another shape takes the place of the longest unused."""


@dataclass(slots=True)
class _Lane:
    """A work item under way: its engine and slot there, full config, next episode, and the replay shards so far."""

    work: Work
    engine: Engine
    slot: int
    config: Config
    next_episode: int
    shards: list[StoredFile]
    is_over: bool = False
    started: float = field(default_factory=time.perf_counter)

    @property
    def last_episode(self) -> int:
        item = self.work.item
        return item.stop if isinstance(item, Segment) else item.num_episodes - 1

    def job(self) -> EpisodeJob:
        is_segment = isinstance(self.work.item, Segment)
        return EpisodeJob(
            config=self.config,
            seed=self.work.seed,
            index=self.next_episode,
            is_random=is_segment and self.next_episode == 0,
            learns=is_segment,
        )


def prepare_jax(compile_cache: Path | None) -> None:
    """Give JAX one CPU device per core, and a folder that remembers compiled programs between runs (None: nowhere).

    Must come before JAX is used; the devices stay as they are when it comes too late.
    """
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", _num_cores())
    if compile_cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(compile_cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _num_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def user_compile_cache() -> Path | None:
    """The user's own folder for compiled programs, made private; None if it cannot be made.

    What lies in it is executed, so nobody else may write there, and it is never taken from a run folder.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "cartwheel" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError:
        return None
    return folder if folder.stat().st_uid == os.getuid() else None


class _Engines:
    """One engine per shape of agent, of one thread."""

    def __init__(self, build: Callable[[PetsShape], Engine]) -> None:
        self._build = build
        self._by_shape: dict[PetsShape, Engine] = {}  # the longest unused first

    def get(self, shape: PetsShape, busy: Sequence[Engine]) -> Engine:
        """The engine for that shape; it may close another one that is not ``busy``."""
        idle = [other for other, engine in self._by_shape.items() if other != shape and engine not in busy]
        if shape not in self._by_shape and len(self._by_shape) >= MAX_ENGINES and idle:
            self._by_shape.pop(idle[0]).close()
        engine = self._by_shape.pop(shape, None) or self._build(shape)
        self._by_shape[shape] = engine
        return engine

    def close(self) -> None:
        for engine in self._by_shape.values():
            engine.close()


class InlineExecutor:
    """Lanes on every local device. Checkpoint files are written by the lanes, the database by nobody here."""

    def __init__(
        self,
        setup: AgentSetup,
        checkpoints: CheckpointStore,
        lanes_per_device: int = 1,
        max_devices: int | None = None,
        on_message: Callable[[str], None] = lambda message: None,
        max_call_s: float = math.inf,
    ) -> None:
        self._setup, self._checkpoints, self._width = setup, checkpoints, lanes_per_device
        self._max_call_s = max_call_s
        self._say = on_message
        self._todo: queue.Queue[Work] = queue.Queue()
        self._outcomes: queue.Queue[Sequence[Outcome] | BaseException] = queue.Queue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._num_open = 0
        devices = jax.local_devices()[:max_devices]
        self._compile_s = dict.fromkeys(devices, 0.0)
        self._num_lanes = lanes_per_device * len(devices)
        self._threads = [
            threading.Thread(target=self._serve, args=(device,), name=f"lanes-{i}", daemon=True)
            for i, device in enumerate(devices)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def compile_s(self) -> float:
        """What compiling took so far. Devices compile side by side: the longest counts."""
        with self._lock:
            return max(self._compile_s.values())

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""
        with self._lock:
            return max(0, self._num_lanes - self._num_open)

    def submit(self, work: Work) -> None:
        """Queue one item; returns at once."""
        with self._lock:
            self._num_open += 1
        self._todo.put(work)

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes since the last call, waiting up to ``timeout_s`` for the first. May be empty.

        Raises EnvironmentHangs if a thread waits for an environment for longer than ``max_call_s``: it cannot be
        ended from here, so nothing more would come.
        """
        outcomes: list[Outcome] = []
        try:
            outcomes.extend(self._checked(self._outcomes.get(timeout=timeout_s)))
            while True:
                outcomes.extend(self._checked(self._outcomes.get_nowait()))
        except queue.Empty:
            if not outcomes:
                self._check_that_none_hangs()
            return outcomes

    def close(self) -> None:
        """Abandon running episodes at their next environment step, stop, and free everything.

        A thread that hangs in an environment is left behind: it ends with the process.
        """
        self._stop.set()
        for thread in self._threads:
            while thread.is_alive() and self._hanging_call(thread) is None:
                thread.join(_IDLE_POLL_S)

    def _check_that_none_hangs(self) -> None:
        for call in filter(None, map(self._hanging_call, self._threads)):
            raise EnvironmentHangs(
                f"{call.what} has taken longer than {self._max_call_s:g} s",
                "engine.max_call_s",
                "the study is safe and the same command goes on: mend the environment, or raise --engine.max-call-s",
            )

    def _hanging_call(self, thread: threading.Thread) -> Call | None:
        call = call_under_way(thread)
        return call if call is not None and time.monotonic() - call.since > self._max_call_s else None

    def _checked(self, outcomes: Sequence[Outcome] | BaseException) -> Sequence[Outcome]:
        if isinstance(outcomes, BaseException):
            raise outcomes
        with self._lock:
            self._num_open -= sum(isinstance(outcome, ItemDone) for outcome in outcomes)
        return outcomes

    def _serve(self, device: Any) -> None:
        """A thread's life: run lanes until told to stop, an episode of each at a time."""
        engines, lanes = _Engines(partial(self._build, device)), list[_Lane]()
        try:
            while not self._stop.is_set():
                while len(lanes) < self._width and (work := self._next_work(wait=not lanes)) is not None:
                    lanes += self._begin(engines, lanes, work)
                # lanes whose agents differ in shape are in different programs: these take turns
                for engine in {id(lane.engine): lane.engine for lane in lanes}.values():
                    self._advance(engine, [lane for lane in lanes if lane.engine is engine])
                lanes = [lane for lane in lanes if not lane.is_over]
        except Abandoned:
            pass
        except BaseException as error:
            self._outcomes.put(error)
        finally:
            engines.close()

    def _next_work(self, wait: bool) -> Work | None:
        try:
            return self._todo.get(timeout=_IDLE_POLL_S) if wait else self._todo.get_nowait()
        except queue.Empty:
            return None

    def _build(self, device: Any, shape: PetsShape) -> Engine:
        self._say(f"compiling for {device.platform} device {device.id}")
        engine = Engine(self._setup.task, shape, self._width, device)
        self._say(f"compiled in {engine.compile_s:.1f} s")
        with self._lock:
            self._compile_s[device] += engine.compile_s
        return engine

    def _begin(self, engines: "_Engines", lanes: Sequence[_Lane], work: Work) -> list[_Lane]:
        """Put a work item's agent into a free lane; none if there is no such agent."""
        try:
            chosen = self._setup.under(work.config)
            engine = engines.get(chosen.shape, [lane.engine for lane in lanes])
            state = fresh = engine.fresh(work.seed)
            shards: list[StoredFile] = []
            if work.start_from is not None:
                state, shards = self._restore(fresh, work)
                state = _shrunk(state, fresh, work)
        except (ValueError, CorruptCheckpoint) as error:
            self._outcomes.put([ItemDone(work.item, "failed", str(error), 0.0)])
            return []
        taken = {lane.slot for lane in lanes if lane.engine is engine}
        slot = next(slot for slot in range(self._width) if slot not in taken)
        engine.load(slot, state)
        return [_Lane(work, engine, slot, chosen.base, work.next_episode, shards)]

    def _restore(self, template: PetsState, work: Work) -> tuple[PetsState, list[StoredFile]]:
        """The agent that ``work`` starts from, and the files of its replay."""
        start = work.start_from
        assert start is not None
        parts = {}
        for part in PARTS:
            arrays, _ = self._checkpoints.read(getattr(start, part))
            parts[part] = part_from_arrays(template, part, arrays)
        _, manifest = self._checkpoints.read(start.replay)
        shards = [StoredFile(CheckpointId(digest), self._checkpoints.size(digest)) for digest in manifest["replay"]]
        replay = buffer_from_shards(template, [self._checkpoints.read(shard.digest)[0] for shard in shards])
        return PetsState(**parts, replay=replay), shards

    def _advance(self, engine: Engine, lanes: Sequence[_Lane]) -> None:
        """One episode of these lanes of an engine."""
        jobs = {lane.slot: lane.job() for lane in lanes}
        results = engine.run_episode(jobs, self._stop.is_set)
        states = engine.snapshot([slot for slot, job in jobs.items() if job.learns])
        outcomes: list[Outcome] = []
        for lane in lanes:
            result = results[lane.slot]
            ended, broken = self._status(lane, result), result.episode if result.failure else None
            if broken is None:
                outcomes.append(self._record(lane, result, states.get(lane.slot)))
            if ended is not None:
                lane.is_over = True
                wall_s = time.perf_counter() - lane.started
                outcomes.append(ItemDone(lane.work.item, ended, result.failure, wall_s, broken))
        # what ends together is told together, so that the study commits it together
        self._outcomes.put(outcomes)

    def _status(self, lane: _Lane, result: EpisodeResult) -> Status | None:
        """How the lane's item has ended with this episode; None if it goes on."""
        if result.failure:
            return "diverged" if result.is_diverged else "failed"
        return "done" if result.episode.index == lane.last_episode else None

    def _record(self, lane: _Lane, result: EpisodeResult, state: PetsState | None) -> EpisodeDone:
        """Write an episode's shard and checkpoint; evaluations leave none."""
        item, episode = lane.work.item, result.episode
        lane.next_episode = episode.index + 1
        if state is None or not isinstance(item, Segment):
            return EpisodeDone(item, episode, None, ())
        started = time.perf_counter()
        place = {"segment": item.id, "episode": episode.index}
        lane.shards.append(self._checkpoints.write(shard_to_arrays(result.transitions), place))
        manifest = {**place, "replay": [shard.digest for shard in lane.shards]}
        checkpoint = self._checkpoints.write(to_arrays(state), manifest)
        seconds = {**episode.seconds, "checkpoint": time.perf_counter() - started}
        episode = dataclasses.replace(episode, seconds=seconds)
        return EpisodeDone(item, episode, checkpoint.digest, (checkpoint, *lane.shards))


def _shrunk(state: PetsState, fresh: PetsState, work: Work) -> PetsState:
    """The agent that a segment begins with. One that goes on after an interruption has been shrunk before."""
    item = work.item
    if not isinstance(item, Segment) or item.shrink_perturb is None or work.next_episode != item.first_episode:
        return state
    return shrink_perturb(state, fresh, item.shrink_perturb.shrink, item.shrink_perturb.perturb)
