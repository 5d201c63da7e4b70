"""What a study hands to an executor and what comes back: the interface every executor implements.

A study submits work items as lanes become free and waits for outcomes. Every finished episode comes back as soon
as its checkpoint file is on disk, so that the study can commit it: from then on it is acknowledged. An executor
never touches the database and never decides anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cartwheel.records import CheckpointId, Config, Episode, Evaluation, Segment, Status, StoredFile


@dataclass(frozen=True, slots=True)
class StartFrom:
    """The checkpoint that each part of the agent's state is loaded from."""

    weights: CheckpointId
    optimizer: CheckpointId
    normaliser: CheckpointId
    replay: CheckpointId


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

    ``broken`` is the episode in which it failed or diverged, as far as it came.
    """

    item: Segment | Evaluation
    status: Status
    reason: str
    wall_s: float
    broken: Episode | None = None


Outcome: TypeAlias = EpisodeDone | ItemDone


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
