"""What a study will cost is counted before it runs: the arithmetic, and who waits for whom."""

from collections.abc import Sequence
from typing import Any

import pytest

from cartwheel.costs import Lengths, Programs, Rehearsal, Turn, episode_seconds
from cartwheel.rates import Rates, Work
from cartwheel.records import Event, Issued, Segment, SegmentId
from cartwheel.spaces.space import Choice, Float, Space
from cartwheel.spec import StudySpec
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.rehearsal import expected_episodes, quick_tuner
from synthetic_executor import small_spec

RATES = Rates(compile_s=9.0, load_s=2.0, step_s=0.5, plan_s=0.01, fit_s=3.0, update_s=0.001)
ONE = Programs(lambda _: "one", lambda _: 100, compile_s=0.0, load_s=0.0, known=frozenset(), room=4)
"""All agents share a program that costs nothing."""


def tuner_of(spec: StudySpec) -> Tuner:
    return quick_tuner(spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes)


def a_second(turns: Sequence[Turn]) -> float:
    """Whatever is in the lanes."""
    assert turns
    return 1.0


def test_the_dearest_lane_decides() -> None:
    """A random episode plans nothing and is shorter, an evaluation fits nothing, and a fit grows with the episodes."""
    lengths = Lengths(random=4.0, planned=12.0)  # four episodes have 40 rows
    seconds = episode_seconds(RATES, lambda config: Work(config["plan"], config["fit"]), lengths)  # type: ignore[arg-type]
    cheap, dear = {"plan": 100.0, "fit": 20.0}, {"plan": 300.0, "fit": 10.0}
    assert seconds([Turn(cheap, 0, True, True)]) == pytest.approx(4 * 0.5 + 3.0 + 0.001 * 20 * 4)
    assert seconds([Turn(cheap, 3, False, True)]) == pytest.approx(12 * (0.5 + 1.0) + 3.0 + 0.001 * 20 * 40)
    assert seconds([Turn(dear, 3, False, False)]) == pytest.approx(12 * (0.5 + 3.0))
    both = seconds([Turn(cheap, 3, False, True), Turn(dear, 0, False, True)])
    assert both == pytest.approx(12 * (0.5 + 3.0) + 3.0 + 0.001 * 20 * 40)


@pytest.mark.parametrize(
    ("num_devices", "num_lanes", "expected_s"),
    # five trials of an episode at random and four more; three of them play two validation episodes each
    [(1, 1, 25 + 6), (2, 1, 15 + 4), (5, 1, 5 + 2), (8, 1, 5 + 2), (1, 5, 5 + 2), (1, 2, 15 + 4), (2, 2, 10 + 2)],
)
def test_whole_trials_are_dealt_to_devices_and_lanes(num_devices: int, num_lanes: int, expected_s: float) -> None:
    """In rounds: the last one may be short of work, and its devices wait."""
    spec = small_spec(num_episodes=4, tuner={"name": "random-search", "num_trials": 5})
    course = Rehearsal(num_devices, num_lanes, a_second, ONE).run(tuner_of(spec), 3, 2)
    assert course.wall_s == expected_s
    assert (course.num_segments, course.num_episodes, course.num_validation_episodes) == (5, 25, 6)


def test_generations_wait_for_their_last_member() -> None:
    """Three members on two devices take two rounds of every generation."""
    tuner = {"name": "pbt", "population": 3, "first_interval_episodes": 2, "interval_episodes": 2}
    course = Rehearsal(2, 1, a_second, ONE).run(tuner_of(small_spec(num_episodes=4, tuner=tuner)), 3, 0)
    # the random episode belongs to the first generation
    assert course.wall_s == 2 * 3 + 2 * 2
    assert course.num_validation_episodes == 0


@pytest.mark.parametrize("name", ["hyperband", "asha", "pbt-bt", "bohb"])
def test_tuners_are_led_to_their_end(name: str) -> None:
    """The course has the episodes that are expected of them, and no device is ever better off alone."""
    spec = small_spec(num_episodes=9, tuner={"name": name})
    expected = expected_episodes(name, {}, spec.make_space(), 9)
    alone, several = (Rehearsal(number, 1, a_second, ONE).run(tuner_of(spec), 3, 1) for number in (1, 4))
    assert alone.num_episodes == several.num_episodes == expected
    assert alone.wall_s == expected + 3
    assert alone.wall_s / 4 <= several.wall_s <= alone.wall_s


