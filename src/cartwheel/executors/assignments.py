"""Which worker has which work items, and which items wait for one: what executors of several processes share.

An item whose worker is lost waits again, first of all, to go on behind the last episode that it told of; being
addressed by the same names, it draws the same random numbers and ends as if nothing had happened.
"""

import dataclasses
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from cartwheel.executors.work import EpisodeDone, ItemDone, Name, Outcome, StartFrom, Work, name_of
from cartwheel.records import FailureKind

MAX_LOSSES = 3
"""An item that has lost so many workers in a row, without an episode in between, is taken to be what ends them."""


class Assignments:
    """Workers are numbered; each has the same number of lanes."""

    def __init__(self, num_workers: int, lanes_per_worker: int) -> None:
        self._lanes_per_worker = lanes_per_worker
        self._waiting: deque[Work] = deque()
        self._held: list[dict[Name, Work]] = [{} for _ in range(num_workers)]
        self._losses: Counter[Name] = Counter()

    @property
    def num_open(self) -> int:
        """Items that have not ended."""
        return len(self._waiting) + sum(map(len, self._held))

    @property
    def num_free(self) -> int:
        """Lanes that could take a work item now."""
        return max(0, len(self._held) * self._lanes_per_worker - self.num_open)

    def add(self, work: Work) -> None:
        """One more item, behind those that wait."""
        self._waiting.append(work)

    def hand_out(self, ready: Sequence[int], num_starting: int) -> Iterator[tuple[int, Work]]:
        """Items that wait, each with the worker that has it from now on: the least busy of those that are ready.

        Those that are starting will have their share.
        """
        share = -(-self.num_open // max(1, len(ready) + num_starting))
        while self._waiting and ready:
            worker = min(ready, key=lambda worker: len(self._held[worker]))
            if len(self._held[worker]) >= min(share, self._lanes_per_worker):
                return
            work = self._waiting.popleft()
            self._held[worker][name_of(work.item)] = work
            yield worker, work

    def note(self, worker: int, outcomes: Sequence[Outcome]) -> None:
        """What a worker told of its items."""
        for outcome in outcomes:
            name = name_of(outcome.item)
            self._losses.pop(name, None)
            if isinstance(outcome, ItemDone):
                del self._held[worker][name]
            else:
                self._held[worker][name] = _rest(self._held[worker][name], outcome)

    def lose(self, worker: int, why: str) -> list[Outcome]:
        """A worker is gone. Its items wait again; those that have lost too many workers end."""
        items = self._take(worker)
        self._losses.update(name_of(work.item) for work in items)
        ended = [work for work in items if self._losses[name_of(work.item)] >= MAX_LOSSES]
        self._waiting.extendleft(work for work in reversed(items) if work not in ended)
        reason = f"{MAX_LOSSES} workers in a row were lost with it: {why}"
        return [self._failed(work, reason, "worker_lost") for work in ended]

    def end(self, worker: int, reason: str, kind: FailureKind) -> list[Outcome]:
        """A worker was ended for what its items did: they fail."""
        return [self._failed(work, reason, kind) for work in self._take(worker)]

    def _take(self, worker: int) -> list[Work]:
        items = list(self._held[worker].values())
        self._held[worker].clear()
        return items

    def _failed(self, work: Work, reason: str, kind: FailureKind) -> Outcome:
        self._losses.pop(name_of(work.item), None)
        return ItemDone(work.item, "failed", reason, 0.0, kind=kind)


def _rest(work: Work, done: EpisodeDone) -> Work:
    """What is left of an item after an episode. Evaluations start from the same checkpoint again."""
    start = work.start_from if done.checkpoint is None else StartFrom.whole(done.checkpoint)
    return dataclasses.replace(work, start_from=start, next_episode=done.episode.index + 1)
