import math
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import Issued, Reported, Segment
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.halving.successive_halving import ladder
from cartwheel.tuners.registry import make_tuner
from synthetic import PLAIN, Loop, SyntheticAgent, constant, issued, reports, tell_all


def halving(num_episodes: int = 9, **chosen: Any) -> Tuner:
    return make_tuner("successive-halving", chosen, PLAIN, 1, num_episodes)


@pytest.mark.parametrize(
    ("arguments", "budgets"),
    [((1, 3, 81), [1, 3, 9, 27, 81]), ((1, 3, 10), [1, 3, 9, 10]), ((2, 4, 33), [2, 8, 32, 33]), ((5, 3, 3), [3])],
)
def test_budgets_grow_by_eta_and_the_last_may_be_nearer(arguments: tuple[int, int, int], budgets: list[int]) -> None:
    assert ladder(*arguments) == budgets


@given(st.integers(1, 20), st.integers(2, 10), st.integers(1, 500), st.integers(0, 500))
def test_more_episodes_change_only_the_end_of_the_ladder(low: int, eta: int, before: int, more: int) -> None:
    short, long = ladder(low, eta, before), ladder(low, eta, before + more)
    assert long[: len(short) - 1] == short[:-1]
    assert short[-1] <= long[len(short) - 1]


def spans(segments: dict[Any, Segment]) -> Counter[tuple[int, int]]:
    return Counter((s.start, s.stop) for s in segments.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.9]))
def test_promoted_are_the_best_third_by_score_and_age(seed: int, num_trials: int, trouble: float) -> None:
    """At least one; and of those with a finite score only, even if places stay empty."""
    agent = SyntheticAgent(PLAIN, seed, trouble=trouble)
    segments = issued((run := Loop(halving(num_trials=num_trials), agent).run()).log)
    ended, scores = reports(run.log), {}
    for s in sorted(segments.values(), key=lambda s: s.index):
        tail = scores[s.parent][1] if s.parent else ()
        tail = (*tail, *(e.return_ for e in ended[s.id].episodes if not e.is_random))[-3:]
        is_sound = ended[s.id].status == "done" and all(map(math.isfinite, tail))
        scores[s.id] = (sum(tail) / len(tail) if is_sound else -math.inf, tail)
    here = list(range(num_trials))
    for rung, stop in enumerate((1, 3, 9)):
        at = {s.trial: s.id for s in segments.values() if s.stop == stop}
        assert sorted(at) == here
        best = sorted(here, key=lambda trial: (-scores[at[trial]][0], trial))[: max(1, num_trials // 3 ** (rung + 1))]
        here = sorted(trial for trial in best if scores[at[trial]][0] > -math.inf)


@pytest.mark.parametrize("name", ["successive-halving", "hyperband"])
def test_a_thousand_trials_cost_milliseconds(name: str) -> None:
    """Ask and tell of a thousand segments, once their configs are drawn; in processor time, the best of three."""
    chosen = {"num_trials": 1000} if name == "successive-halving" else {"eta": 2}
    seconds = []
    for _ in range(3):
        tuner, spent_s, num_told = make_tuner(name, chosen, PLAIN, 1, 600), 0.0, 0
        tuner.ask(2000)
        while num_told < 1000:
            start = time.process_time()
            batch = tuner.ask(64)
            tell_all(tuner, [Issued(s) for s in batch])
            spent_s += time.process_time() - start
            ended = [Reported(constant(s, float(s.trial))) for s in batch]
            start = time.process_time()
            tell_all(tuner, ended)
            spent_s += time.process_time() - start
            num_told += len(batch)
        seconds.append(spent_s)
    assert min(seconds) < 0.05


def test_one_bracket() -> None:
    run = Loop(halving(num_trials=81, num_episodes=81), SyntheticAgent(PLAIN), lanes=9).run()
    assert spans(issued(run.log)) == {(0, 1): 81, (1, 3): 27, (3, 9): 9, (9, 27): 3, (27, 81): 1}


def test_somebody_gets_the_whole_budget_however_few_begin() -> None:
    run = Loop(halving(num_trials=2), SyntheticAgent(PLAIN)).run()
    assert spans(issued(run.log)) == {(0, 1): 2, (1, 3): 1, (3, 9): 1}


def test_an_extension_adds_to_the_upper_end() -> None:
    run = Loop(halving(num_trials=9, num_episodes=4), SyntheticAgent(PLAIN)).run()
    assert spans(issued(run.log)) == {(0, 1): 9, (1, 3): 3, (3, 4): 1}
    longer = halving(num_trials=9, num_episodes=20)
    tell_all(longer, run.log)
    rest = Loop(longer, run.agent, log=list(run.log)).run()
    assert spans(issued(rest.log)) == {(0, 1): 9, (1, 3): 3, (3, 4): 1, (4, 9): 1, (9, 20): 1}


def test_an_extension_begun_with_restarts_goes_on() -> None:
    run = Loop(halving(num_trials=9, num_episodes=4, restart=True), SyntheticAgent(PLAIN)).run()
    assert spans(issued(run.log)) == {(0, 1): 9, (0, 3): 3, (0, 4): 1}
    longer = halving(num_trials=9, num_episodes=9, restart=True)
    tell_all(longer, run.log)
    assert [(s.trial, s.start, s.stop) for s in longer.ask(9)] == [(12, 4, 9)]
