import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cartwheel.records import Episode, Issued, Report, Reported, Segment, Sources
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.archive import Archive
from cartwheel.tuners.populations.backtracking import Backtracking, Margin, spread_of
from cartwheel.tuners.populations.pbt import Pbt
from cartwheel.tuners.populations.pbt_bt import AISTATS2021, PbtBtSettings
from cartwheel.tuners.populations.tabu import Tabu
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, PLAIN, Loop, SyntheticAgent, digest, failed, issued, tell_all


def pbt_bt(num_episodes: int = 12, seed: int = 1, **chosen: Any) -> Tuner:
    return make_tuner("pbt-bt", chosen, PLAIN, seed, num_episodes)


def noisy(segment: Segment, mean: float) -> Report:
    """Returns around the mean that spread by 1: mean - 1, mean, mean + 1, as the age goes. NaN: it fails."""
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(i, mean + i % 3 - 1, 100, is_random=i == 0) for i in indices)
    return failed(segment) if math.isnan(mean) else Report(segment.id, "done", episodes, digest(segment.id))


def generation(tuner: Tuner, mean: Callable[[Segment], float]) -> list[Segment]:
    segments = tuner.ask(999)
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(noisy(s, mean(s))) for s in segments])
    return segments


def risen(segment: Segment) -> float:
    """Members differ by less than the noise."""
    return 10.0 * segment.stop + 0.1 * segment.trial


def collapsed(*trials: int) -> Callable[[Segment], float]:
    return lambda s: 5.0 if s.trial in trials else risen(s)


def stalled(segment: Segment) -> float:
    """All rise to 60 at age 6, where they stay until 9, but member 2 falls; and rise again to 120 at 12.

    Member 2 goes back to 6 and has 70 at 9, when the others are 12 and have 120."""
    if segment.trial == 2 and segment.index >= 2:
        return -50.0 if segment.index == 2 else 70.0
    return risen(segment) if segment.stop != 9 else 60.0 + 0.1 * segment.trial


THREE = {"first_interval_episodes": 3, "interval_episodes": 3, "backtrack_every_segments": 3}


def test_who_collapsed_goes_back_and_is_as_old_as_then() -> None:
    """The next segment starts where the archived one ended: model, data and age of then, in a tabu direction."""
    tuner = pbt_bt(num_episodes=15, **THREE, redraw_probability=0.0)
    generation(tuner, risen)
    second = generation(tuner, risen)
    generation(tuner, collapsed(2, 7))
    back = {s.trial: s for s in tuner.ask(99) if s.origin == "backtrack"}
    assert back.keys() == {2, 7}
    assert {s.origin for s in tuner.ask(99) if s.trial not in back} == {"continue"}
    segments = {s.id: s for s in second} | issued_by(tuner)
    for segment in back.values():
        source = segments[segment.parent]  # type: ignore[index]
        assert (segment.start, segment.stop) == (source.stop, source.stop + 3)
        assert segment.sources == Sources.whole(source.id)
        steps = np.abs(PLAIN.encode(segment.config) - PLAIN.encode(source.config))
        assert (steps > 0).all()


def issued_by(tuner: Tuner) -> dict[Any, Segment]:
    assert isinstance(tuner, Pbt)
    return {entry.segment.id: entry.segment for entry in tuner._history}


def test_a_member_goes_back_to_one_of_the_archive_at_random() -> None:
    """Over 60 studies both of the two best are drawn: 30 each, 4 standard deviations are 15."""
    counts: Counter[Any] = Counter()
    for seed in range(60):
        tuner = pbt_bt(num_episodes=15, seed=seed, **THREE)
        generation(tuner, risen)
        generation(tuner, risen)
        generation(tuner, collapsed(2))
        counts.update(s.parent for s in tuner.ask(99) if s.origin == "backtrack")
    assert set(counts) == {"6.2", "7.2"}
    assert all(15 <= count <= 45 for count in counts.values())


