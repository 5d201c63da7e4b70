from typing import Any

import pytest

from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, PLAIN, SHAPED, Loop, SyntheticAgent, issued, tell_all


def make(name: str = "fixed-schedule", num_episodes: int = 10, **chosen: Any) -> Tuner:
    return make_tuner(name, {"num_trials": 2, **chosen}, MIXED, 1, num_episodes)


def of_trial(tuner: Tuner, trial: int = 1) -> list[tuple[int, int, float]]:
    segments = issued(Loop(tuner, SyntheticAgent(MIXED)).run().log).values()
    return [(s.start, s.stop, float(s.config["learning_rate"])) for s in segments if s.trial == trial]


def test_fixed_is_the_default_for_all() -> None:
    assert {s.trial: s.config for s in make("fixed").ask(9)} == {0: MIXED.default, 1: MIXED.default}
    assert of_trial(make("fixed")) == [(0, 10, 1e-3)]


def test_fixed_takes_given_values() -> None:
    (first, _) = make("fixed", config={"learning_rate": 5e-3}).ask(9)
    assert first.config == {**MIXED.default, "learning_rate": 5e-3}


def test_the_learning_rate_decays_by_a_factor_per_episode_down_to_its_range() -> None:
    rates = of_trial(make(factor_per_episode=0.5))
    expected = [max(1e-3 * 0.5**k, 1e-5) for k in range(10)]
    assert rates == [(k, k + 1, pytest.approx(rate)) for k, rate in enumerate(expected)]
    assert rates[-1][2] == 1e-5


def test_decay_may_be_stepwise_and_go_on_where_a_budget_cut_a_step() -> None:
    run = Loop(make(num_episodes=6, factor_per_episode=0.5, interval_episodes=4), SyntheticAgent(MIXED)).run()
    longer = make(num_episodes=9, factor_per_episode=0.5, interval_episodes=4)
    tell_all(longer, run.log)
    Loop(longer, run.agent, log=run.log).run()
    segments = [s for s in issued(run.log).values() if s.trial == 0]
    rates = [(s.start, s.stop, s.config["learning_rate"]) for s in segments]
    assert rates == [(0, 4, 1e-3), (4, 6, 1e-3 / 16), (6, 8, 1e-3 / 16), (8, 9, 1e-5)]


def test_whole_numbers_decay_too() -> None:
    chosen = {"decayed": ["num_epochs"], "factor_per_episode": 0.5, "config": {"num_epochs": 20}}
    segments = issued(Loop(make(num_episodes=5, **chosen), SyntheticAgent(MIXED)).run().log).values()
    assert [s.config["num_epochs"] for s in segments if s.trial == 0] == [20, 10, 5, 2, 1]


def pieces(*stops: int) -> list[dict[str, Any]]:
    configs = [{**MIXED.default, "learning_rate": 1e-3 / 2**k} for k in range(len(stops))]
    starts = [0, *stops]
    return [{"start": a, "stop": b, "config": c} for a, b, c in zip(starts, stops, configs, strict=False)]


def test_pieces_of_a_schedule_are_followed_and_the_last_one_stays() -> None:
    assert of_trial(make(pieces=pieces(4, 7))) == [(0, 4, 1e-3), (4, 7, 5e-4), (7, 10, 5e-4)]
    assert of_trial(make(pieces=pieces(4, 17))) == [(0, 4, 1e-3), (4, 10, 5e-4)]


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("fixed", {"num_trials": 0}, "tuner 'fixed': num_trials must be at least 1, got 0"),
        ("fixed", {"config": 3}, "tuner 'fixed': config must be a table, got 3"),
        ("fixed", {"config": {"rate": 1}}, "no parameter 'rate' in the space"),
        ("fixed", {"config": {"num_epochs": 99}}, "parameter 'num_epochs': 99 is not between 1 and 20"),
        ("fixed-schedule", {"decayed": ["learning_rat"]}, "decayed: no number 'learning_rat' in the space: did you"),
        ("fixed-schedule", {"decayed": ["propagation"]}, "decayed: no number 'propagation' in the space"),
        ("fixed-schedule", {"factor_per_episode": 0}, "tuner 'fixed-schedule': factor_per_episode must be above 0"),
        ("fixed-schedule", {"interval_episodes": 0}, "tuner 'fixed-schedule': interval_episodes must be at least 1"),
        ("fixed-schedule", {"pieces": [{"start": 0}]}, "piece 0: config must be a dict"),
        ("fixed-schedule", {"pieces": pieces(3), "config": {"num_epochs": 3}}, "tuner 'fixed-schedule': give pieces"),
        ("fixed-schedule", {"pieces": [{"start": 0, "stop": 2, "config": {"a": 1}}]}, "no parameter 'a' in the sp"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make(name, **chosen)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"decayed": ["width"]}, "decayed: 'width' is static"),
        (
            {
                "pieces": [
                    {**piece, "config": {**piece["config"], "width": 10 + k}} for k, piece in enumerate(pieces(2, 4))
                ]
            },
            "pieces: 'width' is static",
        ),
    ],
)
def test_a_static_value_does_not_change_along_a_schedule(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_tuner("fixed-schedule", chosen, SHAPED, 1, 6)
    steady = [{**piece, "config": {**piece["config"], "width": 12}} for piece in pieces(2, 4)]
    assert make_tuner("fixed-schedule", {"pieces": steady}, SHAPED, 1, 6).ask(1)[0].config["width"] == 12


def test_a_space_without_a_learning_rate_names_what_could_decay() -> None:
    with pytest.raises(ValueError, match="no number 'learning_rate' in the space: known: alpha, horizon"):
        make_tuner("fixed-schedule", {}, PLAIN, 1, 10)
