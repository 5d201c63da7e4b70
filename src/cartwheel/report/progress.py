"""How far a study is, folded from what its observer is told. Pure: nothing is printed here and no clock is read."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cartwheel.exploits import OnExploit, counted_return, is_implausible
from cartwheel.records import Episode, Event, Issued, Report, Reported, Segment, SegmentId, Status, score

REPLAY_S = 0.5
"""Episodes told this soon after the beginning are old ones told again: no real one is that quick."""


@dataclass
class Member:
    """What a trial is doing. ``score`` and ``last_return`` are NaN as long as there is none.

    ``last_episode`` counts along the lineage of the trial's present segment.
    """

    trial: int
    segment: Segment
    status: Status | None = None
    last_episode: int = 0
    last_return: float = math.nan
    score: float = math.nan


@dataclass
class Progress:
    """The state of a study as its observers know it. ``total_episodes`` is None where nobody can know it.

    ``on_exploit``: what counts of an episode whose physics broke.
    """

    total_episodes: int | None = None
    on_exploit: OnExploit = "keep"
    members: dict[int, Member] = field(default_factory=dict)
    num_copies: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    _implausible: set[tuple[SegmentId, int]] = field(default_factory=set)
    _segments: dict[SegmentId, Segment] = field(default_factory=dict)
    _returns: dict[SegmentId, dict[int, float]] = field(default_factory=dict)
    _began_s: float = 0.0
    _num_at_begin: int = 0

    def begin(self, past: Sequence[Event], now_s: float) -> None:
        """The study begins, or goes on after these events."""
        for event in past:
            if isinstance(event, Issued):
                self.issue(event.segment)
            elif isinstance(event, Reported):
                for episode in event.report.episodes:
                    self.add_episode(self._segments[event.report.segment], episode, now_s)
                self.add_report(event.report)
        self._began_s, self._num_at_begin = now_s, self.num_episodes

    def issue(self, segment: Segment) -> None:
        """A segment is about to run."""
        self._segments[segment.id] = segment
        self._returns[segment.id] = {}
        self.num_copies += is_copy(segment)
        known = self.members.get(segment.trial)
        if known is None:
            self.members[segment.trial] = Member(segment.trial, segment)
        else:
            known.segment, known.status, known.last_episode = segment, None, segment.start

    def add_episode(self, segment: Segment, episode: Episode, now_s: float) -> None:
        """One more episode; an episode that is told again counts once."""
        self._returns[segment.id][episode.index] = counted_return(episode, self.on_exploit)
        if is_implausible(episode):
            self._implausible.add((segment.id, episode.index))
        member = self.members[segment.trial]
        member.last_episode, member.last_return = episode.index, episode.return_
        if now_s - self._began_s < REPLAY_S:
            self._num_at_begin = self.num_episodes

    def add_report(self, report: Report) -> None:
        """A segment ended."""
        member = self.members[self._segments[report.segment].trial]
        member.status = report.status
        if report.status == "done":
            member.score = self.score(report.segment)
        else:
            self.failures[report.status] += 1

    def score(self, segment: SegmentId) -> float:
        """The score along a segment's lineage, of the episodes so far."""
        chain = [segment]
        while (parent := self._segments[chain[-1]].parent) is not None:
            chain.append(parent)
        # episode 0 is the random one, which is never scored
        driven = [self._returns[id_][index] for id_ in chain[::-1] for index in sorted(self._returns[id_]) if index]
        return score(driven)

    @property
    def num_episodes(self) -> int:
        """Episodes finished by all trials, random ones included."""
        return sum(map(len, self._returns.values()))

    @property
    def num_implausible(self) -> int:
        """Episodes whose physics broke."""
        return len(self._implausible)

    @property
    def best(self) -> Member | None:
        """The member with the best finite score; ties: the older trial."""
        scored = [member for member in self.members.values() if math.isfinite(member.score)]
        return max(scored, key=lambda member: (member.score, -member.trial), default=None)

    def eta_s(self, now_s: float) -> float | None:
        """Seconds left at the pace of this process so far; None as long as that is not known."""
        finished = self.num_episodes - self._num_at_begin
        if self.total_episodes is None or finished <= 0:
            return None
        return max(0, self.total_episodes - self.num_episodes) * (now_s - self._began_s) / finished


def is_copy(segment: Segment) -> bool:
    """Whether a trial goes on from a checkpoint that is not its own newest one."""
    return segment.origin in ("copy", "backtrack")