def test_one_that_failed_goes_back_too() -> None:
    tuner = pbt_bt(num_episodes=15, **THREE)
    generation(tuner, risen)
    generation(tuner, risen)
    generation(tuner, lambda s: math.nan)
    again = tuner.ask(99)
    assert {s.origin for s in again} == {"backtrack"}
    assert {s.start for s in again} == {6}


def test_between_tests_the_worst_copy_as_in_pbt() -> None:
    tuner = pbt_bt(num_episodes=15, **THREE)
    generation(tuner, risen)
    assert [s.trial for s in tuner.ask(99) if s.origin == "copy"] == [0, 1]
    generation(tuner, risen)
    assert {s.origin for s in tuner.ask(99)} == {"continue", "copy"}


def test_a_younger_member_is_compared_at_its_age() -> None:
    """By score alone it would be the worst, and copy; at 9 it is the best."""
    tuner = pbt_bt(num_episodes=18, **THREE)
    for _ in range(3):
        generation(tuner, stalled)
    assert [(s.trial, s.start) for s in tuner.ask(99) if s.origin == "backtrack"] == [(2, 6)]
    ages = {s.trial: s.stop for s in generation(tuner, stalled)}
    assert (ages[2], ages[3]) == (9, 12)
    assert next(s for s in tuner.ask(99) if s.trial == 2).origin == "continue"


def test_a_copy_at_a_younger_age_takes_the_checkpoint_of_that_age() -> None:
    tuner = pbt_bt(num_episodes=18, **THREE)
    generation(tuner, risen)
    generation(tuner, risen)
    generation(tuner, collapsed(2))
    assert next(s for s in tuner.ask(99) if s.trial == 2).start in (6, 9)
    ran = generation(tuner, lambda s: -50.0 if s.trial == 2 else risen(s))
    own = next(s for s in ran if s.trial == 2)
    copy = next(s for s in tuner.ask(99) if s.trial == 2)
    assert copy.origin == "copy"
    assert copy.start == own.stop
    assert issued_by(tuner)[copy.parent].stop == own.stop  # type: ignore[index]


def test_all_members_together_spend_what_pbt_spends() -> None:
    agent = SyntheticAgent(PLAIN, 3, noise=20.0)
    run = Loop(pbt_bt(num_episodes=30, margin=0.5), agent).run()
    segments = issued(run.log).values()
    assert any(s.origin == "backtrack" for s in segments)
    assert sum(s.stop - s.start for s in segments) == 8 * 30
    assert len({s.stop for s in segments if s.index == 14}) > 1


@pytest.mark.parametrize(
    ("margin", "score", "worst", "spread", "expected"),
    [
        (Margin(0.2, "ratio"), 79.0, 100.0, None, True),
        (Margin(0.2, "ratio"), 81.0, 100.0, None, False),
        (Margin(0.2, "ratio"), -121.0, -100.0, None, True),
        (Margin(0.2, "ratio"), -119.0, -100.0, None, False),
        (Margin(0.2, "ratio"), 0.0, 0.0, None, False),
        (Margin(0.2, "ratio"), -0.1, 0.0, None, True),
        (Margin(3.0, "spread"), 96.9, 100.0, 1.0, True),
        (Margin(3.0, "spread"), 97.1, 100.0, 1.0, False),
        (Margin(3.0, "spread"), 0.0, 100.0, None, False),
        (Margin(3.0, "spread"), -math.inf, 100.0, None, True),
    ],
)
def test_margins(margin: Margin, score: float, worst: float, spread: float | None, expected: bool) -> None:
    """Also at a score of 0, and whatever the sign."""
    assert margin.is_below(score, worst, spread) is expected


def test_spread_is_the_noise_and_one_collapse_does_not_hide_itself() -> None:
    """All returns spread by 1; member 2 falls by 80 within its window, whose own spread is 46."""
    tuner = pbt_bt(num_episodes=20, first_interval_episodes=2, interval_episodes=1, backtrack_every_segments=2)
    generation(tuner, lambda s: 100.0)
    generation(tuner, lambda s: 20.0 if s.trial == 2 else 100.0)
    assert [s.trial for s in tuner.ask(99) if s.origin == "backtrack"] == [2]


