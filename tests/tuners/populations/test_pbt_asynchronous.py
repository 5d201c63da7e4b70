"""Asynchronous PBT: nobody waits, members are compared at equal ages, and a log decides alike when it is read again."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import Issued, Reported, Segment, Sources
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, PLAIN, Loop, SyntheticAgent, constant, failed, issued, tell_all


def asynchronous(num_episodes: int = 10, **chosen: Any) -> Tuner:
    return make_tuner("pbt-asynchronous", chosen, PLAIN, 1, num_episodes)


def run(tuner: Tuner, trial: int, return_: float) -> Segment:
    """The member's next segment, issued and ended; NaN: it fails. Returns what it was."""
    segment = next(s for s in tuner.ask(99) if s.trial == trial)
    report = failed(segment) if math.isnan(return_) else constant(segment, return_)
    tell_all(tuner, [Issued(segment), Reported(report)])
    return segment


def next_of(tuner: Tuner, trial: int) -> Segment:
    return next(s for s in tuner.ask(99) if s.trial == trial)


def test_nobody_waits() -> None:
    """A member goes on while the others have not even begun."""
    tuner = asynchronous()
    for start in (0, 2, 4, 6, 8):
        assert run(tuner, 3, 1.0).start == start
    assert {s.trial for s in tuner.ask(99)} == {0, 1, 2, 4, 5, 6, 7}


def test_a_member_that_reports_copies_if_it_is_among_the_worst_so_far() -> None:
    """Of 8 the best 6 keep theirs: the seventh to report, with the lowest score, copies one of the best 2."""
    tuner = asynchronous()
    for trial in range(6):
        run(tuner, trial, float(trial))
        assert next_of(tuner, trial).origin == "continue"
    run(tuner, 6, -1.0)
    copy = next_of(tuner, 6)
    assert (copy.origin, copy.start, copy.stop) == ("copy", 2, 4)
    assert copy.parent in {"5.0", "4.0"}
    assert copy.sources == Sources.whole(copy.sources.weights)  # type: ignore[union-attr]


def test_ages_are_compared_not_moments() -> None:
    """Seven members have come to age 4 and 40; the last one, at age 2, meets what they had at 2, and copies that."""
    for return_, origin in ((9.5, "continue"), (1.0, "copy")):
        tuner = asynchronous(donor_fraction=0.1)
        for trial in range(7):
            run(tuner, trial, 10.0 - trial)
        for trial in range(7):
            run(tuner, trial, 40.0 + trial)
        run(tuner, 7, return_)
        step = next_of(tuner, 7)
        assert (step.origin, step.start) == (origin, 2)
        assert step.parent == ("0.0" if origin == "copy" else "7.0")


def test_who_is_younger_is_read_at_the_nearest_lower_age() -> None:
    """Member 0 is at age 4 with a score of 2.5, the others at 2 with 5: it copies one of them, and their age."""
    tuner = asynchronous()
    for trial in range(8):
        run(tuner, trial, 5.0)
    run(tuner, 0, 0.0)
    copy = next_of(tuner, 0)
    assert (copy.origin, copy.start, copy.stop) == ("copy", 2, 4)


def test_a_copy_of_a_younger_agent_costs_its_own_budget() -> None:
    """Whatever age it takes over, a member runs 10 episodes and stops."""
    agent = SyntheticAgent(PLAIN, 4, noise=30.0)
    done = Loop(asynchronous(), agent, lanes=3, order_seed=4).run()
    segments = list(issued(done.log).values())
    spent: Counter[int] = Counter()
    for segment in segments:
        spent[segment.trial] += segment.stop - segment.start
    assert spent == dict.fromkeys(range(8), 10)


def test_who_has_spent_least_is_served_first() -> None:
    tuner = asynchronous()
    run(tuner, 0, 1.0)
    run(tuner, 1, 1.0)
    assert [s.trial for s in tuner.ask(99)] == [2, 3, 4, 5, 6, 7, 0, 1]


def test_a_failed_member_copies_a_sound_one_or_starts_anew() -> None:
    tuner = asynchronous()
    run(tuner, 0, math.nan)
    anew = next_of(tuner, 0)
    assert (anew.origin, anew.start, anew.stop, anew.sources) == ("new", 0, 2, None)
    run(tuner, 1, 3.0)
    run(tuner, 0, math.nan)
    copy = next_of(tuner, 0)
    assert (copy.origin, copy.parent) == ("copy", "1.0")


def test_a_copy_keeps_the_parts_that_are_not_named() -> None:
    tuner = asynchronous(copy=["weights"], population=2, keep_fraction=0.5, donor_fraction=0.5)
    run(tuner, 0, 3.0)
    run(tuner, 1, 1.0)
    assert next_of(tuner, 1).sources == Sources("0.0", "1.0", "1.0", "1.0")  # type: ignore[arg-type]


def test_one_member_alone_is_a_plain_training() -> None:
    done = Loop(make_tuner("pbt-asynchronous", {"population": 1}, PLAIN, 1, 6), SyntheticAgent(PLAIN)).run()
    assert [(s.start, s.stop, s.origin) for s in issued(done.log).values()] == [
        (0, 2, "new"), (2, 4, "continue"), (4, 6, "continue"),
    ]  # fmt: skip


def test_the_first_draws_are_those_of_the_synchronous_form() -> None:
    configs = [[s.config for s in make_tuner(name, {}, MIXED, 1, 10).ask(8)] for name in ("pbt", "pbt-asynchronous")]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("preset", ["aistats2021", "ray", "jaderberg"])
def test_it_has_the_presets_of_the_synchronous_form(preset: str) -> None:
    assert len(asynchronous(preset=preset, population=5).ask(99)) == 5


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.0, 0.4]))
def test_only_strictly_better_ones_of_the_same_age_or_younger_are_copied(seed: int, lanes: int, trouble: float) -> None:
    tuner = asynchronous(num_episodes=12)
    done = Loop(tuner, SyntheticAgent(PLAIN, seed, trouble=trouble), lanes=lanes, order_seed=seed).run()
    segments = issued(done.log)
    scores = {entry.segment.id: tuner._history.score(entry.segment.id) for entry in tuner._history}  # type: ignore[attr-defined]
    own = {(s.trial, s.index): s for s in segments.values()}
    for segment in segments.values():
        if segment.origin == "copy":
            before = own[segment.trial, segment.index - 1]
            assert scores[segment.parent] > scores[before.id]  # type: ignore[index]
            assert segment.start <= before.stop
