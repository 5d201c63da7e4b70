"""How much disk a study will take at most, said as soon as its first checkpoint shows how large they are.

Kept are the last checkpoint of every segment, the newest one of every running segment beside the one it replaces, and
what every episode has taught the replay buffer, once.
"""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cartwheel.analysis.wording import data_size
from cartwheel.observer import SilentObserver
from cartwheel.records import Episode, Evaluation, Segment, StoredFile
from cartwheel.store.run_folder import RunFolder

MARGIN = 1.1
"""A checkpoint lists its agent's episodes and so grows a little with its age: below this nothing new is said."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a study will run if nothing fails."""

    num_segments: int
    num_episodes: int

    def max_bytes(self, num_lanes: int, checkpoint_bytes: int, episode_bytes: int) -> int:
        """The files in ``checkpoints/``, from the largest sizes of a checkpoint and of an episode's shard.

        Every lane may hold a checkpoint and a shard that are not committed, and a checkpoint that is being replaced.
        """
        num_checkpoints = self.num_segments + 2 * num_lanes
        return num_checkpoints * checkpoint_bytes + (self.num_episodes + num_lanes) * episode_bytes


class DiskUse(SilentObserver):
    """Says what the checkpoints may take and what is free, and again if it turns out to be more."""

    def __init__(self, folder: RunFolder, amount: Amount, num_lanes: int, say: Callable[[str], None]) -> None:
        self._folder, self._amount, self._num_lanes, self._say = folder, amount, num_lanes, say
        self._largest = (0, 0)
        self._said_bytes = 0

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        """Look at the sizes of the files that a segment needs, at its first and at its last episode."""
        if isinstance(item, Segment) and episode.index in (item.first_episode, item.stop):
            self._look(self._folder.read.files_of(item.id))

    def _look(self, files: Sequence[StoredFile]) -> None:
        if not files:  # the segment has failed after this episode, and its files are let go
            return
        checkpoint, *shards = [file.size_bytes for file in files]
        largest = (max(self._largest[0], checkpoint), max([self._largest[1], *shards]))
        if largest == self._largest:
            return
        self._largest = largest
        num_bytes = self._amount.max_bytes(self._num_lanes, *largest)
        if num_bytes > self._said_bytes:
            self._said_bytes = math.ceil(MARGIN * num_bytes)
            self._say(self._text(self._said_bytes))

    def _text(self, num_bytes: int) -> str:
        free = shutil.disk_usage(self._folder.path).free
        short = "; the study will stop, resumably, when the disk is full" if num_bytes > free else ""
        return f"checkpoints will take up to {data_size(num_bytes)}, {data_size(free)} are free{short}"
