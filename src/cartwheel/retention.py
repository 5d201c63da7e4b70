"""Which checkpoints of finished segments stay: all of them, or those that may still be asked for.

``needed`` drops as a study goes what its tuner can neither start from any more nor rank among the best in the end. It
keeps, beside that, what segments under way began from, should their own newest checkpoint be damaged, and what is
evaluated. What stays is a function of the log, so a study that was interrupted keeps what one that was not does.

Only checkpoints are dropped: every row stays. One that is asked for after all, by an extended study or because what
came of it was damaged, is made again from what led to it (``mending``).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple

from cartwheel.records import Evaluation, Segment, SegmentId
from cartwheel.spec import Keep
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuners.base import Tuner


class Retention:
    """``num_best``: so many of the final ranking are chosen from."""

    def __init__(self, folder: RunFolder, tuner: Tuner, keep: Keep, num_best: int) -> None:
        self._folder, self._tuner, self._keep, self._num_best = folder, tuner, keep, num_best
        self._has_news = True

    def note(self) -> None:
        """Something has ended, so something may not be needed any more."""
        self._has_news = True

    def superfluous(self, waiting: Iterable[Segment | Evaluation]) -> list[SegmentId]:
        """Finished segments whose checkpoints are there and may be dropped now; none is named twice without news.

        ``waiting``: what needs checkpoints beside what the log tells.
        """
        if self._keep == "all" or not self._has_news:
            return []
        self._has_news = False
        kept = self._needed() | starts_of(waiting)
        finals = (found.segment for found in self._folder.read.checkpoints() if found.is_final)
        return [id_ for id_ in finals if id_ not in kept]

    def missed(self, lost: Sequence[SegmentId]) -> list[SegmentId]:
        """Of finished segments without a checkpoint those that should have one."""
        needed = self._needed() if self._keep == "needed" else set(lost)
        return [id_ for id_ in lost if id_ in needed]

    def _needed(self) -> set[SegmentId]:
        read = self._folder.read
        evaluations = [kept.evaluation for kept in read.evaluations()]
        return needed(self._tuner, self._num_best, [*read.open_segments(), *evaluations])


def needed(tuner: Tuner, num_best: int, items: Collection[Segment | Evaluation]) -> set[SegmentId]:
    """Whose checkpoints a study needs when its tuner was told so much; ``items``: open segments, and evaluations."""
    return tuner.needed(num_best) | starts_of(items)


def starts_of(items: Iterable[Segment | Evaluation]) -> set[SegmentId]:
    """The segments that these start from."""
    found = set[SegmentId]()
    for item in items:
        if isinstance(item, Evaluation):
            found.add(item.segment)
        elif item.sources is not None:
            found.update(astuple(item.sources))
    return found
