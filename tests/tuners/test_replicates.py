"""Several seeds of every trial, told to a tuner as one."""

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cartwheel.records import Issued, Report, Reported, Segment, Voided
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import TUNERS, make_tuner
from cartwheel.tuners.replicates import iqm, lower_bound, mean
from synthetic import MIXED, Loop, SyntheticAgent, constant, failed, issued, tell_all


def make(name: str = "random-search", num_episodes: int = 3, num: int = 3, **settings: Any) -> Tuner:
    return make_tuner(name, {"replicates": num, **settings}, MIXED, 1, num_episodes)


def run(tuner: Tuner, segment: Segment, report: Report) -> None:
    tell_all(tuner, [Issued(segment), Reported(report)])


def test_a_trial_is_as_many_trials_under_one_config() -> None:
    """The configs are those without replicates."""
    alone = make_tuner("random-search", {"num_trials": 2}, MIXED, 1, 3).ask(9)
    asked = make(num_trials=2).ask(9)
    assert [segment.id for segment in asked] == ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0"]
    assert [segment.config for segment in asked] == [alone[i // 3].config for i in range(6)]


def test_what_continues_goes_on_from_its_own_checkpoint() -> None:
    done = Loop(make("successive-halving", 9, num_trials=9), SyntheticAgent(MIXED)).run()
    continued = [segment for segment in issued(done.log).values() if segment.parent is not None]
    assert len(continued) == 3 * (3 + 1)
    assert all(segment.parent == f"{segment.trial}.{segment.index - 1}" for segment in continued)


@pytest.mark.parametrize(
    ("aggregate", "best"),
    [("mean", 2), ("iqm", 1), ("lower-bound", 0)],
)
def test_the_aggregate_decides_who_is_promoted(aggregate: str, best: int) -> None:
    """Of a steady, a mostly good and a lucky trial, by four seeds each."""
    returns = [[5.0, 5.0, 5.0, 5.0], [0.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 40.0]]
    tuner = make("successive-halving", 3, num=4, num_trials=3, aggregate=aggregate)
    for segment in tuner.ask(12):
        run(tuner, segment, constant(segment, returns[segment.trial // 4][segment.trial % 4]))
    assert [segment.id for segment in tuner.ask(12)] == [f"{4 * best + place}.1" for place in range(4)]


def test_the_luckiest_seed_does_not_come_first() -> None:
    tuner = make(num_trials=2)
    for segment, return_ in zip(tuner.ask(6), [0.0, 99.0, 0.0, 40.0, 30.0, 50.0], strict=True):
        run(tuner, segment, constant(segment, return_))
    assert tuner.ranking() == ["3.0", "4.0", "5.0", "0.0", "1.0", "2.0"]


@pytest.mark.parametrize(("aggregate", "first"), [("mean", 4), ("lower-bound", 4), ("iqm", 0)])
def test_one_failure_of_four_spoils_all_but_the_iqm(aggregate: str, first: int) -> None:
    tuner = make(num=4, num_trials=2, aggregate=aggregate)
    for segment in tuner.ask(8):
        report = failed(segment) if segment.trial == 2 else constant(segment, 9.0 if segment.trial < 4 else 1.0)
        run(tuner, segment, report)
    assert tuner.ranking()[0] == f"{first}.0"
    assert len(tuner.ranking()) == 7
    assert tuner.is_done


def test_who_failed_stays_out_and_the_others_go_on() -> None:
    tuner = make("successive-halving", 3, num=4, num_trials=3, aggregate="iqm")
    for segment in tuner.ask(12):
        run(tuner, segment, failed(segment) if segment.trial == 1 else constant(segment, 9.0 - segment.trial // 4))
    asked = tuner.ask(9)
    assert [segment.id for segment in asked] == ["0.1", "2.1", "3.1"]
    for segment in asked:
        run(tuner, segment, constant(segment, 1.0))
    assert tuner.is_done


def test_a_trial_is_over_when_no_replicate_is_left() -> None:
    tuner = make("fixed-schedule", 2, num=2, num_trials=1)
    for segment in tuner.ask(2):
        run(tuner, segment, failed(segment))
    assert tuner.is_done
    assert tuner.ranking() == []


def test_a_trial_counts_when_its_last_replicate_has_ended() -> None:
    tuner = make("tpe", num_startup_trials=1, num_trials=2)
    first, second, third = tuner.ask(9)
    for segment in (third, first):
        run(tuner, segment, constant(segment, nan))
    assert tuner.ask(9) == [second]
    tell_all(tuner, [Issued(second), Voided(second.id)])
    assert tuner.ask(9) == [second]
    run(tuner, second, constant(second, 1.0))
    assert [segment.trial for segment in tuner.ask(9)] == [3, 4, 5]


def test_a_checkpoint_of_another_replicate_is_refused() -> None:
    done = Loop(make("successive-halving", 3, num_trials=3), SyntheticAgent(MIXED)).run()
    log = list(done.log)
    at = next(i for i, event in enumerate(log) if isinstance(event, Issued) and event.segment.start > 0)
    event = log[at]
    assert isinstance(event, Issued)
    elsewhere = Segment(
        event.segment.trial + 1 if event.segment.trial % 3 == 0 else event.segment.trial - 1,
        1,
        event.segment.config,
        event.segment.start,
        event.segment.stop,
        event.segment.sources,
        "continue",
    )
    tuner = make("successive-halving", 3, num_trials=3)
    tell_all(tuner, log[:at])
    before = tuner.state()
    with pytest.raises(ValueError, match="starts from a checkpoint of another replicate"):
        tuner.tell(Issued(elsewhere))
    assert tuner.state() == before


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    """Of a multiple of 4 as SciPy trims; else as if every score were there four times."""
    for n in (2, 3, 4, 5, 6, 7, 8, 11):
        scores = list(np.random.default_rng(n).normal(size=n))
        assert iqm(scores) == pytest.approx(stats.trim_mean(np.repeat(scores, 4), 0.25))
    assert iqm([-inf, 1.0, 2.0, 9.0]) == 1.5
    assert iqm([-inf, 1.0, 2.0]) == -inf


def test_lower_bound_is_one_standard_error_below_the_mean() -> None:
    scores = [1.0, 2.0, 6.0]
    assert lower_bound(scores) == pytest.approx(np.mean(scores) - stats.sem(scores))
    assert mean([1.0, -inf]) == lower_bound([1.0, -inf]) == -inf


@pytest.mark.parametrize("name", [name for name, entry in TUNERS.items() if entry.is_dynamic])
def test_dynamic_tuners_refuse_replicates(name: str) -> None:
    with pytest.raises(ValueError, match=f"tuner '{name}': replicates are for static tuners"):
        make(name)
    make(name, num=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replicates": 0}, "replicates must be at least 1, got 0"),
        ({"replicates": "3"}, "replicates must be of type int"),
        ({"aggregate": "median"}, "aggregate must be one of mean, iqm, lower-bound, got 'median'"),
        ({"replicate": 3}, "no setting 'replicate': did you mean 'replicates'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"tuner 'random-search': {message}"):
        make_tuner("random-search", settings, MIXED, 1, 3)
