from typing import Any

import pytest

from cartwheel.records import Issued, Reported, Sources
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, Loop, SyntheticAgent, constant, failed, issued, tell_all


def search(num_episodes: int = 9, seed: int = 1, **settings: Any) -> Tuner:
    return make_tuner("random-search", settings, MIXED, seed, num_episodes)


def test_one_segment_per_trial_for_the_whole_budget() -> None:
    run = Loop(search(num_trials=5), SyntheticAgent(MIXED)).run()
    assert [(s.trial, s.index, s.start, s.stop, s.origin) for s in issued(run.log).values()] == [
        (trial, 0, 0, 9, "new") for trial in range(5)
    ]


def test_a_draw_depends_on_seed_and_number_only() -> None:
    few, many = search(num_trials=2, num_episodes=3).ask(9), search(num_trials=9, num_episodes=9).ask(9)
    assert [s.config for s in few] == [s.config for s in many[:2]]
    assert len({s.config["learning_rate"] for s in many}) == 9


def test_the_default_may_come_first() -> None:
    with_default = search(default_first=True).ask(8)
    assert with_default[0].config == MIXED.default
    assert [s.config for s in with_default[1:]] == [s.config for s in search().ask(8)[1:]]


def test_a_failed_trial_has_spent_its_budget() -> None:
    tuner = search(num_trials=2)
    first, second = tuner.ask(2)
    tell_all(tuner, [Issued(first), Reported(failed(first)), Issued(second)])
    assert not tuner.is_done
    tuner.tell(Reported(constant(second, 1.0)))
    assert tuner.is_done
    assert tuner.ranking() == [second.id]


def test_a_failed_trial_is_not_extended() -> None:
    """The others are."""
    longer = search(num_trials=2, num_episodes=12)
    for segment, end in zip(search(num_trials=2).ask(2), (failed, lambda s: constant(s, 1.0)), strict=True):
        tell_all(longer, [Issued(segment), Reported(end(segment))])
    assert [s.id for s in longer.ask(9)] == ["1.1"]


def test_more_episodes_continue_every_done_trial_under_its_config() -> None:
    run = Loop(search(num_trials=3, num_episodes=4), SyntheticAgent(MIXED, trouble=0.0)).run()
    longer = search(num_trials=4, num_episodes=6)
    tell_all(longer, run.log)
    asked = longer.ask(9)
    assert [(s.id, s.start, s.stop, s.origin) for s in asked] == [
        ("0.1", 4, 6, "continue"),
        ("1.1", 4, 6, "continue"),
        ("2.1", 4, 6, "continue"),
        ("3.0", 0, 6, "new"),
    ]
    before = issued(run.log)
    for segment in asked[:3]:
        parent = next(s for s in before.values() if s.trial == segment.trial)
        assert segment.sources == Sources.whole(parent.id)
        assert segment.config == parent.config


def test_fewer_episodes_than_the_log_are_refused() -> None:
    run = Loop(search(num_episodes=4), SyntheticAgent(MIXED)).run()
    with pytest.raises(ValueError, match="up to 4; this tuner stops at 3"):
        tell_all(search(num_episodes=3), run.log)
