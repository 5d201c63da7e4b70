"""A lane of planners that know the true dynamics: nothing is learned, so only episodes and their actions are kept.

MuJoCo rolls plans out on all cores, so one lane is enough; how many cores there are changes no result.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.ceiling import TruePlanner
from cartwheel.engines.rollouts import Abandoned
from cartwheel.envs.pool import EnvironmentFailed
from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, Place, Work
from cartwheel.records import CheckpointId, Episode, Evaluation, FailureKind, Segment, StoredFile


@dataclasses.dataclass(slots=True)
class _Running:
    """The item in the lane, its next episode, and the shards of its lineage so far."""

    work: Work
    next_episode: int
    shards: list[StoredFile]
    started: float = dataclasses.field(default_factory=time.perf_counter)


class SimulatorLanes:
    """``Lanes`` with room for one."""

    def __init__(self, setup: AgentSetup, place: Place) -> None:
        self._planner, self._place = TruePlanner(setup), place
        self._running: _Running | None = None
        self.compile_s = 0.0
        """Compiling happens within the first step that is planned, and counts as planning."""

    @property
    def num_free(self) -> int:
        return int(self._running is None)

    def begin(self, work: Work) -> Sequence[Outcome]:
        try:
            self._planner.setup.under(work.config)
            shards = [] if work.start_from is None else self._shards_of(work.start_from.replay)
        except (ValueError, CorruptCheckpoint) as error:
            is_corrupt = isinstance(error, CorruptCheckpoint)
            kind: FailureKind = "corrupt_checkpoint" if is_corrupt else "unusable_config"
            return [ItemDone(work.item, "failed", str(error), 0.0, kind=kind)]
        self._running = _Running(work, work.next_episode, shards)
        return []

    def advance(self) -> Iterator[Sequence[Outcome]]:
        running = self._running
        if running is None:
            return
        item, index = running.work.item, running.next_episode
        is_random = isinstance(item, Segment) and index == 0
        started = time.perf_counter()
        try:
            episode, actions = self._planner.play(
                running.work.config, running.work.seed, index, is_random, self._place.should_stop
            )
        except Abandoned:
            return
        except EnvironmentFailed as error:
            self._running = None
            wall_s = time.perf_counter() - running.started
            yield [ItemDone(item, "failed", str(error), wall_s, kind=error.kind)]
            return
        episode = dataclasses.replace(episode, seconds={"plan": time.perf_counter() - started})
        yield [self._record(running, episode, actions), *self._ended(running, index)]

    def close(self) -> None:
        self._planner.close()

    def _record(self, running: _Running, episode: Episode, actions: NDArray[np.float32]) -> EpisodeDone:
        """Write the actions, from which the episode can be seen again; evaluations leave none."""
        item, checkpoints = running.work.item, self._place.checkpoints
        running.next_episode += 1
        if isinstance(item, Evaluation):
            return EpisodeDone(item, episode, None, ())
        place = {"segment": item.id, "episode": episode.index}
        running.shards.append(checkpoints.write({"action": actions}, place))
        manifest = {**place, "replay": [shard.digest for shard in running.shards]}
        checkpoint = checkpoints.write({}, manifest)
        return EpisodeDone(item, episode, checkpoint.digest, (checkpoint, *running.shards))

    def _ended(self, running: _Running, index: int) -> list[Outcome]:
        item = running.work.item
        if index < (item.stop if isinstance(item, Segment) else item.num_episodes - 1):
            return []
        self._running = None
        return [ItemDone(item, "done", "", time.perf_counter() - running.started)]

    def _shards_of(self, checkpoint: CheckpointId) -> list[StoredFile]:
        checkpoints = self._place.checkpoints
        digests = map(CheckpointId, checkpoints.read(checkpoint)[1]["replay"])
        return [StoredFile(digest, checkpoints.size(digest)) for digest in digests]
