import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import Issued, Report, Reported, Segment, Sources
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.populations.pbt import Pbt
from cartwheel.tuners.populations.pbt_settings import AISTATS2021, RAY
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, PLAIN, Loop, SyntheticAgent, constant, failed, issued, reports, tell_all


def pbt(num_episodes: int = 10, seed: int = 1, space: Space = MIXED, **chosen: Any) -> Tuner:
    return make_tuner("pbt", chosen, space, seed, num_episodes)


def generation(tuner: Tuner, ended: Callable[[Segment], Report]) -> list[Segment]:
    """Runs one generation; returns its segments."""
    segments = tuner.ask(10_000)
    tell_all(tuner, [Issued(s) for s in segments])
    tell_all(tuner, [Reported(ended(s)) for s in segments])
    return segments


def by_trial(*returns: float) -> Callable[[Segment], Report]:
    """Every member returns its number's entry; None of them fails unless the entry is NaN."""
    return lambda s: failed(s) if math.isnan(returns[s.trial]) else constant(s, returns[s.trial])


def test_the_worst_copy_the_best_and_go_on_from_its_age() -> None:
    tuner = pbt(first_interval_episodes=3, interval_episodes=2, num_episodes=8)
    first = generation(tuner, by_trial(5, 1, 4, 8, 7, 0, 3, 2))
    assert [(s.start, s.stop, s.origin) for s in first] == [(0, 3, "new")] * 8
    second = tuner.ask(99)
    assert [s.origin for s in second] == ["copy" if trial in (1, 5) else "continue" for trial in range(8)]
    for segment in second:
        assert (segment.index, segment.start, segment.stop) == (1, 3, 5)
        parent = first[segment.trial] if segment.origin == "continue" else None
        if parent is not None:
            assert (segment.config, segment.sources) == (parent.config, Sources.whole(parent.id))
        else:
            assert segment.parent in {first[3].id, first[4].id}
            assert segment.sources == Sources.whole(segment.sources.weights)  # type: ignore[union-attr]
            assert segment.config not in [s.config for s in first]


def test_donors_are_drawn_uniformly() -> None:
    """Over 300 seeds both donors of 8 are drawn 300 times by each loser: 150 +- 35, about 4 standard deviations."""
    counts: Counter[str | None] = Counter()
    for seed in range(300):
        tuner = pbt(seed=seed, space=PLAIN, explore="none")
        generation(tuner, by_trial(8, 7, 6, 5, 4, 3, 2, 1))
        counts.update(s.parent for s in tuner.ask(99)[6:7])
    assert set(counts) == {"0.0", "1.0"}
    assert all(115 <= count <= 185 for count in counts.values())


def test_the_last_segment_may_be_shorter_and_the_population_is_constant() -> None:
    run = Loop(pbt(num_episodes=10, first_interval_episodes=4, interval_episodes=5), SyntheticAgent(MIXED)).run()
    segments = issued(run.log).values()
    assert Counter((s.start, s.stop) for s in segments) == {(0, 4): 8, (4, 9): 8, (9, 10): 8}
    assert Counter(s.trial for s in segments) == dict.fromkeys(range(8), 3)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.9]))
def test_only_strictly_better_members_are_copied(seed: int, trouble: float) -> None:
    """And whoever has no finite score copies, unless nobody has one: then all start anew."""
    tuner = pbt(seed=seed)
    run = Loop(tuner, SyntheticAgent(MIXED, seed, trouble=trouble)).run()
    segments, ended = issued(run.log), reports(run.log)
    assert isinstance(tuner, Pbt)
    scores = {id_: tuner._history.score(id_) for id_ in segments}
    own = {(s.trial, s.index): scores[s.id] for s in segments.values()}
    for segment in segments.values():
        if segment.index == 0:
            continue
        before = own[segment.trial, segment.index - 1]
        if segment.origin == "copy":
            assert scores[segment.parent] > before  # type: ignore[index]
            assert ended[segment.parent].checkpoint  # type: ignore[index]
        elif segment.origin == "new":
            assert max(own[trial, segment.index - 1] for trial in range(8)) == -math.inf
        else:
            assert before > -math.inf


def test_failed_members_copy_even_if_they_are_most() -> None:
    tuner = pbt()
    nan = math.nan
    generation(tuner, by_trial(nan, nan, 3, nan, nan, nan, nan, 2))
    second = tuner.ask(99)
    assert [s.origin for s in second] == ["copy", "copy", "continue", "copy", "copy", "copy", "copy", "continue"]
    assert {s.parent for s in second if s.trial not in (2, 7)} <= {"2.0", "7.0"}


def test_a_member_that_returns_nan_is_replaced_though_it_has_a_checkpoint() -> None:
    tuner = pbt()
    generation(tuner, lambda s: constant(s, math.nan if s.trial == 0 else float(s.trial)))
    assert tuner.ask(1)[0].origin == "copy"


