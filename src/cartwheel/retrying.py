"""Which failed attempts are made again: so many of each kind, of each work item, by whatever process. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cartwheel.executors.work import ItemDone, Outcome
from cartwheel.records import Evaluation, FailureKind, Retry, Segment, SegmentId, in_words

_Key: TypeAlias = tuple[SegmentId, Evaluation | None, FailureKind]


class Retries:
    """``allowed`` by kind; ``past`` are those that are on record, so that a loop of crashes ends too."""

    def __init__(self, allowed: Mapping[FailureKind, int], past: Sequence[Retry] = ()) -> None:
        self._allowed = allowed
        self._made: Counter[_Key] = Counter(map(_key, past))

    def split(self, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Retry]]:
        """The outcomes that stand, and in the place of the others the attempts that are to be made again."""
        standing, again = list[Outcome](), list[Retry]()
        for outcome in outcomes:
            retry = _as_retry(outcome) if isinstance(outcome, ItemDone) else None
            if retry is not None and self._made[_key(retry)] < self._allowed.get(retry.kind, 0):
                self._made[_key(retry)] += 1
                again.append(retry)
            else:
                standing.append(outcome)
        return standing, again

    def describe(self, retry: Retry) -> str:
        """What is tried again, the how-manieth time of how many, and why."""
        what = f"{'' if retry.evaluation is None else 'evaluation of '}segment {retry.segment}"
        times = f"{self._made[_key(retry)]} of {self._allowed[retry.kind]}"
        return f"{what} is tried again ({times}) after {in_words(retry.kind)}: {retry.reason}"


def _as_retry(done: ItemDone) -> Retry | None:
    """What a failed attempt is on record as if it is made again; None if it did not fail."""
    if done.status == "done" or done.kind is None:
        return None
    item = done.item
    segment, evaluation = (item.id, None) if isinstance(item, Segment) else (item.segment, item)
    return Retry(segment, evaluation, done.kind, done.reason, done.wall_s, done.broken)


def _key(retry: Retry) -> _Key:
    return retry.segment, retry.evaluation, retry.kind
