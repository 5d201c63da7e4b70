"""IPBT: what counts as stagnation, and what a restart keeps, shrinks and draws anew."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from cartwheel.records import Episode, Issued, Report, Reported, Segment, ShrinkPerturb, Sources
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.ipbt import IpbtSettings
from cartwheel.tuners.registry import make_tuner, tuner_settings
from synthetic import PLAIN, Loop, SyntheticAgent, constant, digest, failed, issued, tell_all


def ipbt(num_episodes: int = 60, **chosen: Any) -> Tuner:
    return make_tuner("ipbt", chosen, PLAIN, 1, num_episodes)


def generation(tuner: Tuner, ended: Callable[[Segment], Report]) -> list[Segment]:
    segments = tuner.ask(999)
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(ended(s)) for s in segments])
    return segments


def flat(segment: Segment) -> Report:
    """Nobody ever improves: the member's number is its score."""
    return constant(segment, float(segment.trial))


THREE = {"first_interval_episodes": 3, "interval_episodes": 3, "patience": 2}


def restarted(tuner: Tuner) -> bool:
    return any(s.origin == "restart" for s in tuner.ask(99))


def test_the_interval_doubles_after_patience_runs_out() -> None:
    """The first generation sets the mark, two more do not pass it; and so again with the doubled interval."""
    tuner = ipbt(**THREE)
    lengths, restarts = [], []
    for _ in range(7):
        restarts.append(restarted(tuner))
        lengths.append({s.stop - s.start for s in generation(tuner, flat)})
    assert lengths == [{3}, {3}, {3}, {6}, {6}, {6}, {12}]
    assert restarts == [False, False, False, True, False, False, True]


def test_a_restart_keeps_the_best_shrinks_the_better_and_renews_the_worse() -> None:
    tuner = ipbt(**THREE)
    for _ in range(3):
        members = generation(tuner, flat)
    after = tuner.ask(99)
    assert [s.origin for s in after] == ["restart"] * 7 + ["continue"]
    assert after[7].config == members[7].config
    assert [s.shrink_perturb for s in after] == [ShrinkPerturb(0.0, 1.0)] * 4 + [ShrinkPerturb(0.2, 0.1)] * 3 + [None]
    for own, segment in zip(members[:7], after[:7], strict=True):
        assert segment.sources == Sources.whole(own.id)
        assert segment.start == own.stop
        assert segment.config != own.config


def test_who_goes_on_alone_is_not_copied_and_does_not_copy() -> None:
    """Member 7 scores far more than all others, later far less."""
    tuner = ipbt(**THREE)
    for _ in range(3):
        generation(tuner, flat)
    restart = generation(tuner, lambda s: constant(s, 1000.0 if s.trial == 7 else float(s.trial)))
    after = tuner.ask(99)
    assert {s.parent for s in after if s.origin == "copy"} <= {restart[6].id, restart[5].id}
    assert any(s.origin == "copy" for s in after)
    assert after[7].origin == "continue"
    generation(tuner, lambda s: constant(s, -1000.0 if s.trial == 7 else 50.0 * s.index + s.trial))
    assert tuner.ask(99)[7].origin == "continue"


def test_its_failure_ends_that() -> None:
    tuner = ipbt(**THREE)
    for _ in range(3):
        generation(tuner, flat)
    generation(tuner, lambda s: failed(s) if s.trial == 7 else flat(s))
    assert tuner.ask(99)[7].origin == "copy"
    assert tuner.state()["evolution"]["alone"] is None


def noisy(segment: Segment, mean: float) -> Report:
    """Three returns around the mean, of standard deviation 1."""
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(i, mean + i % 3 - 1, 100, is_random=i == 0) for i in indices)
    return Report(segment.id, "done", episodes, digest(segment.id))


@pytest.mark.parametrize(("rise", "stagnates"), [(0.25, True), (0.5, False), (0.7, False)])
def test_a_rise_within_the_noise_is_none(rise: float, stagnates: bool) -> None:
    """The margin is 0.6 of a standard deviation, above the last mark: twice 0.5 passes it, twice 0.25 does not."""
    tuner = ipbt(**THREE)
    for number in range(3):
        generation(tuner, lambda s, number=number: noisy(s, number * rise))
    assert restarted(tuner) is stagnates


def test_where_everything_fails_nothing_stagnates() -> None:
    tuner = ipbt(**THREE)
    for _ in range(5):
        generation(tuner, failed)
    assert {s.origin for s in tuner.ask(99)} == {"new"}
    assert {s.stop - s.start for s in tuner.ask(99)} == {3}


def test_who_failed_restarts_from_the_best_ones_replay() -> None:
    tuner = ipbt(**THREE)
    generation(tuner, flat)
    generation(tuner, flat)
    members = generation(tuner, lambda s: failed(s) if s.trial == 2 else flat(s))
    segment = tuner.ask(99)[2]
    assert (segment.origin, segment.parent, segment.shrink_perturb) == (
        "restart",
        members[7].id,
        ShrinkPerturb(0.0, 1.0),
    )


def test_one_member_alone_restarts_nothing() -> None:
    run = Loop(ipbt(20, population=1), SyntheticAgent(PLAIN)).run()
    assert {s.origin for s in issued(run.log).values()} == {"new", "continue"}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"patience": 0}, "patience must be at least 1"),
        ({"interval_factor": 0}, "interval_factor must be at least 1"),
        ({"margin": math.nan}, "margin must be at least 0"),
        ({"shrink": 1.5}, "shrink must be between 0 and 1"),
        ({"perturb": -0.1}, "perturb must be between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ipbt(**chosen)


def test_the_papers_preset() -> None:
    settings = tuner_settings("ipbt", {"preset": "chebykin2025"})
    assert isinstance(settings, IpbtSettings)
    assert (settings.population, settings.patience, settings.shrink_perturb) == (8, 3, ShrinkPerturb(0.2, 0.1))
