"""The lanes of one device, wherever it is: agents are restored, advanced by an episode at a time, and written down.

Agents of one shape share an engine; those of another shape get an engine of their own, and the engines take turns.
Which lanes run what changes no result (see ``cartwheel.engines.engine``).
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax

from cartwheel.agents.pets.agent import PetsState, shrink_perturb
from cartwheel.agents.pets.arrays import (
    PARTS,
    Arrays,
    buffer_from_shards,
    part_from_arrays,
    require_part,
    require_shard,
    shard_to_arrays,
    to_arrays,
)
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import Engine, EpisodeJob, EpisodeResult, MakeEnv
from cartwheel.engines.rollouts import Abandoned
from cartwheel.envs.making import CannotMake, one_line
from cartwheel.envs.pool import make_env
from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.memory import PLAN, DoesNotFit, needed_bytes
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, Place, Work
from cartwheel.recent import Recent
from cartwheel.records import CheckpointId, Config, FailureKind, Segment, Status, StoredFile
from cartwheel.store.checkpoints import CheckpointStore

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""By this word XLA says that a device has too little memory."""
MAX_ENGINES = 4
"""Lanes keep so many programs with their agents' buffers; another shape takes the place of the longest unused."""


@dataclass(slots=True)
class _Lane:
    """A work item under way: its engine and slot there, full config, next episode, and the replay shards so far.

    ``restore_s`` is what it took to put its agent there, until an episode has been charged with it.
    """

    work: Work
    engine: Engine
    slot: int
    config: Config
    next_episode: int
    shards: list[StoredFile]
    is_over: bool = False
    restore_s: float = 0.0
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


