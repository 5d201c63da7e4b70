"""How many episodes a study will take."""

from typing import Any

import pytest

from cartwheel.tuners.registry import TUNERS, make_tuner
from cartwheel.tuners.rehearsal import expected_amount, expected_episodes
from synthetic import MIXED, Loop, SyntheticAgent, issued, make_or_skip


def taken(name: str, settings: dict[str, Any], num_episodes: int) -> int:
    tuner = make_or_skip(name, settings, MIXED, 3, num_episodes)
    run = Loop(tuner, SyntheticAgent(MIXED, 3), lanes=1).run()
    return sum(segment.num_episodes for segment in issued(run.log).values())


@pytest.mark.parametrize("name", [name for name, entry in TUNERS.items() if not entry.is_dynamic and name != "asha"])
@pytest.mark.parametrize("settings", [{}, {"replicates": 2}], ids=str)
def test_a_study_without_failures_takes_what_was_expected(name: str, settings: dict[str, Any]) -> None:
    assert expected_episodes(name, settings, MIXED, 9) == taken(name, settings, 9)


@pytest.mark.parametrize("name", [name for name, entry in TUNERS.items() if entry.is_synchronous])
def test_segments_are_expected_too(name: str) -> None:
    """Of every tuner whose decisions do not hang on the order of completion."""
    tuner = make_or_skip(name, {}, MIXED, 3, 9)
    run = Loop(tuner, SyntheticAgent(MIXED, 3)).run()
    segments = issued(run.log)
    expected = expected_amount(name, {}, MIXED, 9, None)
    assert expected.num_checkpoints == len(segments)
    assert expected.num_episodes == sum(segment.num_episodes for segment in segments.values())
    assert expected.max_listed == 10


def test_asha_takes_about_what_was_expected() -> None:
    """Within a fifth: whom it promotes depends on the scores."""
    assert expected_episodes("asha", {}, MIXED, 27) == pytest.approx(taken("asha", {}, 27), rel=0.2)


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_asha_never_keeps_more_than_the_bound(seed: int, lanes: int) -> None:
    """It promotes without waiting, so more than a bracket that waits, and the bound knows it."""
    tuner = make_or_skip("asha", {}, MIXED, seed, 9)
    segments = issued(Loop(tuner, SyntheticAgent(MIXED, seed), lanes=lanes).run().log).values()
    bound = expected_amount("asha", {}, MIXED, 9, None)
    assert len(segments) <= bound.num_checkpoints
    assert sum(segment.stop + 1 for segment in segments) <= bound.num_listed
    assert sum(segment.num_episodes for segment in segments) <= bound.num_episodes


def test_hyperband_by_hand() -> None:
    """R = 9: 9@1 3@3 1@9, 5@3 1@9, 3@9, whose promoted go on: 21 + 21 + 27, and a random one for each of 17 trials."""
    assert expected_episodes("hyperband", {}, MIXED, 9) == (9 + 3 * 2 + 6) + (5 * 3 + 6) + 3 * 9 + 17


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="no tuner 'hyperbnd'"):
        expected_episodes("hyperbnd", {}, MIXED, 9)
    with pytest.raises(ValueError, match="must be at least"):
        expected_episodes("asha", {"num_trials": 0}, MIXED, 9)


@pytest.mark.parametrize("preset", ["aistats2021"])
def test_a_published_hyperband_is_rehearsed(preset: str) -> None:
    """With restarts every rung trains from its random episode on."""
    tuner = make_tuner("hyperband", {"preset": preset}, MIXED, 0, 81)
    run = Loop(tuner, SyntheticAgent(MIXED)).run()
    expected = expected_episodes("hyperband", {"preset": preset}, MIXED, 81)
    assert expected == sum(segment.num_episodes for segment in issued(run.log).values())
