"""What a study will cost is counted before it runs: the arithmetic, and who waits for whom."""

from collections.abc import Sequence

import pytest

from cartwheel.costs import Rehearsal, Turn, episode_seconds
from cartwheel.rates import Rates, Work
from cartwheel.spec import StudySpec
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.rehearsal import expected_episodes, quick_tuner
from synthetic_executor import small_spec

RATES = Rates(compile_s=9.0, step_s=0.5, plan_s=0.01, fit_s=3.0, update_s=0.001)
LENGTH = 10


def tuner_of(spec: StudySpec) -> Tuner:
    return quick_tuner(spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes)


def a_second(turns: Sequence[Turn]) -> float:
    """Whatever is in the lanes."""
    assert turns
    return 1.0


def test_the_dearest_lane_decides() -> None:
    """A random episode plans nothing, an evaluation fits nothing, and a fit grows with the episodes."""
    seconds = episode_seconds(RATES, lambda config: Work(config["plan"], config["fit"]), LENGTH)  # type: ignore[arg-type]
    cheap, dear = {"plan": 100.0, "fit": 20.0}, {"plan": 300.0, "fit": 10.0}
    assert seconds([Turn(cheap, 0, True, True)]) == pytest.approx(10 * 0.5 + 3.0 + 0.001 * 20 * 10)
    assert seconds([Turn(cheap, 3, False, True)]) == pytest.approx(10 * (0.5 + 1.0) + 3.0 + 0.001 * 20 * 40)
    assert seconds([Turn(dear, 3, False, False)]) == pytest.approx(10 * (0.5 + 3.0))
    both = seconds([Turn(cheap, 3, False, True), Turn(dear, 0, False, True)])
    assert both == pytest.approx(10 * (0.5 + 3.0) + 3.0 + 0.001 * 20 * 40)


@pytest.mark.parametrize(
    ("num_devices", "num_lanes", "expected_s"),
    # five trials of an episode at random and four more; three of them play two validation episodes each
    [(1, 1, 25 + 6), (2, 1, 15 + 4), (5, 1, 5 + 2), (8, 1, 5 + 2), (1, 5, 5 + 2), (1, 2, 15 + 4), (2, 2, 10 + 2)],
)
def test_whole_trials_are_dealt_to_devices_and_lanes(num_devices: int, num_lanes: int, expected_s: float) -> None:
    """In rounds: the last one may be short of work, and its devices wait."""
    spec = small_spec(num_episodes=4, tuner={"name": "random-search", "num_trials": 5})
    course = Rehearsal(num_devices, num_lanes, a_second).run(tuner_of(spec), 3, 2)
    assert course.wall_s == expected_s
    assert (course.num_segments, course.num_episodes, course.num_validation_episodes) == (5, 25, 6)


def test_generations_wait_for_their_last_member() -> None:
    """Three members on two devices take two rounds of every generation."""
    tuner = {"name": "pbt", "population": 3, "first_interval_episodes": 2, "interval_episodes": 2}
    course = Rehearsal(2, 1, a_second).run(tuner_of(small_spec(num_episodes=4, tuner=tuner)), 3, 0)
    # the random episode belongs to the first generation
    assert course.wall_s == 2 * 3 + 2 * 2
    assert course.num_validation_episodes == 0


@pytest.mark.parametrize("name", ["hyperband", "asha", "pbt-bt", "bohb"])
def test_tuners_are_led_to_their_end(name: str) -> None:
    """The course has the episodes that are expected of them, and no device is ever better off alone."""
    spec = small_spec(num_episodes=9, tuner={"name": name})
    expected = expected_episodes(name, {}, spec.make_space(), 9)
    alone, several = (Rehearsal(number, 1, a_second).run(tuner_of(spec), 3, 1) for number in (1, 4))
    assert alone.num_episodes == several.num_episodes == expected
    assert alone.wall_s == expected + 3
    assert alone.wall_s / 4 <= several.wall_s <= alone.wall_s
