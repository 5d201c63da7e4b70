"""What a study will cost, before it starts: its time from counted arithmetic and measured rates.

What a study asks for is found out by leading its tuner through it, against a clock that is not real: as many devices
and lanes as there will be, every episode as long as its arithmetic takes at rates measured on this machine (see
``executors/calibration.py``). So waiting for others, as at the end of a generation, is counted, too; and so are the
programs of agents that differ in shape, which a device gets when it meets them. Nothing is taken to fail.
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cartwheel.rates import Rates, Work
from cartwheel.recent import Recent
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
"""How long a device takes for an episode of all its lanes that share a program."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Which programs agents need, and what these take a device.

    ``of``: which one a config needs; ``bytes_of``: of its agents; ``compile_s`` and ``load_s`` as in ``Rates``;
    ``known``: those that every device had before; ``room``: so many it keeps.
    """

    of: Callable[[Config], Hashable]
    bytes_of: Callable[[Any], int]
    compile_s: float
    load_s: float
    known: frozenset[Hashable]
    room: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Env steps of an episode that is played at random, and of one that is planned."""

    random: float
    planned: float

    def rows(self, num_episodes: int) -> float:
        """In the buffer after so many episodes, of which the first was random."""
        return self.random + (num_episodes - 1) * self.planned


def episode_seconds(rates: Rates, work_of: Callable[[Config], Work], lengths: Lengths) -> EpisodeSeconds:
    """From rates to episodes. Lanes of a program go on together, so that the dearest of them decides."""

    def seconds(turns: Sequence[Turn]) -> float:
        works = [(turn, work_of(turn.config)) for turn in turns]
        plan = max((work.plan for turn, work in works if not turn.is_random), default=0.0)
        fits = [work.fit * lengths.rows(turn.index + 1) for turn, work in works if turn.learns]
        fit_s = rates.fit_s + rates.update_s * max(fits) if fits else 0.0
        length = max(lengths.random if turn.is_random else lengths.planned for turn in turns)
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


class _Device:
    """What is in its lanes, and which programs it has. ``max_bytes``: the most that agents of these ever took."""

    def __init__(self, programs: Programs) -> None:
        self.items: list[_Item] = []
        self.met: set[Hashable] = set()
        self.compile_s, self.max_bytes = 0.0, 0
        self._programs, self._had = programs, set(programs.known)
        self._held = Recent(programs.room, self._get)

    def begin(self, item: _Item) -> None:
        """Put an item into a lane; get its program first, if it is not there."""
        self._held.get(self._program(item), [self._program(other) for other in self.items])
        self.items.append(item)
        self.max_bytes = max(self.max_bytes, sum(map(self._programs.bytes_of, self._held.keys)))

    def turns(self) -> Iterator[list[Turn]]:
        """What each of the programs has to do next: they take turns."""
        for program in dict.fromkeys(map(self._program, self.items)):
            yield [item.turn() for item in self.items if self._program(item) == program]

    def _program(self, item: _Item) -> Hashable:
        return self._programs.of(item.segment.config)

    def _get(self, program: Hashable) -> None:
        self.compile_s += self._programs.load_s if program in self._had else self._programs.compile_s
        self._had.add(program)
        self.met.add(program)


@dataclass(frozen=True, slots=True)
class Course:
    """How a study will go: its wall time, and what it will run.

    ``compile_s``: of the wall time, what the device with the most of it waits for programs, of which the study meets
    ``num_programs``; ``device_bytes``: what agents of several programs take of a device at most.
    """

    wall_s: float
    compile_s: float
    num_programs: int
    device_bytes: int
    num_segments: int
    num_episodes: int
    num_validation_episodes: int


class Rehearsal:
    """A study led to its end against a clock that is not real. ``num_lanes`` are those of each device."""

    def __init__(self, num_devices: int, num_lanes: int, episode_s: EpisodeSeconds, programs: Programs) -> None:
        self._episode_s = episode_s
        self._num_lanes = num_lanes
        self._devices = [_Device(programs) for _ in range(num_devices)]
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
        return Course(
            wall_s=self._now,
            compile_s=max(device.compile_s for device in self._devices),
            num_programs=len(set[Hashable]().union(*(device.met for device in self._devices))),
            device_bytes=max(device.max_bytes for device in self._devices),
            num_segments=len(segments),
            num_episodes=sum(segment.num_episodes for segment in segments.values()),
            num_validation_episodes=len(finalists) * num_validation_episodes,
        )

    @property
    def _num_free(self) -> int:
        open_ = len(self._waiting) + sum(len(device.items) for device in self._devices)
        return max(0, len(self._devices) * self._num_lanes - open_)

    def _advance(self, tuner: Tuner) -> bool:
        """On to the end of the next episode on any device; False if nothing runs."""
        running = {index for _, index in self._ends}
        for index in range(len(self._devices)):
            if index not in running:
                self._begin(index)
        if not self._ends:
            return False
        self._now, index = heapq.heappop(self._ends)
        device = self._devices[index]
        for item in device.items:
            item.next_episode += 1
            if item.next_episode > item.last_episode and item.learns:
                tuner.tell(Reported(uneventful(item.segment)))
        device.items = [item for item in device.items if item.next_episode <= item.last_episode]
        return True

    def _begin(self, index: int) -> None:
        """The next episode of a device, whose free lanes take what waits."""
        device = self._devices[index]
        compiled_s = device.compile_s
        while self._waiting and len(device.items) < self._num_lanes:
            device.begin(self._waiting.popleft())
        if device.items:
            seconds = device.compile_s - compiled_s + sum(map(self._episode_s, device.turns()))
            heapq.heappush(self._ends, (self._now + seconds, index))
