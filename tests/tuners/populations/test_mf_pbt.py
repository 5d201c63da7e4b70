"""MF-PBT: who evolves when, and what crosses from one sub-population to another."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from cartwheel.records import Issued, Report, Reported, Segment
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.mf_pbt import MfPbtSettings, migrants
from cartwheel.tuners.registry import make_tuner, tuner_settings
from synthetic import PLAIN, constant, failed, tell_all


def mf_pbt(num_episodes: int = 20, **chosen: Any) -> Tuner:
    return make_tuner("mf-pbt", chosen, PLAIN, 1, num_episodes)


def generation(tuner: Tuner, ended: Callable[[Segment], Report]) -> list[Segment]:
    segments = tuner.ask(999)
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(ended(s)) for s in segments])
    return segments


def by_trial(returns: list[float]) -> Callable[[Segment], Report]:
    return lambda s: failed(s) if math.isnan(returns[s.trial]) else constant(s, returns[s.trial])


@pytest.mark.parametrize(
    ("scores", "group", "bracket", "expected"),
    [
        # the third of four, with 2, meets the best outsider, 9
        ([4, 3, 2, 1, 9, 8, 7, 6], range(4), [2], {2: 4}),
        # each takes the next best outsider, never the same one
        ([4, 3, 2, 1, 9, 8, 7, 6], range(4), [1, 2], {1: 4, 2: 5}),
        # who is better than all outsiders keeps its own; the next is then still offered the best of them
        ([4, 3, 2, 1, 2.5, 0, 0, 0], range(4), [1, 2], {2: 4}),
        # equals do not replace each other
        ([2, 2, 2, 2, 2, 2, 2, 2], range(4), [2], {}),
        # ties among outsiders go to the older trial
        ([0, 0, 0, 0, 5, 5, 5, 5], range(4, 8), [6], {}),
        ([5, 5, 5, 5, 3, 3, 2, 1], range(4, 8), [6], {6: 0}),
        ([1, 1, 1, 1], range(4), [2], {}),
    ],
)
def test_migration_is_a_function_of_rankings(
    scores: list[float], group: range, bracket: list[int], expected: dict[int, int]
) -> None:
    """Worked out by hand from the paper's rule."""
    assert migrants(scores, group, bracket) == expected


def test_sub_populations_evolve_at_their_own_intervals() -> None:
    """With 1, 2 and 4 and no exchange of agents, copies appear after generations 1 2 3 4, 2 4, and 4."""
    tuner = mf_pbt()
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for number in range(1, 5):
        # every sub-population has the same four scores, so nobody in a bracket meets a better outsider but the best
        generation(tuner, lambda s: constant(s, float(100 - s.trial % 4)))
        for group in {s.trial // 4 for s in tuner.ask(99) if s.origin == "copy"}:
            seen[group].append(number)
    assert seen == {0: [1, 2, 3, 4], 1: [2, 4], 2: [4]}


TWO = {"population": 8, "intervals": [1, 2], "explore": "none"}


def test_from_a_slower_one_agent_and_config_are_taken() -> None:
    """The third of the faster sub-population takes the best of the slower one as it is."""
    tuner = mf_pbt(**TWO)
    first = generation(tuner, by_trial([4, 3, 2, 1, 9, 8, 7, 6]))
    after = tuner.ask(99)
    assert [s.origin for s in after] == ["continue", "continue", "copy", "copy"] + ["continue"] * 4
    assert (after[2].parent, after[2].config) == ("4.0", first[4].config)
    assert (after[3].parent, after[3].config) == ("0.0", first[0].config)


def test_from_a_faster_one_the_agent_is_taken_and_the_config_stays_at_home() -> None:
    """The third of the slower sub-population takes the best agent of the faster one, and its own best's config."""
    tuner = mf_pbt(**TWO)
    generation(tuner, by_trial([9, 8, 7, 6, 4, 3, 2, 1]))
    assert {s.origin for s in tuner.ask(99)[4:]} == {"continue"}
    second = generation(tuner, by_trial([9, 8, 7, 6, 4, 3, 2, 1]))
    after = tuner.ask(99)
    assert (after[6].origin, after[6].parent, after[6].config) == ("copy", "0.1", second[4].config)
    assert (after[7].origin, after[7].parent, after[7].config) == ("copy", "4.1", second[4].config)


def test_who_failed_is_replaced_at_once_though_its_sub_population_is_not_due() -> None:
    tuner = mf_pbt(**TWO)
    generation(tuner, by_trial([9, 8, 7, 6, 4, math.nan, 2, 1]))
    after = tuner.ask(99)
    assert (after[5].origin, after[5].parent) == ("copy", "4.0")
    assert [s.origin for s in after[4:]] == ["continue", "copy", "continue", "continue"]


def test_a_sub_population_that_failed_as_a_whole_is_refounded() -> None:
    """One takes the best outsider, with its config where its own has none; the others start anew."""
    tuner = mf_pbt(**{**TWO, "intervals": [1, 3]})
    first = generation(tuner, by_trial([math.nan] * 4 + [4.0, 3.0, 2.0, 1.0]))
    after = tuner.ask(99)
    assert [s.origin for s in after[:4]] == ["new", "new", "copy", "new"]
    assert after[2].config == first[4].config


def test_the_brackets_of_sixteen() -> None:
    """Of 8 in a sub-population the last 2 copy the first 2, and the 2 before them may be replaced from outside."""
    tuner = mf_pbt(population=16, intervals=[1, 2], explore="none")
    generation(tuner, by_trial([8, 7, 6, 5, 4, 3, 2, 1, *range(20, 28)]))
    after = tuner.ask(99)
    assert [s.origin for s in after[:8]] == ["continue"] * 4 + ["copy"] * 4
    assert [s.parent for s in after[4:6]] == ["15.0", "14.0"]
    assert {s.parent for s in after[6:8]} <= {"0.0", "1.0"}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"intervals": []}, "intervals must be rising"),
        ({"intervals": [2, 1]}, "intervals must be rising"),
        ({"intervals": [0, 1]}, "intervals must be rising"),
        ({"population": 8}, "population must be a multiple of the number of intervals, 3; got 8"),
    ],
)
def test_what_cannot_be_is_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mf_pbt(**chosen)


def test_the_papers_preset() -> None:
    settings = tuner_settings("mf-pbt", {"preset": "doulazmi2025"})
    assert isinstance(settings, MfPbtSettings)
    assert (settings.population, settings.intervals) == (32, (1, 10, 25, 50))
