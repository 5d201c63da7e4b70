"""Hyperband step by step, and what BOHB and DEHB make of it."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
import pytest

from cartwheel.records import Config, Issued, Reported, Segment
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Float, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.halving import bohb
from cartwheel.tuners.halving.dehb import Dehb, DehbSettings, offspring
from cartwheel.tuners.halving.hyperband import brackets
from cartwheel.tuners.halving.serial_hyperband import steps
from cartwheel.tuners.models.optuna_samplers import Observed
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, Loop, SyntheticAgent, constant, failed, issued, tell_all

REAL = Space({name: Float(0.0, 1.0, default=0.5, group="model") for name in ("x", "y")})


def make(name: str, num_episodes: int = 9, **settings: Any) -> Tuner:
    return make_tuner(name, settings, MIXED, 1, num_episodes)


def generation(tuner: Tuner, return_of: Any) -> list[Segment]:
    """Run all that is asked for."""
    asked = tuner.ask(999)
    for segment in asked:
        value = return_of(segment)
        report = failed(segment) if value is None else constant(segment, value)
        tell_all(tuner, [Issued(segment), Reported(report)])
    return asked


def test_the_steps_are_hyperbands_brackets_from_the_widest_on() -> None:
    """R = 9, eta = 3: 9@1 3@3 1@9, 5@3 1@9, 3@9; trial 0 is one of the last three."""
    found = [(s.bracket, s.rung, s.level, s.num_trials) for s in steps(brackets(9, 1, 3, "li"), 1, 4)]
    assert found == [
        *((2, 0, 0, num) for num in (4, 4, 1)),
        (2, 1, 1, 3),
        (2, 2, 2, 1),
        *((1, 0, 1, num) for num in (4, 1)),
        (1, 1, 2, 1),
        (0, 0, 2, 2),
    ]
    again = [(s.bracket, s.num_trials) for s in steps(brackets(9, 1, 3, "li"), 2, None) if s.round == 1]
    assert again == [(2, 9), (2, 3), (2, 1), (1, 5), (1, 1), (0, 3)]


@pytest.mark.parametrize(("name", "settings"), [("bohb", {}), ("dehb", {"num_rounds": 1})])
def test_one_round_spends_what_hyperband_does(name: str, settings: dict[str, Any]) -> None:
    spent = {}
    for tuner in (make(name, 27, **settings), make("hyperband", 27)):
        segments = issued(Loop(tuner, SyntheticAgent(MIXED)).run().log).values()
        spent[tuner] = Counter(s.stop for s in segments), sum(s.stop - s.start for s in segments)
    assert len(set(map(str, spent.values()))) == 1


@pytest.mark.parametrize("name", ["bohb", "dehb"])
def test_trial_0_is_a_full_one_and_holds_nobody_up(name: str) -> None:
    """Until the first step of full trials."""
    tuner = make(name)
    full = tuner.ask(1)[0]
    assert (full.trial, full.stop) == (0, 9)
    assert full.config == make("random-search").ask(1)[0].config
    tuner.tell(Issued(full))
    stops = []
    while asked := generation(tuner, lambda segment: float(segment.trial)):
        stops += [segment.stop for segment in asked]
    assert stops == [1] * 9 + [3] * 3
    tell_all(tuner, [Reported(constant(full, 1.0))])
    assert [segment.stop for segment in tuner.ask(9)] == [9]


def test_the_best_of_a_whole_rung_go_on() -> None:
    """Also where it was begun in batches; who has no score never does."""
    tuner = make("bohb", batch_size=2)
    for _ in range(5):
        generation(tuner, lambda segment: None if segment.trial in (9, 8) else float(segment.trial))
    assert [(s.id, s.start, s.stop) for s in tuner.ask(9)] == [("5.1", 1, 3), ("6.1", 1, 3), ("7.1", 1, 3)]


def test_bohb_models_the_largest_budget_with_enough_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """d + 1 = 5 of them: after one episode, and as soon as there are as many after three.

    TPE is told of those stopped before, as just below the worst that came so far.
    """
    seen: list[tuple[int, list[float]]] = []

    def propose(
        sampler: str, space: Space, names: Any, observed: Sequence[Observed], num: int, num_good: int
    ) -> list[Config]:
        assert num_good == 5
        seen.append((num, [round(one.score, 9) for one in observed]))
        return [space.default] * num

    monkeypatch.setattr(bohb, "propose", propose)
    tuner = make("bohb", random_fraction=0.0)
    while generation(tuner, lambda segment: float(segment.trial)):
        pass
    first, third = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0]
    stopped = [7.0] * 6
    assert seen == [(1, first[:8]), (4, first), (1, third[:7] + stopped), (2, third + stopped)]


def test_a_fraction_of_bohbs_trials_is_always_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third, within 4 standard deviations; these are the draws of Random Search."""
    monkeypatch.setattr(bohb, "propose", lambda sampler, space, names, observed, num, num_good: [space.default] * num)
    run = Loop(make("bohb", 81), SyntheticAgent(MIXED)).run()
    modelled = [s for s in issued(run.log).values() if s.start == 0 and s.trial > 4]
    drawn = make_tuner("random-search", {"num_trials": 200}, MIXED, 1, 1).ask(200)
    is_drawn = [segment.config == drawn[segment.trial].config for segment in modelled]
    assert len(modelled) > 100
    assert abs(np.mean(is_drawn[20:]) - 1 / 3) < 4 * np.sqrt(2 / 9 / len(is_drawn[20:]))


