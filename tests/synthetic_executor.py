"""An executor with a pure NumPy "agent", so that a whole study with real files runs in well under a second.

The agent's state is four numbers, advanced once per episode by (config, seed names, episode); its return follows a
learning curve. It keeps one replay shard per episode, as the real agent does, and every checkpoint is a real file.
All lanes advance by one episode per call, in lockstep.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cartwheel.backend import AgentBackend
from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, StartFrom, Work
from cartwheel.records import CheckpointId, Config, Episode, Evaluation, FileSizes, Segment, SegmentId, StoredFile
from cartwheel.seeds import numpy_rng
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore, encode

LENGTH = 100
STATE_SIZE = 4


@dataclass
class Lane:
    """One running item."""

    work: Work
    next_episode: int
    state: NDArray[np.float64]
    shards: list[StoredFile]


@dataclass
class SyntheticExecutor:
    """``failures``: segments that fail, and after how many of their episodes; ``is_split`` sends the end of an item
    separately from its last episode."""

    checkpoints: CheckpointStore
    num_lanes: int = 2
    failures: Mapping[str, int] = field(default_factory=dict)
    is_split: bool = False
    queue: list[Work] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    held: list[Outcome] = field(default_factory=list)
    submitted: list[Work] = field(default_factory=list)
    is_closed: bool = False
    device_compile_s: Sequence[float] = (0.0,)

    @property
    def num_free(self) -> int:
        return max(0, self.num_lanes - len(self.lanes) - len(self.queue))

    def submit(self, work: Work) -> None:
        self.submitted.append(work)
        self.queue.append(work)

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        assert timeout_s > 0
        if self.held:
            outcomes, self.held = self.held, []
            return outcomes
        while self.queue and len(self.lanes) < self.num_lanes:
            work = self.queue.pop(0)
            try:
                self.lanes.append(self._started(work))
            except CorruptCheckpoint as error:
                return [ItemDone(work.item, "failed", str(error), 0.0, kind="corrupt_checkpoint")]
        outcomes = [outcome for lane in list(self.lanes) for outcome in self._advance(lane)]
        if self.is_split:
            self.held = [outcome for outcome in outcomes if isinstance(outcome, ItemDone)]
            outcomes = [outcome for outcome in outcomes if isinstance(outcome, EpisodeDone)]
        return outcomes

    def close(self) -> None:
        self.is_closed = True

    def _started(self, work: Work) -> Lane:
        if work.start_from is None:
            return Lane(work, work.next_episode, np.zeros(STATE_SIZE), [])
        state, shards = self._loaded(work.start_from)
        return Lane(work, work.next_episode, state, shards)

    def _loaded(self, start: StartFrom) -> tuple[NDArray[np.float64], list[StoredFile]]:
        arrays, _ = self.checkpoints.read(start.weights)
        _, manifest = self.checkpoints.read(start.replay)
        digests = [CheckpointId(digest) for digest in manifest["shards"]]
        for digest in digests:
            self.checkpoints.verify(digest)
        return np.array(arrays["state"]), [StoredFile(digest, self.checkpoints.size(digest)) for digest in digests]

    def _advance(self, lane: Lane) -> list[Outcome]:
        match lane.work.item:
            case Segment() as segment:
                return self._learn(lane, segment)
            case Evaluation() as evaluation:
                return self._play(lane, evaluation)

    def _learn(self, lane: Lane, segment: Segment) -> list[Outcome]:
        if self.failures.get(segment.id) == lane.next_episode - segment.first_episode:
            self.lanes.remove(lane)
            return [ItemDone(segment, "failed", "as asked", 0.0)]
        index = lane.next_episode
        lane.state = advanced(lane.state, lane.work.config, lane.work.seed, index)
        shard = self.checkpoints.write({"rows": np.append(lane.state, index)}, {"seed": list(lane.work.seed)})
        lane.shards = [*lane.shards, shard]
        manifest = {"episode": index, "shards": [file.digest for file in lane.shards]}
        stored = self.checkpoints.write({"state": lane.state}, manifest)
        episode = Episode(
            index, float(lane.state[0]), LENGTH, is_random=index == 0, metrics={"loss": 1.0 / (index + 1)}
        )
        done = EpisodeDone(segment, episode, stored.digest, (stored, *lane.shards))
        return [done, *self._ended(lane, index == segment.stop)]

    def _play(self, lane: Lane, evaluation: Evaluation) -> list[Outcome]:
        index = lane.next_episode
        noise = numpy_rng(*lane.work.seed, index).standard_normal()
        episode = Episode(index, float(lane.state[0] + 0.01 * noise), LENGTH)
        done = EpisodeDone(evaluation, episode, None, ())
        return [done, *self._ended(lane, index == evaluation.num_episodes - 1)]

    def _ended(self, lane: Lane, is_last: bool) -> list[Outcome]:
        lane.next_episode += 1
        if not is_last:
            return []
        self.lanes.remove(lane)
        return [ItemDone(lane.work.item, "done", "", 0.0)]


def advanced(
    state: NDArray[np.float64], config: Config, seed: tuple[int | str, ...], index: int
) -> NDArray[np.float64]:
    """The state after one more episode: skill (which is the return), and three numbers that remember everything."""
    rate = -np.log10(float(config.get("learning_rate", 1e-3)))
    skill = state[0] + 0.3 * (10.0 - abs(rate - 3.0) - state[0])
    memory = 0.5 * state[1:] + numpy_rng(*seed, index).standard_normal(STATE_SIZE - 1)
    return np.append(skill + 0.01 * memory[0], memory)


class SyntheticBackend:
    """What ``Running.backend`` wants; keeps the executors that it has made."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.executor_class = SyntheticExecutor
        self.made: list[SyntheticExecutor] = []

    def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
        assert spec.env_id
        assert reachable

    def default_lanes(self, *_: object) -> int:
        return 1

    def agent_defaults(self, *_: object) -> Config:
        return {}

    def own_config(self, _: StudySpec) -> Config:
        return {}

    def file_sizes(self, *_: object) -> FileSizes:
        seed = ["0", "tune", "0.0"]
        shard = encode({"rows": np.zeros(STATE_SIZE + 1)}, {"seed": seed})
        return FileSizes(len(encode({"state": np.zeros(STATE_SIZE)}, {"episode": 0, "shards": []})), len(shard))

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Callable[[str], None]
    ) -> SyntheticExecutor:
        say(f"{len(reachable)} configs to cover")
        self.made.append(self.executor_class(checkpoints, num_lanes=spec.engine.lanes, **self.settings))
        return self.made[-1]