def test_if_all_failed_all_start_anew_with_fresh_draws_within_their_budget() -> None:
    tuner = pbt(num_episodes=5, first_interval_episodes=3)
    first = generation(tuner, failed)
    second = tuner.ask(99)
    assert [(s.index, s.start, s.stop, s.origin, s.sources) for s in second] == [(1, 0, 2, "new", None)] * 8
    assert not any(s.config in [other.config for other in first] for s in second)
    generation(tuner, failed)
    assert tuner.is_done
    assert tuner.ranking() == []


def test_ties_keep_the_older_trial() -> None:
    tuner = pbt()
    generation(tuner, by_trial(1, 1, 1, 1, 1, 1, 1, 2))
    assert [s.trial for s in tuner.ask(99) if s.origin == "copy"] == [5, 6]
    tuner = pbt()
    generation(tuner, by_trial(1, 1, 1, 1, 1, 1, 1, 1))
    assert {s.origin for s in tuner.ask(99)} == {"continue"}


def test_member_0_may_begin_with_the_default() -> None:
    with_default, without = pbt(default_first=True).ask(8), pbt().ask(8)
    assert with_default[0].config == MIXED.default != without[0].config
    assert with_default[1:] == without[1:]


def test_the_population_begins_as_random_search_does() -> None:
    draws = make_tuner("random-search", {}, MIXED, 1, 10).ask(8)
    assert [s.config for s in pbt().ask(8)] == [s.config for s in draws]


def test_none_is_a_control_of_selection_only() -> None:
    run = Loop(pbt(explore="none"), SyntheticAgent(MIXED)).run()
    segments = issued(run.log)
    copies = [s for s in segments.values() if s.origin == "copy"]
    assert copies
    assert all(s.config == segments[s.parent].config for s in copies)  # type: ignore[index]


def test_selection_only_is_that_control_by_name() -> None:
    def configs(name: str, **chosen: Any) -> dict[Any, Any]:
        return issued(Loop(make_tuner(name, chosen, MIXED, 1, 10), SyntheticAgent(MIXED)).run().log)

    assert configs("selection-only") == configs("pbt", explore="none")
    with pytest.raises(ValueError, match="tuner 'selection-only': no setting 'explore'"):
        make_tuner("selection-only", {"explore": "add"}, MIXED, 1, 10)


def test_a_copy_takes_the_parts_that_are_named_and_keeps_its_own() -> None:
    tuner = pbt(copy=["weights", "normaliser"])
    generation(tuner, by_trial(5, 1, 4, 8, 7, 2, 3, 2.5))
    copies = {s.trial: s.sources for s in tuner.ask(99) if s.origin == "copy"}
    assert copies.keys() == {1, 5}
    for trial, sources in copies.items():
        assert sources is not None
        assert sources.weights == sources.normaliser
        assert sources.weights in {"3.0", "4.0"}
        assert sources.optimizer == sources.replay == f"{trial}.0"


def test_a_member_with_nothing_sound_of_its_own_takes_all_parts() -> None:
    """It failed, and has no checkpoint; or its returns are NaN, and its checkpoint is not to be trusted."""
    for ended in (failed, lambda s: constant(s, math.nan)):
        tuner = pbt(copy=["weights"])
        generation(tuner, lambda s, ended=ended: ended(s) if s.trial == 1 else constant(s, float(s.trial)))
        copy = tuner.ask(2)[1]
        assert copy.sources == Sources.whole(copy.sources.weights)  # type: ignore[union-attr]


def test_rays_preset() -> None:
    """Of 8 the worst 2 copy the best 2; values move by 1.2 or 0.8, one in four is redrawn on its own."""
    assert RAY == {
        "keep_fraction": 0.75, "donor_fraction": 0.25, "explore": "scale", "step": 0.2, "redraw_probability": 0.25,
        "redraw": "each", "fractions_of": "all",
    }  # fmt: skip
    tuner = pbt(preset="ray")
    generation(tuner, by_trial(1, 2, 3, 4, 5, 6, 7, 8))
    assert {s.trial: s.parent in {"6.0", "7.0"} for s in tuner.ask(99) if s.origin == "copy"} == {0: True, 1: True}


def test_jaderbergs_preset_scales_every_value() -> None:
    tuner = pbt(preset="jaderberg", population=20, space=PLAIN)
    first = generation(tuner, by_trial(*map(float, range(20))))
    copies = [s for s in tuner.ask(99) if s.origin == "copy"]
    assert [s.trial for s in copies] == [0, 1, 2, 3]
    for copy in copies:
        ratio = float(copy.config["alpha"]) / float(next(s for s in first if s.id == copy.parent).config["alpha"])
        assert round(ratio, 9) in (0.8, 1.2) or copy.config["alpha"] == 0.4