class AgentLanes:
    """Real agents in the lanes of one JAX device. They write checkpoint files, and no database."""

    def __init__(self, setup: AgentSetup, place: Place, device: Any, make: MakeEnv = make_env) -> None:
        self._setup, self._place, self._device, self._make = setup, place, device, make
        self._engines = Recent(MAX_ENGINES, self._build, _close)
        self._lanes: list[_Lane] = []
        self.compile_s = 0.0

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""
        return self._place.num_lanes - len(self._lanes)

    def begin(self, work: Work) -> Sequence[Outcome]:
        """Put a work item's agent into a free lane; if there is no such agent, the item's end.

        Where the device's memory gives out, those in the same program end, too.
        """
        try:
            chosen = self._setup.under(work.config)
            engine = self._engine(chosen.shape)
            started = time.perf_counter()
            state = fresh = engine.fresh(work.seed)
            shards: list[StoredFile] = []
            if work.start_from is not None:
                state, shards = restore(self._place.checkpoints, fresh, work, engine.task.episode_length)
        except (ValueError, CorruptCheckpoint, MemoryError) as error:
            return [ItemDone(work.item, "failed", str(error), 0.0, kind=_kind_of(error))]
        except jax.errors.JaxRuntimeError as error:
            return [ItemDone(work.item, "failed", _require_out_of_memory(error), 0.0, kind="out_of_memory")]
        lanes = [lane for lane in self._lanes if lane.engine is engine]
        slot = next(slot for slot in range(self._place.num_lanes) if slot not in {lane.slot for lane in lanes})
        try:
            engine.load(slot, state)
        except jax.errors.JaxRuntimeError as error:
            reason = _require_out_of_memory(error)
            self._lanes = [lane for lane in self._lanes if lane.engine is not engine]
            failed = ItemDone(work.item, "failed", reason, 0.0, kind="out_of_memory")
            return [*self._give_up(engine, lanes, reason), failed]
        restore_s = time.perf_counter() - started
        self._lanes.append(_Lane(work, engine, slot, chosen.base, work.next_episode, shards, restore_s=restore_s))
        return []

    def advance(self) -> Iterator[Sequence[Outcome]]:
        """One episode of every busy lane; what ends together comes together. Stops early when told to stop."""
        try:
            # lanes whose agents differ in shape are in different programs: these take turns
            for engine in {id(lane.engine): lane.engine for lane in self._lanes}.values():
                yield self._advance(engine, [lane for lane in self._lanes if lane.engine is engine])
        except Abandoned:
            return
        self._lanes = [lane for lane in self._lanes if not lane.is_over]

    def close(self) -> None:
        """Close the environments."""
        self._engines.close()

    def _engine(self, shape: PetsShape) -> Engine:
        """Raises MemoryError if the device cannot hold it beside what is busy, DoesNotFit if nothing is."""
        busy = [lane.engine.shape for lane in self._lanes]
        while True:
            try:
                return self._engines.get(shape, busy)
            except DoesNotFit as error:
                refused: Exception = MemoryError(str(error)) if busy else error
            except jax.errors.JaxRuntimeError as error:
                refused = MemoryError(_require_out_of_memory(error))
            if not self._engines.drop_idle(busy):
                raise refused

    def _build(self, shape: PetsShape) -> Engine:
        device = f"{self._device.platform} device {self._device.id}"
        needed = needed_bytes(self._setup.task, shape, self._place.num_lanes)
        PLAN.promise(self._device, needed)
        self._place.say(f"compiling for {device}")
        try:
            engine = Engine(self._setup.task, shape, self._place.num_lanes, self._device, self._make)
        except BaseException:
            PLAN.release(self._device, needed)
            raise
        self._place.say(f"compiled for {device} in {engine.compile_s:.1f} s")
        self.compile_s += engine.compile_s
        return engine

    def _advance(self, engine: Engine, lanes: Sequence[_Lane]) -> Sequence[Outcome]:
        """One episode of these lanes of an engine."""
        jobs = {lane.slot: lane.job() for lane in lanes}
        try:
            results = engine.run_episode(jobs, self._place.should_stop)
            states = engine.snapshot([slot for slot, job in jobs.items() if job.learns])
        except jax.errors.JaxRuntimeError as error:
            return self._give_up(engine, lanes, _require_out_of_memory(error))
        outcomes: list[Outcome] = []
        for lane in lanes:
            result = results[lane.slot]
            if result.failure is None:
                outcomes.append(self._record(lane, result, states.get(lane.slot)))
            if result.failure is not None or lane.next_episode > lane.last_episode:
                outcomes.append(_ended(lane, result))
        return outcomes

    def _give_up(self, engine: Engine, lanes: Sequence[_Lane], reason: str) -> list[Outcome]:
        """The device's arrays are in no known state: whoever comes next gets an engine of its own."""
        self._engines.drop(engine.shape)
        return [_lost(lane, reason) for lane in lanes]

    def _record(self, lane: _Lane, result: EpisodeResult, state: PetsState | None) -> EpisodeDone:
        """Write an episode's shard and checkpoint; evaluations leave none."""
        item, episode, checkpoints = lane.work.item, result.episode, self._place.checkpoints
        lane.next_episode = episode.index + 1
        seconds, lane.restore_s = {**episode.seconds, "restore": lane.restore_s}, 0.0
        if state is None or not isinstance(item, Segment):
            return EpisodeDone(item, dataclasses.replace(episode, seconds=seconds), None, ())
        started = time.perf_counter()
        place = {"segment": item.id, "episode": episode.index}
        lane.shards.append(checkpoints.write(shard_to_arrays(result.transitions), place))
        manifest = {**place, "replay": [shard.digest for shard in lane.shards]}
        checkpoint = checkpoints.write(to_arrays(state), manifest)
        seconds["checkpoint"] = time.perf_counter() - started
        episode = dataclasses.replace(episode, seconds=seconds)
        return EpisodeDone(item, episode, checkpoint.digest, (checkpoint, *lane.shards))


def lanes_of_devices(
    setup: AgentSetup, place: Place, max_devices: int | None = None, make: MakeEnv = make_env
) -> list[AgentLanes]:
    """Lanes on every local device, or on one that plans with the help of all. ``make`` makes their environments."""
    devices = jax.local_devices()[: 1 if setup.shape.spreads_plans else max_devices]
    return [AgentLanes(setup, place, device, make) for device in devices]


