"""PB2: what the model is told, what it decides, and what stays as in PBT."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cartwheel.records import Issued, Report, Reported, Segment
from cartwheel.spaces.space import Choice, Float, Int, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.pb2 import Bandit, Gains, Pb2Settings
from cartwheel.tuners.populations.pbt import Pbt
from cartwheel.tuners.registry import make_tuner, tuner_settings
from synthetic import MIXED, PLAIN, Loop, SyntheticAgent, constant, failed, issued, tell_all

ONE = Space({"rate": Float(0.0, 1.0, default=0.5, group="model")})


def pb2(num_episodes: int = 20, space: Space = ONE, seed: int = 1, **chosen: Any) -> Tuner:
    return make_tuner("pb2", chosen, space, seed, num_episodes)


def generation(tuner: Tuner, ended: Callable[[Segment], Report]) -> list[Segment]:
    segments = tuner.ask(999)
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(ended(s)) for s in segments])
    return segments


def gains_of(tuner: Tuner, space: Space = ONE, **chosen: Any) -> Gains:
    assert isinstance(tuner, Pbt)
    return Bandit(space, Pb2Settings(**chosen))._gains(tuner._history)


def test_a_gain_is_the_change_of_score_per_episode_since_the_checkpoint() -> None:
    """Interval 3, so that a score is of its own segment alone; a copy's gain counts from its donor's score."""
    tuner = pb2(first_interval_episodes=3, interval_episodes=3, population=4)
    generation(tuner, lambda s: constant(s, 10.0 * s.trial))
    assert len(gains_of(tuner, interval_episodes=3).times) == 0
    second = generation(tuner, lambda s: constant(s, 10.0 * s.trial + 6.0))
    assert [s.parent for s in second] == ["3.0", "1.0", "2.0", "3.0"]
    gains = gains_of(tuner, interval_episodes=3)
    np.testing.assert_allclose(gains.per_episode, [(6 - 30) / 3, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(gains.times, [1.0] * 4)
    np.testing.assert_allclose(gains.units[:, 0], [s.config["rate"] for s in second])


def test_gains_that_are_not_finite_are_left_out() -> None:
    tuner = pb2(population=4)
    generation(tuner, lambda s: constant(s, math.nan if s.trial == 0 else 1.0))
    generation(tuner, lambda s: failed(s) if s.trial == 1 else constant(s, math.inf if s.trial == 2 else 2.0))
    assert len(gains_of(tuner).times) == 2


def test_the_newest_count() -> None:
    tuner = pb2(population=4)
    for number in range(4):
        generation(tuner, lambda s, number=number: constant(s, float(number)))
    assert len(gains_of(tuner).times) == 12
    np.testing.assert_allclose(gains_of(tuner, window_segments=5).times, [2.0, 3.0, 3.0, 3.0, 3.0])


def test_targets_are_standardised_and_equal_ones_are_zero() -> None:
    targets = Gains(np.zeros(3), np.zeros((3, 1)), np.array([1.0, 2.0, 6.0])).targets
    assert targets.mean() == pytest.approx(0.0)
    assert targets.std() == pytest.approx(1.0)
    assert (Gains(np.zeros(3), np.zeros((3, 1)), np.full(3, 5.0)).targets == 0.0).all()


def rising(gain: Callable[[Segment], float]) -> Callable[[Segment], Report]:
    """Scores that begin at the member's number and rise by ``gain`` in every segment."""
    scores: dict[str, float] = {}

    def ended(segment: Segment) -> Report:
        scores[segment.id] = scores.get(str(segment.parent), float(segment.trial)) + gain(segment)
        return constant(segment, scores[segment.id])

    return ended


THREE = {"first_interval_episodes": 3, "interval_episodes": 3, "redraw_probability": 0.0}


def test_the_population_moves_to_where_the_gain_is_highest() -> None:
    """Every segment gains 10 (1 - |rate - 0.8|). After seven generations, over ten studies, the median member is near
    0.8, and nearer than under PBT's own moves. One or two members may still be sent where nobody has been."""

    def distance(name: str, seed: int) -> float:
        tuner = make_tuner(name, THREE, ONE, seed, 60)
        ended = rising(lambda s: 10.0 * (1.0 - abs(float(s.config["rate"]) - 0.8)))
        for _ in range(7):
            members = generation(tuner, ended)
        return float(np.median([abs(float(s.config["rate"]) - 0.8) for s in members]))

    found = np.mean([distance("pb2", seed) for seed in range(10)])
    assert found < 0.04
    assert found < 0.7 * np.mean([distance("pbt", seed) for seed in range(10)])


def test_copies_of_one_generation_differ() -> None:
    """All gains are equal, so only what is unknown counts; and the second copy knows of the first."""
    tuner = pb2(**THREE)
    ended = rising(lambda s: 1.0)
    for _ in range(3):
        generation(tuner, ended)
    copies = [float(s.config["rate"]) for s in tuner.ask(99) if s.origin == "copy"]
    assert len(copies) == 2
    assert abs(copies[0] - copies[1]) > 0.05


def test_before_there_are_gains_copies_explore_as_in_pbt() -> None:
    tuners = [make_tuner(name, {}, MIXED, 1, 10) for name in ("pb2", "pbt")]
    for tuner in tuners:
        generation(tuner, lambda s: constant(s, float(s.trial)))
    assert tuners[0].ask(99) == tuners[1].ask(99)


def test_choices_move_as_in_pbt_and_numbers_by_the_model() -> None:
    space = Space(
        {
            "rate": Float(1e-4, 1.0, log=True, default=0.1, group="model"),
            "count": Int(1, 9, default=3, group="model"),
            "kind": Choice(("a", "b", "c"), default="a", group="planner"),
        }
    )
    tuners = [make_tuner(name, {"redraw_probability": 0.0}, space, 1, 20) for name in ("pb2", "pbt")]
    for tuner in tuners:
        # the first two generations decide alike, so both know the same three
        generation(tuner, lambda s: constant(s, float(s.trial)))
    for segment in generation(tuners[0], lambda s: constant(s, float(s.trial))):
        report = constant(segment, float(segment.trial))
        tell_all(tuners[1], [Issued(segment), Reported(report)])
    ours, theirs = (([s for s in tuner.ask(99) if s.origin == "copy"]) for tuner in tuners)
    assert [s.parent for s in ours] == [s.parent for s in theirs]
    assert [s.config["kind"] for s in ours] == [s.config["kind"] for s in theirs]
    assert [s.config["rate"] for s in ours] != [s.config["rate"] for s in theirs]


def test_a_space_without_numbers_is_plain_pbt() -> None:
    space = Space({"kind": Choice(("a", "b", "c"), default="a", group="planner")})
    logs = [issued(Loop(make_tuner(name, {}, space, 1, 8), SyntheticAgent(space)).run().log) for name in ("pb2", "pbt")]
    assert logs[0] == logs[1]


def test_the_same_seed_decides_the_same() -> None:
    logs = [issued(Loop(pb2(10, PLAIN, seed), SyntheticAgent(PLAIN, 3)).run().log) for seed in (1, 1, 2)]
    assert logs[0] == logs[1] != logs[2]


def test_presets_and_limits() -> None:
    settings = tuner_settings("pb2", {"preset": "parkerholder2020"})
    assert (settings.population, settings.window_segments) == (4, 1000)
    with pytest.raises(ValueError, match="window_segments must be at least 3, got 2"):
        pb2(window_segments=2)