def replace_agents(backend: SyntheticBackend, replace: Callable[[type, str, Any], None] = setattr) -> None:
    """From now on, commands and functions train the agents of ``backend`` where they would train real ones."""
    for name in ("check", "default_lanes", "agent_defaults", "own_config", "file_sizes", "make"):
        replace(AgentBackend, name, lambda _, *arguments, name=name: getattr(backend, name)(*arguments))


def small_spec(**changes: Any) -> StudySpec:
    """Three members, two generations and a bit, two lanes."""
    table: dict[str, Any] = {
        "env_id": "line",
        "num_episodes": 4,
        "seed": 3,
        "tuner": {"name": "pbt", "population": 3, "first_interval_episodes": 2, "interval_episodes": 2},
        "engine": {"lanes": 2},
        "validation": {"num_episodes": 2},
    }
    return StudySpec.model_validate({**table, **changes})


def population_spec(num_episodes: int, population: int = 3) -> StudySpec:
    """Generations of two episodes, one lane."""
    tuner = {"name": "pbt", "population": population, "first_interval_episodes": 2, "interval_episodes": 2}
    return small_spec(num_episodes=num_episodes, tuner=tuner, engine={"lanes": 1})


def segment_ids(works: Sequence[Work]) -> list[SegmentId]:
    return [work.item.id for work in works if isinstance(work.item, Segment)]
