"""How much disk a study will take, said before its first segment, from the sizes that an agent's files will have.

Kept are the last checkpoint of every segment (or of those that are needed: ``retention``), the newest one of every
running segment beside the one it replaces, and what every episode has taught the replay buffer, once. Where files turn
out larger than was foreseen, that is said too.
"""

import shutil
from collections.abc import Callable, Sequence

from cartwheel.analysis.wording import data_size
from cartwheel.observer import SilentObserver
from cartwheel.records import Config, Episode, Evaluation, Event, FileSizes, Segment, StoredFile
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuners.rehearsal import Amount, Remains

MARGIN = 1.1
"""Names of segments and numbers of episodes differ by some characters: below this nothing new is said."""
BYTES_PER_LISTED = 69
"""A digest in a checkpoint's list: 64 digits, two quotes with a backslash each, and a comma."""


def max_bytes(amount: Amount, num_lanes: int, sizes: FileSizes) -> int:
    """The files in ``checkpoints/``.

    Every lane may hold a checkpoint and a shard that are not committed, and a checkpoint that is being replaced.
    """
    num_checkpoints = amount.num_checkpoints + 2 * num_lanes
    num_listed = amount.num_listed + 2 * num_lanes * amount.max_listed
    num_shards = amount.num_episodes + num_lanes
    return num_checkpoints * sizes.checkpoint + num_listed * BYTES_PER_LISTED + num_shards * sizes.episode


def probable_bytes(remains: Remains, checkpoint: Callable[[Config], int], random: int, planned: int) -> int:
    """The files in ``checkpoints/`` of a finished study.

    ``checkpoint``: the size of one that lists no episodes; ``random``, ``planned``: what is kept of such an episode.
    """
    in_replay = remains.num_random * random + remains.num_planned * planned
    return sum(map(checkpoint, remains.configs)) + remains.num_listed * BYTES_PER_LISTED + in_replay


class DiskUse(SilentObserver):
    """Says what the checkpoints may take and what is free, and again if it turns out to be more."""

    def __init__(
        self, folder: RunFolder, amount: Amount, num_lanes: int, sizes: FileSizes, say: Callable[[str], None]
    ) -> None:
        self._folder, self._amount, self._num_lanes, self._say = folder, amount, num_lanes, say
        self._sizes = sizes
        self._said_bytes = 0

    def on_begin(self, events: Sequence[Event]) -> None:  # noqa: ARG002 - what is on disk tells
        """Say it before anything runs."""
        self._tell()

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        """Look at the sizes of the files that a segment needs, at its first and at its last episode."""
        if isinstance(item, Segment) and episode.index in (item.first_episode, item.stop):
            self._look(self._folder.read.files_of(item.id))

    def _look(self, files: Sequence[StoredFile]) -> None:
        if not files:  # the segment has failed after this episode, and its files are let go
            return
        checkpoint, *shards = [file.size_bytes for file in files]
        bare = checkpoint - len(shards) * BYTES_PER_LISTED
        sizes = FileSizes(max(self._sizes.checkpoint, bare), max([self._sizes.episode, *shards]))
        if sizes != self._sizes:
            self._sizes = sizes
            self._tell()

    def _tell(self) -> None:
        num_bytes = max_bytes(self._amount, self._num_lanes, self._sizes)
        if num_bytes > MARGIN * self._said_bytes:
            self._said_bytes = num_bytes
            self._say(self._text(num_bytes))

    def _text(self, num_bytes: int) -> str:
        free = shutil.disk_usage(self._folder.path).free
        missing = num_bytes - sum(file.size_bytes for file in self._folder.read.files())
        short = "; the study will stop, resumably, when the disk is full" if missing > free else ""
        return f"checkpoints will take up to {data_size(num_bytes)}, {data_size(free)} are free{short}"