@pytest.mark.parametrize("sampler", ["tpe", "cma-es"])
def test_bohb_learns_where_good_configs_are(sampler: str) -> None:
    """In the third round its configs are nearer to the optimum than its first ones, on average over five seeds."""

    def distance(segment: Segment) -> float:
        return abs(float(segment.config["x"]) - 0.2) + abs(float(segment.config["y"]) - 0.8)

    early, late = [], []
    for seed in range(5):
        chosen = {"sampler": sampler, "random_fraction": 0.0, "num_rounds": 3}
        tuner, begun = make_tuner("bohb", chosen, REAL, seed, 27), []
        while asked := generation(tuner, lambda segment: -distance(segment)):
            begun += [segment for segment in asked if segment.start == 0]
        early += [distance(segment) for segment in begun[1:5]]
        late += [distance(segment) for segment in begun[-8:]]
    assert np.mean(late) < 0.7 * np.mean(early)


def test_an_offspring_is_rand_1_bin() -> None:
    """Each coordinate is the target's or a + (b - c) / 2, at least one the latter, about half of them."""
    target, (a, b, c) = np.full(8, 0.5), np.array([[0.3] * 8, [0.6] * 8, [0.2] * 8])
    taken = [offspring(target, (a, b, c), numpy_rng(i)) for i in range(200)]
    assert all(set(np.round(u, 12)) <= {0.5, round(0.3 + 0.5 * 0.4, 12)} for u in taken)
    a = np.full(8, 0.1)
    num_mutated = [int((offspring(target, (a, b, c), numpy_rng(i)) != 0.5).sum()) for i in range(400)]
    assert min(num_mutated) >= 1
    # one for certain and half of the other seven; standard deviation sqrt(7)/2 each
    assert abs(np.mean(num_mutated) - 4.5) < 4 * np.sqrt(7) / 2 / np.sqrt(400)


def test_coordinates_outside_the_cube_are_drawn_anew() -> None:
    low, high = np.zeros(50), np.ones(50)
    children = np.array([offspring(low + 0.5, (high, high, low), numpy_rng(i)) for i in range(20)])
    fresh = children[children != 0.5]
    assert fresh.min() >= 0.0
    assert fresh.max() <= 1.0
    assert len(np.unique(fresh)) == len(fresh)


def dehb(**settings: Any) -> Tuner:
    return Dehb(REAL, 1, 3, DehbSettings(**settings))


def test_the_first_bracket_of_dehb_is_random_and_promotes() -> None:
    tuner = dehb()
    drawn = make_tuner("random-search", {}, REAL, 1, 3).ask(4)
    asked = generation(tuner, lambda segment: float(segment.trial))
    assert [segment.config for segment in asked] == [segment.config for segment in drawn]
    assert [segment.id for segment in tuner.ask(9)] == ["3.1"]


def best(population: Sequence[Any]) -> list[float]:
    return [one.score for one in population]


def test_a_target_is_replaced_by_what_is_at_least_as_good() -> None:
    """In the second round: of three offspring one is better, one as good and one worse."""
    tuner = Dehb(REAL, 1, 3, DehbSettings(num_rounds=2))
    while (asked := tuner.ask(9)) and asked[0].trial < 5:
        generation(tuner, lambda segment: 1.0)
    before = [np.array(one.u) for one in tuner._populations[0]]
    scores = {segment.trial: score for segment, score in zip(asked, (2.0, 1.0, 0.0), strict=True)}
    generation(tuner, lambda segment: scores[segment.trial])
    after = tuner._populations[0]
    assert best(after) == [2.0, 1.0, 1.0]
    assert [bool((old == one.u).all()) for old, one in zip(before, after, strict=True)] == [False, False, True]


def test_later_rungs_evolve_towards_the_best_of_the_budget_below() -> None:
    """In the second round all begin from nothing; nobody is promoted."""
    run = Loop(make("dehb", 9, num_rounds=2), SyntheticAgent(MIXED)).run()
    num_first = 9 + 5 + 3
    second = [s for s in issued(run.log).values() if s.trial >= num_first]
    assert len(second) == 9 + 3 + 1 + 5 + 1 + 3
    assert {segment.origin for segment in second} == {"new"}


def test_who_failed_is_replaced_by_anybody() -> None:
    tuner = Dehb(REAL, 1, 3, DehbSettings(num_rounds=3))
    generation(tuner, lambda segment: None)
    while asked := generation(tuner, lambda segment: -1e9):
        assert asked
    assert -inf not in [one.score for one in tuner._populations[0]]
    assert tuner.is_done


def test_dehb_finds_better_configs_than_it_began_with() -> None:
    """At full budget, on average over five seeds, against as many random draws."""

    def hill(segment: Segment) -> float:
        return -abs(float(segment.config["x"]) - 0.2) - abs(float(segment.config["y"]) - 0.8)

    random, evolved = [], []
    for seed in range(5):
        tuner, last = make_tuner("dehb", {"num_rounds": 4}, REAL, seed, 9), []
        while asked := generation(tuner, hill):
            last += [hill(segment) for segment in asked if segment.start == 0]
        random.append(np.mean(last[:10]))
        evolved.append(np.mean(last[-10:]))
    assert np.mean(evolved) > 0.5 * np.mean(random)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bohb", {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ("bohb", {"random_fraction": 1.5}, "random_fraction must be between 0 and 1, got 1.5"),
        ("bohb", {"sampler": "smac"}, "sampler must be one of tpe, gp, cma-es, got 'smac'"),
        ("dehb", {"num_rounds": 0}, "num_rounds must be at least 1, got 0"),
        ("dehb", {"eta": 1}, "eta must be at least 2, got 1"),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"tuner '{name}': {message}"):
        make(name, **settings)