def _close(shape: PetsShape, engine: Engine) -> None:
    engine.close()
    PLAN.release(engine.device, needed_bytes(engine.task, shape, engine.num_lanes))


def _ended(lane: _Lane, result: EpisodeResult) -> ItemDone:
    """The end of a lane's item with an episode: its last one, or one that failed."""
    lane.is_over = True
    wall_s = time.perf_counter() - lane.started
    if result.failure is None:
        return ItemDone(lane.work.item, "done", "", wall_s)
    status: Status = "diverged" if result.failure.is_models else "failed"
    return ItemDone(lane.work.item, status, result.failure.reason, wall_s, result.episode, result.failure.kind)


def _lost(lane: _Lane, reason: str) -> ItemDone:
    """The end of a lane's item without an episode."""
    lane.is_over = True
    wall_s = time.perf_counter() - lane.started
    return ItemDone(lane.work.item, "failed", reason, wall_s, kind="out_of_memory")


def _require_out_of_memory(error: jax.errors.JaxRuntimeError) -> str:
    """What to say of an error of the device, on one line. Raises it again if it is another one, which is a defect."""
    if OUT_OF_MEMORY not in str(error):
        raise error
    return one_line(str(error))


def _kind_of(error: Exception) -> FailureKind:
    """Why an agent could not even begin."""
    if isinstance(error, CorruptCheckpoint):
        return "corrupt_checkpoint"
    if isinstance(error, MemoryError):
        return "out_of_memory"
    return error.kind if isinstance(error, CannotMake) else "unusable_config"


def restore(
    checkpoints: CheckpointStore, fresh: PetsState, work: Work, episode_length: int
) -> tuple[PetsState, list[StoredFile]]:
    """The agent that ``work`` starts from, and the files of its replay. ``fresh`` is a new agent of the same shape.

    Raises ValueError if the checkpoints do not fit it, CorruptCheckpoint if they cannot be read.
    """
    start = work.start_from
    assert start is not None
    parts = {}
    for part in PARTS:
        arrays, _ = checkpoints.read(getattr(start, part), partial(require_part, fresh, part))
        parts[part] = part_from_arrays(fresh, part, arrays)
    shards = _listed_shards(checkpoints, start.replay)
    replay = buffer_from_shards(fresh, _read_shards(checkpoints, shards, fresh, episode_length))
    return _shrunk(PetsState(**parts, replay=replay), fresh, work), shards


def _listed_shards(checkpoints: CheckpointStore, digest: CheckpointId) -> list[StoredFile]:
    """The episodes in the replay of a checkpoint, oldest first."""
    listed = checkpoints.manifest(digest).get("replay")
    if not isinstance(listed, list) or not all(isinstance(shard, str) for shard in listed):
        raise ValueError(f"checkpoint {digest} does not list its replay")
    return [StoredFile(CheckpointId(shard), checkpoints.size(CheckpointId(shard))) for shard in listed]


def _read_shards(
    checkpoints: CheckpointStore, shards: Sequence[StoredFile], fresh: PetsState, episode_length: int
) -> Iterator[Arrays]:
    """Each is held against an episode and what is left of the buffer before it is read."""
    left = len(fresh.replay.rows.obs)
    for shard in shards:
        require = partial(require_shard, fresh, max_rows=min(episode_length, left))
        arrays, _ = checkpoints.read(shard.digest, require)
        left -= len(arrays["obs"])
        yield arrays


def _shrunk(state: PetsState, fresh: PetsState, work: Work) -> PetsState:
    """The agent that a segment begins with. One that goes on after an interruption has been shrunk before."""
    item = work.item
    if not isinstance(item, Segment) or item.shrink_perturb is None or work.next_episode != item.first_episode:
        return state
    return shrink_perturb(state, fresh, item.shrink_perturb.shrink, item.shrink_perturb.perturb)
