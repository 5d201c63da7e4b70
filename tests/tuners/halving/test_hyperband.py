"""Tables are worked out here by another route: rational numbers, and dividing instead of multiplying up."""

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from cartwheel.records import Issued, Reported, Segment
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.draws import first_config
from cartwheel.tuners.halving.hyperband import AISTATS2021, Flavour, brackets
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, PLAIN, Loop, SyntheticAgent, constant, failed, issued, reports, tell_all

LI_81 = ["5@81", "8@27 2@81", "15@9 5@27 1@81", "34@3 11@9 3@27 1@81", "81@1 27@3 9@9 3@27 1@81"]
HPBANDSTER_81 = ["5@81", "6@27 2@81", "9@9 3@27 1@81", "27@3 9@9 3@27 1@81", "81@1 27@3 9@9 3@27 1@81"]
LI_300 = [
    "6@300", "9@100 3@300", "18@33 6@100 2@300", "41@11 13@33 4@100 1@300", "98@3 32@11 10@33 3@100 1@300",
    "243@1 81@3 27@11 9@33 3@100 1@300",
]  # fmt: skip
HPBANDSTER_300 = [
    "6@300", "9@100 3@300", "18@33 6@100 2@300", "27@11 9@33 3@100 1@300", "81@3 27@11 9@33 3@100 1@300",
    "243@1 81@3 27@11 9@33 3@100 1@300",
]  # fmt: skip


def hyperband(num_episodes: int = 9, seed: int = 1, **chosen: Any) -> Tuner:
    return make_tuner("hyperband", chosen, PLAIN, seed, num_episodes)


def spelled(max_episodes: int, min_episodes: int, eta: int, flavour: Flavour) -> list[str]:
    return [
        " ".join(f"{rung.num_trials}@{rung.budget}" for rung in rungs)
        for rungs in brackets(max_episodes, min_episodes, eta, flavour)
    ]


def worked_out(max_episodes: int, min_episodes: int, eta: int, flavour: Flavour) -> list[str]:
    s_max, left = -1, Fraction(max_episodes, min_episodes)
    while left >= 1:
        s_max, left = s_max + 1, left / eta
    table = []
    for s in range(s_max + 1):
        share = Fraction(s_max + 1, s + 1)
        n = Fraction(math.ceil(share * eta**s) if flavour == "li" else math.floor(share) * eta**s)
        r, row = Fraction(max_episodes, eta**s), []
        while r <= max_episodes:
            row.append(f"{math.floor(n)}@{math.floor(r)}")
            n, r = Fraction(math.floor(n), eta), r * eta
        table.append(" ".join(row))
    return table


@pytest.mark.parametrize(
    ("max_episodes", "flavour", "table"),
    [(81, "li", LI_81), (81, "hpbandster", HPBANDSTER_81), (300, "li", LI_300), (300, "hpbandster", HPBANDSTER_300)],
)
def test_the_published_tables(max_episodes: int, flavour: Flavour, table: list[str]) -> None:
    assert spelled(max_episodes, 1, 3, flavour) == table


@pytest.mark.parametrize("flavour", ["li", "hpbandster"])
@pytest.mark.parametrize("eta", range(2, 11))
def test_tables_are_exact(eta: int, flavour: Flavour) -> None:
    """Also at and beside exact powers, where a logarithm in floating point is off by one."""
    powers = [eta**k + d for k in range(1, 6) for d in (-1, 0, 1) if 1 <= eta**k + d <= 3200]
    for max_episodes in (1, 81, 243, 300, *powers):
        for min_episodes in (1, 2, 5):
            if min_episodes <= max_episodes:
                expected = worked_out(max_episodes, min_episodes, eta, flavour)
                assert spelled(max_episodes, min_episodes, eta, flavour) == expected


def test_243_has_six_brackets() -> None:
    assert math.floor(math.log(243) / math.log(3)) == 4
    assert len(brackets(243, 1, 3, "li")) == 6


def test_budgets_grow_and_are_at_least_one() -> None:
    for max_episodes in range(1, 101):
        for rungs in brackets(max_episodes, 1, 2, "li"):
            budgets = [rung.budget for rung in rungs]
            assert budgets == sorted(set(budgets))
            assert budgets[0] >= 1


def cost(log: list[Any]) -> int:
    return sum(segment.stop - segment.start for segment in issued(log).values())


@pytest.mark.parametrize(("restart", "episodes"), [(False, 1581), (True, 1902)])
def test_a_round_costs_what_is_published(restart: bool, episodes: int) -> None:
    run = Loop(hyperband(81, restart=restart), SyntheticAgent(PLAIN), lanes=16).run()
    assert cost(run.log) == episodes


def test_survivors_go_on_under_their_config() -> None:
    segments = issued(Loop(hyperband(), SyntheticAgent(PLAIN)).run().log)
    spans = Counter((s.start, s.stop, s.origin) for s in segments.values())
    # 3@9; 5@3 1@9; 9@1 3@3 1@9
    assert spans == {
        (0, 9, "new"): 3, (0, 3, "new"): 5, (3, 9, "continue"): 2, (0, 1, "new"): 9, (1, 3, "continue"): 3,
    }  # fmt: skip
    assert all(s.config == segments[s.parent].config for s in segments.values() if s.parent is not None)