WIDE = Space(
    {
        "width": Choice((8, 16, 32), default=8, group="model", is_static=True),
        "learning_rate": Float(1e-4, 1e-2, log=True, default=1e-3, group="model"),
    }
)


def by_width(known: int, room: int) -> Programs:
    """A program for each width, of as many bytes; 10 s to compile and 1 s to load."""
    return Programs(lambda c: c["width"], int, compile_s=10.0, load_s=1.0, known=frozenset([known]), room=room)


class Given:
    """Trials of these widths, one after the other, of an episode at random and another one."""

    def __init__(self, widths: Sequence[int]) -> None:
        self.segments = [Segment(trial, 0, {"width": width}, 0, 1) for trial, width in enumerate(widths)]
        self.is_done = False

    def ask(self, num_free: int) -> list[Segment]:
        return self.segments[:num_free]

    def tell(self, event: Event) -> None:
        if isinstance(event, Issued):
            self.segments.remove(event.segment)

    def ranking(self) -> list[SegmentId]:
        return []


@pytest.mark.parametrize(
    ("widths", "room", "compile_s", "most"),
    [
        ([8, 8, 8], 4, 1, 8),  # known before, and loaded once
        ([8, 16, 8, 16], 4, 1 + 10, 8 + 16),
        ([8, 16, 8, 16], 1, 1 + 10 + 1 + 1, 16),  # each takes the other's place
        ([8, 16, 32, 8], 2, 1 + 10 + 10 + 1, 16 + 32),  # the longest unused goes first
    ],
)
def test_programs_are_compiled_when_they_are_met(widths: Sequence[int], room: int, compile_s: float, most: int) -> None:
    """And loaded when they are met again, where a device has room for few."""
    tuner: Any = Given(widths)
    course = Rehearsal(1, 1, a_second, by_width(known=8, room=room)).run(tuner, 3, 0)
    assert course.compile_s == compile_s
    assert course.wall_s == compile_s + 2 * len(widths)
    assert (course.num_programs, course.device_bytes) == (len(set(widths)), most)


def test_every_device_compiles_for_itself() -> None:
    """Two of them do so side by side; the third trial goes to the first that is free."""
    tuner: Any = Given([16, 16, 16])
    course = Rehearsal(2, 1, a_second, by_width(known=8, room=4)).run(tuner, 3, 0)
    assert (course.wall_s, course.compile_s, course.num_programs) == (10 + 2 + 2, 10, 1)


def test_programs_in_the_lanes_of_a_device_take_turns() -> None:
    """Two lanes of one program go on together, two of different ones after each other."""
    for widths, wall_s in (([16, 16], 10 + 2), ([16, 32], 10 + 10 + 2 + 2)):
        tuner: Any = Given(widths)
        assert Rehearsal(1, 2, a_second, by_width(known=8, room=1)).run(tuner, 3, 0).wall_s == wall_s


def test_shapes_of_a_space_are_met_by_static_and_nested_tuners() -> None:
    """Two shapes with a population each: two programs on one device, and each is compiled once."""
    nested = {"population": 2, "num_shapes": 2, "first_interval_episodes": 2, "interval_episodes": 2}
    tuner = quick_tuner("pbt", nested, WIDE, 4)
    first = int(tuner.ask(1)[0].config["width"])
    course = Rehearsal(1, 1, a_second, by_width(known=first, room=4)).run(tuner, 3, 1)
    assert (course.num_programs, course.compile_s) == (2, 1 + 10)
    assert course.num_episodes == 2 * 2 * 5
    static = quick_tuner("random-search", {"num_trials": 12}, WIDE, 2)
    assert Rehearsal(3, 1, a_second, by_width(known=8, room=4)).run(static, 3, 1).num_programs == 3
