"""Checkpoints that were damaged, or not kept, are made again: the finished segments that led to them run once more.

Each runs from the newest good checkpoint that it came from, under its own id, config and random numbers, so that the
same bits come out. The log stays as it is: the segment has reported, and only its checkpoint was lost. What needs it
waits. How far the making again is, is committed after every episode, so it too can be interrupted.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome
from cartwheel.records import Evaluation, Segment, SegmentId
from cartwheel.store.run_folder import RunFolder
from cartwheel.store.writing import StudyWriter

Item: TypeAlias = Segment | Evaluation


class Mending:
    """Knows which finished segments run again and who waits for them. ``say`` tells the user."""

    def __init__(self, folder: RunFolder, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._again: set[SegmentId] = set()
        self._made: set[SegmentId] = set()
        self._failed: dict[SegmentId, str] = {}
        self._waiting: list[Item] = []
        self._news: list[str] = []

    @property
    def items(self) -> list[Item]:
        """What runs again, and what waits for that."""
        return [*map(self._folder.read.segment, self._again), *self._waiting]

    def is_again(self, item: Item) -> bool:
        """Whether an item has reported, and runs only to make its checkpoint again."""
        return isinstance(item, Segment) and item.id in self._again

    def needed_first(self, item: Item) -> list[Segment] | None:
        """What must begin to run again before an item can, which then waits; None if it can begin."""
        missing = self._missing(item)
        if not missing:
            return None
        self._waiting.append(item)
        return self.again(missing)

    def again(self, segments: Iterable[SegmentId]) -> list[Segment]:
        """Those of finished segments that are to run again and do not yet. The user is told."""
        begun = [self._folder.read.segment(id_) for id_ in segments if id_ not in self._again]
        for segment in begun:
            self._again.add(segment.id)
            self._say(f"segment {segment.id} runs again, because the checkpoint at its end is not there any more")
        return begun

    def lost(self) -> list[SegmentId]:
        """Finished segments whose last checkpoint is not there, oldest first."""
        done = (id_ for id_, report in self._folder.read.reports().items() if report.status == "done")
        lost = set(done) - self._finals()
        return [segment.id for segment in self._folder.read.segments() if segment.id in lost]

    def drop_incomplete(self) -> None:
        """Drop the last checkpoints that need a file which is not there, or not as long as it was."""
        damaged = {file.digest for file in self._folder.read.files() if not self._folder.checkpoints.has(file)}
        if damaged:
            needs = {id_: {file.digest for file in self._folder.read.files_of(id_)} for id_ in self._finals()}
            self._drop({id_: "a file is missing or cut off" for id_, files in needs.items() if files & damaged})

    def mended(self, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Item]]:
        """The outcomes that stand; and the items that could not begin because of damage that is dropped now.

        What was made again already and is damaged once more stands as a failure: this disk cannot be relied on.
        """
        standing, once_more = list[Outcome](), list[Item]()
        for outcome in outcomes:
            is_hurt = isinstance(outcome, ItemDone) and outcome.kind == "corrupt_checkpoint"
            damaged = self._damaged(outcome.item) if is_hurt else {}
            # somebody else may have met the same damage a moment ago
            if is_hurt and (damaged or self._missing(outcome.item)) and not damaged.keys() & self._made:
                self._drop(damaged)
                once_more.append(outcome.item)
            else:
                standing.append(outcome)
        return standing, once_more

    def record(self, writer: StudyWriter, outcome: Outcome) -> None:
        """Write what came of a segment that runs again."""
        match outcome:
            case EpisodeDone(item=Segment(id=id_), episode=episode, checkpoint=str(digest), files=files):
                writer.put_checkpoint(id_, episode.index, digest, files)
            case ItemDone(item=Segment(id=id_), status=status, reason=reason):
                self._again.remove(id_)
                if status == "done":
                    writer.finish_checkpoint(id_)
                    self._made.add(id_)
                    self._news.append(self._how_made(id_))
                else:
                    writer.drop_checkpoint(id_)
                    self._failed[id_] = reason
            case _:
                raise ValueError(f"this is not what a segment that runs again comes to: {outcome}")

    def ready(self) -> list[Item]:
        """The items that need not wait any more: all has been made again, or something never will be.

        To be called after the commit of what was recorded; the user is told.
        """
        while self._news:
            self._say(self._news.pop(0))
        ready = [item for item in self._waiting if not self._again.intersection(self._missing(item))]
        self._waiting = [item for item in self._waiting if item not in ready]
        return ready

    def hopeless(self, item: Item) -> str:
        """Why an item can never begin; empty if it can."""
        failed = [id_ for id_ in self._missing(item) if id_ in self._failed]
        return f"segment {failed[0]} was run again and failed: {self._failed[failed[0]]}" if failed else ""

    def _how_made(self, id_: SegmentId) -> str:
        report, kept = self._folder.read.report(id_), self._folder.read.checkpoint(id_)
        if report is not None and kept is not None and report.checkpoint == kept.digest:
            return f"the checkpoint at the end of segment {id_} has been made again, bit for bit"
        why = "another machine, device or version"
        return f"the checkpoint at the end of segment {id_} has been made again, with other bits than before: {why}"

    def _missing(self, item: Item) -> list[SegmentId]:
        """The segments that an item starts from and whose last checkpoint is not there."""
        kept = {id_: self._folder.read.checkpoint(id_) for id_ in self._sources(item)}
        return [id_ for id_, checkpoint in kept.items() if checkpoint is None or not checkpoint.is_final]

    def _sources(self, item: Item) -> list[SegmentId]:
        if isinstance(item, Evaluation):
            return [item.segment]
        if item.sources is None or self._folder.read.checkpoint(item.id) is not None:
            return []
        return list(dict.fromkeys(dataclasses.astuple(item.sources)))

    def _finals(self) -> set[SegmentId]:
        return {kept.segment for kept in self._folder.read.checkpoints() if kept.is_final}

    def _damaged(self, item: Item) -> dict[SegmentId, str]:
        """Which of the checkpoints that an item starts from are damaged, and how."""
        damaged = {}
        for id_ in self._sources(item):
            try:
                for file in self._folder.read.files_of(id_):
                    self._folder.checkpoints.verify(file.digest)
            except CorruptCheckpoint as error:
                damaged[id_] = str(error)
        return damaged

    def _drop(self, damaged: dict[SegmentId, str]) -> None:
        with self._folder.commit() as writer:
            for id_ in damaged:
                writer.drop_checkpoint(id_)
        for id_, cause in damaged.items():
            self._say(f"the checkpoint at the end of segment {id_} is not used: {cause}")
