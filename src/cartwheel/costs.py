"""What a study will cost, before it starts: its time from counted arithmetic and measured rates.

What a study asks for is found out by leading its tuner through it, against a clock that is not real: as many devices
and lanes as there will be, every episode as long as its arithmetic takes at rates measured on this machine (see
``executors/calibration.py``). So waiting for others, as at the end of a generation, is counted, too. Episodes are
taken to have their full length and nothing to fail: where environments end early, this is the most.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cartwheel.rates import Rates, Work
from cartwheel.records import Config, Issued, Reported, Segment
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.rehearsal import uneventful


@dataclass(frozen=True, slots=True)
class Turn:
    """An episode that is next in a lane."""

    config: Config
    index: int
    is_random: bool
    learns: bool


EpisodeSeconds = Callable[[Sequence[Turn]], float]
"""How long a device takes for an episode of all its lanes."""


def episode_seconds(rates: Rates, work_of: Callable[[Config], Work], length: int) -> EpisodeSeconds:
    """From rates to episodes. Lanes of a program go on together, so that the dearest of them decides."""

    def seconds(turns: Sequence[Turn]) -> float:
        works = [(turn, work_of(turn.config)) for turn in turns]
        plan = max((work.plan for turn, work in works if not turn.is_random), default=0.0)
        fits = [work.fit * (turn.index + 1) * length for turn, work in works if turn.learns]
        fit_s = rates.fit_s + rates.update_s * max(fits) if fits else 0.0
        return length * (rates.step_s + rates.plan_s * plan) + fit_s

    return seconds


@dataclass(slots=True)
class _Item:
    """A segment, or an evaluation, that runs or waits."""

    segment: Segment
    next_episode: int
    last_episode: int
    learns: bool = True

    def turn(self) -> Turn:
        return Turn(self.segment.config, self.next_episode, self.learns and self.next_episode == 0, self.learns)


@dataclass(frozen=True, slots=True)
class Course:
    """How a study will go: its wall time without compiling, and what it will run."""

    wall_s: float
    num_segments: int
    num_episodes: int
    num_validation_episodes: int


class Rehearsal:
    """A study led to its end against a clock that is not real. ``num_lanes`` are those of each device."""

    def __init__(self, num_devices: int, num_lanes: int, episode_s: EpisodeSeconds) -> None:
        self._episode_s = episode_s
        self._num_lanes = num_lanes
        self._devices: list[list[_Item]] = [[] for _ in range(num_devices)]
        self._waiting: deque[_Item] = deque()
        self._ends: list[tuple[float, int]] = []
        self._now = 0.0

    def run(self, tuner: Tuner, num_finalists: int, num_validation_episodes: int) -> Course:
        """The whole study of a fresh tuner: tuning, then validation of its best."""
        segments: dict[str, Segment] = {}
        while True:
            for segment in tuner.ask(self._num_free):
                tuner.tell(Issued(segment))
                segments[segment.id] = segment
                self._waiting.append(_Item(segment, segment.first_episode, segment.stop))
            if not self._advance(tuner):
                break
        finalists = tuner.ranking()[:num_finalists] if num_validation_episodes else []
        for id_ in finalists:
            self._waiting.append(_Item(segments[id_], 0, num_validation_episodes - 1, learns=False))
        while self._advance(tuner):
            pass
        num_episodes = sum(segment.num_episodes for segment in segments.values())
        return Course(self._now, len(segments), num_episodes, len(finalists) * num_validation_episodes)

    @property
    def _num_free(self) -> int:
        open_ = len(self._waiting) + sum(map(len, self._devices))
        return max(0, len(self._devices) * self._num_lanes - open_)

    def _advance(self, tuner: Tuner) -> bool:
        """On to the end of the next episode on any device; False if nothing runs."""
        running = {device for _, device in self._ends}
        for device in range(len(self._devices)):
            if device not in running:
                self._begin(device)
        if not self._ends:
            return False
        self._now, device = heapq.heappop(self._ends)
        for item in self._devices[device]:
            item.next_episode += 1
            if item.next_episode > item.last_episode and item.learns:
                tuner.tell(Reported(uneventful(item.segment)))
        self._devices[device] = [item for item in self._devices[device] if item.next_episode <= item.last_episode]
        return True

    def _begin(self, device: int) -> None:
        """The next episode of a device, whose free lanes take what waits."""
        lanes = self._devices[device]
        while self._waiting and len(lanes) < self._num_lanes:
            lanes.append(self._waiting.popleft())
        if lanes:
            seconds = self._episode_s([item.turn() for item in lanes])
            heapq.heappush(self._ends, (self._now + seconds, device))