def test_the_papers_preset_has_its_ages_and_sizes() -> None:
    """6, 11, 16, ... episodes with the random one; 8 of 40 replaced by copies of the best 8."""
    assert AISTATS2021 == {
        "population": 40, "first_interval_episodes": 5, "interval_episodes": 5, "keep_fraction": 0.8,
        "donor_fraction": 0.2, "explore": "multiply", "step": 0.2, "redraw_probability": 0.25,
    }  # fmt: skip
    tuner = pbt(preset="aistats2021", num_episodes=300)
    first = generation(tuner, by_trial(*map(float, range(40))))
    assert {s.num_episodes for s in first} == {6}
    second = generation(tuner, by_trial(*map(float, range(40))))
    assert [s.trial for s in second if s.origin == "copy"] == list(range(8))
    assert {s.parent for s in second[:8]} <= {s.id for s in first[32:]}
    assert {(s.start, s.stop, s.num_episodes) for s in second} == {(5, 10, 5)}


def test_members_go_on_after_a_last_segment_that_was_cut_short() -> None:
    run = Loop(pbt(num_episodes=5, interval_episodes=3), SyntheticAgent(MIXED)).run()
    assert {s.stop for s in issued(run.log).values()} == {2, 5}
    run = Loop(pbt(num_episodes=6, interval_episodes=3), SyntheticAgent(MIXED)).run()
    assert {s.stop for s in issued(run.log).values()} == {2, 5, 6}
    longer = pbt(num_episodes=12, interval_episodes=3)
    tell_all(longer, run.log)
    assert {(s.start, s.stop) for s in longer.ask(99)} == {(6, 9)}
    assert {s.origin for s in longer.ask(99)} == {"continue", "copy"}


def test_a_generation_interrupted_and_then_extended_ends_at_one_age() -> None:
    """The members that had not begun yet stop where the others, issued under the old budget, do."""
    short = pbt(num_episodes=3)
    log = [event for s in short.ask(99) for event in (Issued(s), Reported(constant(s, float(s.trial))))]
    tell_all(short, log)
    log += [Issued(s) for s in short.ask(3)]
    longer = pbt(num_episodes=8)
    tell_all(longer, log)
    assert {(s.start, s.stop) for s in longer.ask(99)} == {(2, 3)}
    assert len(longer.ask(99)) == 5


def test_a_generation_begun_in_full_is_not_cut_midway() -> None:
    tuner = pbt(interval_episodes=3)
    generation(tuner, by_trial(*map(float, range(8))))
    first, second = tuner.ask(2)
    tuner.tell(Issued(first))
    before = tuner.state()
    with pytest.raises(ValueError, match=r"stops at 3; its generation stops at 5"):
        tuner.tell(Issued(Segment(1, 1, second.config, 2, 3, second.sources, second.origin)))
    assert tuner.state() == before


def test_what_was_issued_is_what_is_continued() -> None:
    """A log from a machine whose logarithm differs in the last bit folds, and its values go on."""
    tuner = pbt(explore="none")
    nudged = [
        Segment(s.trial, 0, {**s.config, "learning_rate": np.nextafter(s.config["learning_rate"], 1.0).item()}, 0, 2)
        for s in tuner.ask(99)
    ]
    tell_all(tuner, [Issued(s) for s in nudged])
    tell_all(tuner, [Reported(constant(s, float(s.trial))) for s in nudged])
    configs = {s.id: s.config for s in nudged}
    assert all(s.config == configs[s.parent] for s in tuner.ask(99))  # type: ignore[index]


def test_tuning_finds_better_members_than_drawing() -> None:
    """On the drifting curve, over 8 studies, PBT's mean final score exceeds that of the same 8 first draws."""

    def mean(name: str, seed: int) -> float:
        run = Loop(make_tuner(name, {}, PLAIN, seed, 20), SyntheticAgent(PLAIN, seed)).run()
        ended = reports(run.log)
        return float(np.mean([ended[best].episodes[-1].return_ for best in run.tuner.ranking()]))

    gains = [mean("pbt", seed) - mean("random-search", seed) for seed in range(8)]
    assert np.mean(gains) > 5.0
    assert sum(gain > 0 for gain in gains) >= 6


@pytest.mark.parametrize("lanes", [64, 1000])
def test_a_thousand_members_cost_milliseconds(lanes: int) -> None:
    """Ask and tell of a whole generation, in processor time, the best of three: machines are slow at times."""
    seconds = []
    for _ in range(3):
        tuner = pbt(population=1000)
        first = tuner.ask(1000)
        ended = {s.id: constant(s, float(s.trial)) for s in first}
        start = time.process_time()
        while batch := tuner.ask(lanes):
            if batch[0].index:
                break
            tell_all(tuner, [Issued(s) for s in batch])
            tell_all(tuner, [Reported(ended[s.id]) for s in batch])
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05