def test_restarts_are_trials_of_their_own_under_the_same_draws() -> None:
    going_on = issued(Loop(hyperband(), SyntheticAgent(PLAIN)).run().log)
    run = Loop(hyperband(restart=True), SyntheticAgent(PLAIN)).run()
    segments = issued(run.log)
    assert {(s.origin, s.sources, s.index, s.start) for s in segments.values()} == {("new", None, 0, 0)}
    begun = {s.trial: s.config for s in going_on.values() if s.index == 0}
    assert sorted(begun) == list(range(17))
    assert {t: s.config for s in segments.values() if (t := s.trial) < 17} == begun
    again = sorted((s.trial, s.stop) for s in segments.values() if s.trial >= 17)
    assert again == [(17, 9), (18, 3), (19, 3), (20, 3), (21, 9)]
    configs = [s.config for s in segments.values() if s.trial in (18, 19, 20)]
    best = [s for s in segments.values() if s.stop == 1]
    score = {s.trial: reports(run.log)[s.id].episodes[-1].return_ for s in best}
    expected = sorted(sorted(score, key=lambda t: -score[t])[:3])
    assert configs == [begun[trial] for trial in expected]


def run_rung(tuner: Tuner, stop: int, returns: dict[int, float]) -> list[Segment]:
    """Runs what is asked for up to ``stop``, a trial that is not listed with return 0; NaN: it fails."""
    segments = [s for s in tuner.ask(999) if s.stop == stop]
    tell_all(tuner, [Issued(s) for s in segments])
    for s in segments:
        value = returns.get(s.trial, 0.0)
        tuner.tell(Reported(failed(s) if math.isnan(value) else constant(s, value)))
    return segments


def test_promoted_are_the_best_third_and_ties_go_to_the_older() -> None:
    tuner = hyperband()
    assert {s.trial for s in run_rung(tuner, 1, {16: 7.0, 12: 5.0, 10: 5.0, 9: 5.0, 8: -1.0})} == set(range(8, 17))
    assert [s.trial for s in tuner.ask(999) if s.start == 1] == [9, 10, 16]


def test_what_failed_is_not_promoted_even_if_places_stay_empty() -> None:
    nan = math.nan
    tuner = hyperband()
    run_rung(tuner, 1, dict.fromkeys(range(9, 17), nan) | {8: -5.0})
    assert [s.trial for s in tuner.ask(999) if s.start == 1] == [8]
    run_rung(tuner, 3, {8: nan})
    assert not [s for s in tuner.ask(999) if s.trial >= 8]


def test_a_rung_waits_for_all_its_trials_while_others_run() -> None:
    tuner = hyperband()
    segments = tuner.ask(10)
    assert [(s.trial, s.stop) for s in segments] == [(0, 9), *((trial, 1) for trial in range(8, 17))]
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(constant(s, 1.0)) for s in segments[1:-1]])
    assert [(s.trial, s.stop) for s in tuner.ask(3)] == [(3, 3), (4, 3), (5, 3)]
    tuner.tell(Reported(constant(segments[-1], 2.0)))
    assert [(s.trial, s.start) for s in tuner.ask(4)] == [(8, 1), (9, 1), (16, 1), (3, 0)]


def test_lanes_are_never_idle_while_anything_is_left() -> None:
    """Every episode takes one unit of time. Four lanes have work until less is left than the longest segment."""
    tuner, running, busy, now = hyperband(27), [], [], 0
    while not tuner.is_done:
        for segment in tuner.ask(4 - len(running)):
            tuner.tell(Issued(segment))
            running.append((now + segment.stop - segment.start, segment))
        busy.append(len(running))
        now += 1
        for _, segment in [(end, segment) for end, segment in running if end == now]:
            tuner.tell(Reported(constant(segment, float(segment.trial))))
        running = [(end, segment) for end, segment in running if end > now]
    assert set(busy[:-27]) == {4}


def test_more_episodes_send_the_last_rungs_on() -> None:
    run = Loop(hyperband(9), SyntheticAgent(PLAIN)).run()
    longer = hyperband(30)
    tell_all(longer, run.log)
    assert sorted((s.trial, s.start, s.stop) for s in longer.ask(99)) == sorted(
        (s.trial, 9, 30) for s in issued(run.log).values() if s.stop == 9
    )


def test_the_papers_preset() -> None:
    assert AISTATS2021 == {"flavour": "hpbandster", "eta": 3, "restart": True}
    segments = make_tuner("hyperband", {"preset": "aistats2021"}, MIXED, 1, 81).ask(999)
    assert Counter(s.stop for s in segments) == {81: 5, 27: 6, 9: 9, 3: 27, 1: 81}


def test_the_default_config_is_a_full_trial() -> None:
    tuner = hyperband(default_first=True)
    assert (tuner.ask(1)[0].config, tuner.ask(1)[0].stop) == (PLAIN.default, 9)
    assert tuner.ask(2)[1].config == first_config(PLAIN, 1, 8, False)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"eta": 1}, "tuner 'hyperband': eta must be at least 2, got 1"),
        ({"min_episodes": 0}, "tuner 'hyperband': min_episodes must be at least 1, got 0"),
        ({"min_episodes": 10}, "min_episodes 10 is more than the study's 9 episodes"),
        ({"flavour": "lee"}, "tuner 'hyperband': flavour must be one of li, hpbandster, got 'lee'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        hyperband(**chosen)
