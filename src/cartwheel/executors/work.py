"""What a study hands to an executor and what comes back: the interface every executor implements.

A study submits work items as lanes become free and waits for outcomes. Every finished episode comes back as soon
as its checkpoint file is on disk, so that the study can commit it: from then on it is acknowledged. An executor
never touches the database and never decides anything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cartwheel.records import (
    CheckpointId,
    Config,
    Episode,
    Evaluation,
    FailureKind,
    Segment,
    SegmentId,
    Status,
    StoredFile,
)
from cartwheel.store.checkpoints import CheckpointStore


@dataclass(frozen=True, slots=True)
class StartFrom:
    """The checkpoint that each part of the agent's state is loaded from."""

    weights: CheckpointId
    optimizer: CheckpointId
    normaliser: CheckpointId
    replay: CheckpointId

    @staticmethod
    def whole(checkpoint: CheckpointId) -> "StartFrom":
        """Everything from one checkpoint."""
        return StartFrom(checkpoint, checkpoint, checkpoint, checkpoint)


@dataclass(frozen=True, slots=True)
class Work:
    """Run ``item`` under ``config``, from ``next_episode`` on.

    ``seed`` is the list of names under which all randomness of this item is addressed (see ``cartwheel.seeds``).
    ``next_episode`` is the index of the first episode that has not been committed yet: it differs from the
    segment's own first episode when an interrupted segment goes on. ``start_from`` is None to begin from nothing.
    """

    item: Segment | Evaluation
    config: Config
    seed: tuple[int | str, ...]
    start_from: StartFrom | None
    next_episode: int


@dataclass(frozen=True, slots=True)
class EpisodeDone:
    """One more episode of ``item`` is finished and its files are on disk.

    ``checkpoint`` is the agent's state after the episode (its replay shards named inside), None for evaluations.
    ``files`` are all files that this checkpoint needs, the checkpoint itself first.
    """

    item: Segment | Evaluation
    episode: Episode
    checkpoint: CheckpointId | None
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, slots=True)
class ItemDone:
    """``item`` ended. A segment that is done ends at the checkpoint of its last episode.

    If it is not done, ``kind`` says what happened, and the study whether it is tried again. ``broken`` is the episode
    in which it failed or diverged, as far as it came.
    """

    item: Segment | Evaluation
    status: Status
    reason: str
    wall_s: float
    broken: Episode | None = None
    kind: FailureKind | None = None


Outcome: TypeAlias = EpisodeDone | ItemDone
Name: TypeAlias = SegmentId | Evaluation


def name_of(item: Segment | Evaluation) -> Name:
    """What tells an item from all others, and can be a key."""
    return item.id if isinstance(item, Segment) else item


class Executor(Protocol):
    """Runs work items on lanes. The order in which outcomes of different items come back is not specified."""

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""

    def submit(self, work: Work) -> None:
        """Queue one item; returns at once."""

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Outcomes since the last call, waiting up to ``timeout_s`` for the first. May be empty."""

    def close(self) -> None:
        """Abandon running episodes at their next environment step, stop, and free everything."""


@dataclass(frozen=True, slots=True)
class Place:
    """What lanes are given, wherever they run. ``should_stop`` is asked at every environment step.

    ``index`` counts the workers of a study; those on one machine choose their devices by it.
    """

    checkpoints: CheckpointStore
    num_lanes: int
    should_stop: Callable[[], bool]
    say: Callable[[str], None]
    index: int = 0


class Lanes(Protocol):
    """A fixed number of lanes that one thread drives."""

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""

    @property
    def compile_s(self) -> float:
        """What compiling took so far."""

    def begin(self, work: Work) -> Sequence[Outcome]:
        """Put a work item into a free lane; if it cannot run at all, its end."""

    def advance(self) -> Iterator[Sequence[Outcome]]:
        """One episode of every busy lane; what ends together comes together. Stops early when told to stop."""

    def close(self) -> None:
        """Free everything."""


def serve(
    lanes: Lanes,
    next_work: Callable[[bool], Work | None],
    tell: Callable[[Sequence[Outcome]], None],
    should_stop: Callable[[], bool],
) -> None:
    """Run lanes until told to stop, an episode of each at a time, and tell what comes of it.

    ``next_work(waits)`` gives the next work item if there is one; told to, it may wait a moment for it.
    """
    num_lanes = lanes.num_free
    try:
        while not should_stop():
            while lanes.num_free and (work := next_work(lanes.num_free == num_lanes)) is not None:
                if outcomes := lanes.begin(work):
                    tell(outcomes)
            for outcomes in lanes.advance():
                tell(outcomes)  # at once and together, so that the study commits it together
    finally:
        lanes.close()