def test_spread_is_the_median_deviation_within_windows() -> None:
    assert spread_of([(1.0, 3.0), (0.0, 1.0, 2.0), (0.0, 100.0, 200.0)]) == pytest.approx(2**0.5)
    assert spread_of([(1.0,), (math.nan, 1.0), (5.0, 5.0)]) == 0.0
    assert spread_of([(1.0,), (math.inf, 1.0)]) is None


@pytest.mark.parametrize("lanes", [64, 1000])
def test_a_thousand_members_cost_fractions_of_a_second(lanes: int) -> None:
    """Ask and tell of a generation after which a quarter goes back, in processor time, the best of three."""
    seconds = []
    for _ in range(3):
        tuner = pbt_bt(population=1000, num_episodes=10, first_interval_episodes=2, backtrack_every_segments=1)
        ended = {s.id: Reported(noisy(s, 100.0 if s.trial % 4 else 0.0)) for s in tuner.ask(1000)}
        start = time.process_time()
        while (batch := tuner.ask(lanes)) and not batch[0].index:
            tell_all(tuner, [Issued(s) for s in batch])
            tell_all(tuner, [ended[s.id] for s in batch])
        seconds.append(time.process_time() - start)
        assert Counter(s.origin for s in tuner.ask(1000)) == {"backtrack": 250, "continue": 750}
    assert min(seconds) < 0.25


def due(num_generations: int, every_segments: int = 0) -> list[int]:
    """After how many segments per member the tests are."""
    tabu = Tabu(PLAIN, PbtBtSettings().explorer)
    backtracking = Backtracking(Archive(2), tabu, Margin(3.0, "spread"), every_segments, True)
    return [n for n in range(1, num_generations) if backtracking.is_due(n)]


def test_tests_are_due() -> None:
    assert due(30) == [2, 4, 6, 8, 10, 12, 14, 16, 19, 22, 26]
    assert due(30)[:4] == due(10)
    assert due(20, every_segments=6) == [6, 12, 18]


def test_a_study_too_short_for_a_test_says_so() -> None:
    assert pbt_bt(num_episodes=6).state()["warnings"] == []
    (warning,) = pbt_bt(num_episodes=4).state()["warnings"]
    assert warning == (
        "no member can go back: with 4 episodes the number of segments per member is 2, and the first test comes later"
    )
    assert len(pbt_bt(num_episodes=100, preset="aistats2021").state()["warnings"]) == 1
    assert make_tuner("pbt", {}, PLAIN, 1, 4).state()["warnings"] == []


def test_the_papers_preset() -> None:
    settings = PbtBtSettings(**AISTATS2021)
    assert (settings.population, settings.archive_size, settings.interval_episodes) == (40, 5, 5)
    assert (settings.margin, settings.margin_unit, settings.backtrack_every_segments) == (0.2, "ratio", 30)
    assert not settings.is_age_compared
    assert [PbtBtSettings(population=n, archive_fraction=0.125).archive_size for n in (1, 4, 12, 20)] == [1, 1, 2, 2]


@pytest.mark.parametrize(("is_age_compared", "origin", "start"), [(True, "continue", 9), (False, "backtrack", 12)])
def test_the_papers_archive_sends_the_young_forward(is_age_compared: bool, origin: str, start: int) -> None:
    """It knows no ages: 70 at 9 is compared with 120 at 12."""
    every = {**THREE, "backtrack_every_segments": 1}
    tuner = pbt_bt(num_episodes=18, **every, is_age_compared=is_age_compared)
    for _ in range(4):
        generation(tuner, stalled)
    segment = next(s for s in tuner.ask(99) if s.trial == 2)
    assert (segment.origin, segment.start) == (origin, start)


def test_values_stay_in_the_space_and_the_state_tells_the_archive() -> None:
    tuner = make_tuner("pbt-bt", {"margin": 0.0}, MIXED, 1, 24)
    run = Loop(tuner, SyntheticAgent(MIXED, 1, noise=10.0)).run()
    for segment in issued(run.log).values():
        MIXED.check(segment.config)
    state = tuner.state()["evolution"]
    assert state["archive"]
    assert state["tabu"]
