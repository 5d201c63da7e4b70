import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import Issued, Report, Reported, Segment
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import make_tuner
from synthetic import PLAIN, Loop, SyntheticAgent, constant, failed, issued, reports, tell_all


def asha(num_episodes: int = 9, **chosen: Any) -> Tuner:
    return make_tuner("asha", chosen, PLAIN, 1, num_episodes)


def end(tuner: Tuner, segment: Segment, return_: float) -> None:
    """NaN: it fails."""
    tuner.tell(Reported(failed(segment) if math.isnan(return_) else constant(segment, return_)))


def issue(tuner: Tuner, num_free: int) -> list[Segment]:
    segments = tuner.ask(num_free)
    tell_all(tuner, [Issued(segment) for segment in segments])
    return segments


def run_one(tuner: Tuner, return_: float) -> Segment:
    (segment,) = issue(tuner, 1)
    end(tuner, segment, return_)
    return segment


def where(segment: Segment) -> tuple[int, int, int]:
    return segment.trial, segment.start, segment.stop


def test_one_lane_promotes_the_best_third_so_far() -> None:
    """Worked out by hand. Of 3, 4, 5 in rung 0 the best one may go on, and that is trial 1, then 3, then 4; of the
    three in rung 1 it is trial 4, with (6 + 8 + 8) / 3 against (3 + 9 + 9) / 3 and (4 + 5 + 5) / 3."""
    tuner = asha()
    ran = [where(run_one(tuner, float(return_))) for return_ in (1, 3, 2, 9, 4, 5, 6, 8, 7)]
    assert ran == [
        (0, 0, 1), (1, 0, 1), (2, 0, 1), (1, 1, 3), (3, 0, 1), (3, 1, 3), (4, 0, 1), (4, 1, 3), (4, 3, 9),
    ]  # fmt: skip


def test_rungs_are_scanned_from_the_top() -> None:
    tuner = asha(num_trials=99)
    first = issue(tuner, 9)
    for segment in first:
        end(tuner, segment, float(segment.trial))
    second = issue(tuner, 3)
    assert [where(s) for s in second] == [(8, 1, 3), (7, 1, 3), (6, 1, 3)]
    for segment in second:
        end(tuner, segment, float(segment.trial))
    assert [where(s) for s in tuner.ask(3)] == [(8, 3, 9), (9, 0, 1), (10, 0, 1)]


def test_nobody_waits() -> None:
    """However many slots are free, there is something for each while configs are left."""
    tuner = asha(num_trials=99)
    assert len(issue(tuner, 64)) == 64
    assert len(tuner.ask(64)) == 35


def test_ties_go_to_the_older_trial_whoever_ended_first() -> None:
    tuner = asha()
    for segment in issue(tuner, 6)[::-1]:
        end(tuner, segment, 1.0)
    assert [s.trial for s in tuner.ask(2)] == [0, 1]


def test_what_failed_counts_and_is_never_promoted() -> None:
    tuner = asha(num_trials=6)
    for segment in issue(tuner, 6):
        end(tuner, segment, 5.0 if segment.trial == 4 else math.nan if segment.trial % 2 else -math.inf)
    assert [where(s) for s in tuner.ask(9)] == [(4, 1, 3)]
    run_one(tuner, math.nan)
    assert tuner.is_done


def test_at_the_end_the_best_goes_on_alone() -> None:
    tuner = asha(num_trials=2)
    first = issue(tuner, 2)
    end(tuner, first[0], 1.0)
    assert tuner.ask(9) == []
    end(tuner, first[1], 2.0)
    assert where(run_one(tuner, 2.0)) == (1, 1, 3)
    assert where(run_one(tuner, math.nan)) == (1, 3, 9)
    # that failed; the next best gets its chance
    assert where(run_one(tuner, 1.0)) == (0, 1, 3)
    assert where(run_one(tuner, 1.0)) == (0, 3, 9)
    assert tuner.is_done


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 0.5]))
def test_promoted_are_among_the_best_that_had_ended(seed: int, num_trials: int, lanes: int, trouble: float) -> None:
    """At the moment of its promotion; but for the last promotions, when nothing else runs."""
    tuner = asha(num_trials=num_trials)
    run = Loop(tuner, SyntheticAgent(PLAIN, seed, trouble=trouble), lanes=lanes, order_seed=seed).run()
    segments, scores, running = issued(run.log), {}, 0
    ended: dict[int, list[tuple[float, int]]] = {1: [], 3: [], 9: []}
    for event in run.log:
        if isinstance(event, Issued):
            if (segment := event.segment).index and running:
                assert (scores[segment.parent], segment.trial) in sorted(ended[segment.start])[
                    : len(ended[segment.start]) // 3
                ]
            running += 1
        elif isinstance(event, Reported):
            running -= 1
            segment = segments[event.report.segment]
            scores[segment.id] = negative_score(event.report, run.log, segments)
            ended[segment.stop].append((scores[segment.id], segment.trial))


def negative_score(report: Report, log: list[Any], segments: dict[Any, Segment]) -> float:
    chain = [segments[report.segment]]
    while chain[0].parent is not None:
        chain.insert(0, segments[chain[0].parent])
    of = reports(log)
    returns = [e.return_ for s in chain for e in of[s.id].episodes if not e.is_random][-3:]
    is_sound = report.status == "done" and all(map(math.isfinite, returns))
    return -sum(returns) / len(returns) if is_sound else math.inf


def test_an_extension_finishes_the_last_rung_first() -> None:
    run = Loop(asha(num_trials=9, num_episodes=5), SyntheticAgent(PLAIN)).run()
    top = [s for s in issued(run.log).values() if s.stop == 5]
    assert top
    longer = asha(num_trials=10, num_episodes=20)
    tell_all(longer, run.log)
    assert [where(s) for s in longer.ask(99)] == [*((s.trial, 5, 9) for s in top), (9, 0, 1)]


@pytest.mark.parametrize("lanes", [64, 1000])
def test_a_thousand_trials_cost_milliseconds(lanes: int) -> None:
    """Ask and tell of a thousand segments, once their configs are drawn; in processor time, the best of three."""
    seconds = []
    for _ in range(3):
        tuner, spent_s, num_told = asha(num_trials=1000), 0.0, 0
        tuner.ask(1000)
        while num_told < 1000:
            start = time.process_time()
            batch = issue(tuner, lanes)
            spent_s += time.process_time() - start
            ended = [Reported(constant(s, float(s.trial))) for s in batch]
            start = time.process_time()
            tell_all(tuner, ended)
            spent_s += time.process_time() - start
            num_told += len(batch)
        seconds.append(spent_s)
    assert min(seconds) < 0.05
