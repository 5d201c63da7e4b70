"""Questions to a study, answered on a made-up one and on small ones whose answers are obvious."""

import dataclasses
import math

import pytest

from cartwheel.analysis.tables import (
    EvaluationResult,
    StudyTables,
    copies,
    counts,
    curves_of_trials,
    failures,
    incumbent,
    incumbent_score,
    learning_curve,
    network_evaluations,
    num_failed_by_kind,
    num_retried_by_kind,
    ranking,
    schedule_of,
    segment_score,
    spans,
    trial_noun,
)
from cartwheel.records import CheckpointId, Config, Episode, Evaluation, Report, Retry, Segment, SegmentId, Sources
from cartwheel.spaces.named import SMALL
from made_up_study import DEFAULTS, EPISODE_LENGTH, made_up_study, per_env_step

FAST: Config = {**DEFAULTS, "plan_horizon": 10}


def tiny_study() -> StudyTables:
    """Trial 0: two good segments. Trial 1: one poor segment, then a copy of trial 0's first, under another config."""
    segments = [
        Segment(0, 0, DEFAULTS, 0, 2),
        Segment(1, 0, FAST, 0, 2),
        Segment(0, 1, DEFAULTS, 2, 4, Sources.whole(SegmentId("0.0")), "continue"),
        Segment(1, 1, FAST, 2, 4, Sources.whole(SegmentId("0.0")), "copy"),
    ]
    returns = {"0.0": (0.5, 10, 20), "1.0": (0.25, 1, 2), "0.1": (30, 40), "1.1": (31, 50)}
    episodes = {
        segment.id: tuple(
            Episode(index, return_, 100, is_random=index == 0)
            for index, return_ in enumerate(returns[segment.id], segment.first_episode)
        )
        for segment in segments
    }
    reports = {s.id: Report(s.id, "done", episodes[s.id], CheckpointId("0")) for s in segments}
    by_id = {segment.id: segment for segment in segments}
    return StudyTables({"tuner": "pbt"}, {}, {}, SMALL, by_id, episodes, reports)


def ids(*names: str) -> list[SegmentId]:
    return [SegmentId(name) for name in names]


def test_a_learning_curve_follows_the_lineage() -> None:
    """The copy's curve begins with the episodes of the trial that was copied."""
    curve = learning_curve(tiny_study(), SegmentId("1.1"))
    assert curve.episodes == (0, 1, 2, 3, 4)
    assert curve.returns == (0.5, 10, 20, 31, 50)
    assert curve.trial == 1


def test_what_a_trial_ran_is_cut_where_it_copied() -> None:
    assert [(curve.trial, curve.episodes) for curve in curves_of_trials(tiny_study())] == [
        (0, (0, 1, 2, 3, 4)),
        (1, (0, 1, 2)),
        (1, (3, 4)),
    ]


def test_copies_say_who_copied_whom_and_when() -> None:
    (copy,) = copies(tiny_study())
    assert (copy.kind, copy.from_trial, copy.to_trial) == ("copy", 0, 1)
    assert (copy.source, copy.segment) == ("0.0", "1.1")
    assert (copy.source_episode, copy.previous_episode) == (2, 2)


def test_going_back_to_an_own_old_checkpoint_is_a_backtrack() -> None:
    tables = tiny_study()
    back = Segment(0, 2, FAST, 2, 4, Sources.whole(SegmentId("0.0")), "backtrack")
    tables = dataclasses.replace(tables, segments={**tables.segments, back.id: back})
    kinds = {copy.segment: (copy.kind, copy.source_episode, copy.previous_episode) for copy in copies(tables)}
    assert kinds[back.id] == ("backtrack", 2, 4)
    assert counts(tables).num_backtracks == 1


def test_scores_are_the_last_three_model_driven_episodes_of_the_lineage() -> None:
    tables = tiny_study()
    assert segment_score(tables, SegmentId("1.0")) == 1.5
    assert segment_score(tables, SegmentId("1.1")) == pytest.approx((20 + 31 + 50) / 3)
    assert ranking(tables) == ids("1.1", "0.1")


def test_the_incumbent_is_chosen_in_validation() -> None:
    """The better training score loses against the better validation mean."""
    tables = tiny_study()
    assert incumbent(tables) == "1.1"
    assert incumbent_score(tables) == pytest.approx(101 / 3)
    validated = (
        EvaluationResult(SegmentId("1.1"), 1, (10.0, 20.0), 200),
        EvaluationResult(SegmentId("0.1"), 1, (16.0, 18.0), 200),
    )
    assert incumbent(dataclasses.replace(tables, evaluations=validated)) == "0.1"
    broken = (*validated, EvaluationResult(SegmentId("0.1"), 2, (math.nan,)))
    assert incumbent(dataclasses.replace(tables, evaluations=broken)) == "1.1"


def test_validation_of_a_shorter_study_does_not_choose() -> None:
    """After an extension only a trial that stopped early may still have its old validation."""
    old = (EvaluationResult(SegmentId("0.1"), 1, (1000.0,)),)
    assert incumbent(dataclasses.replace(tiny_study(), evaluations=old)) == "1.1"


def test_nothing_done_means_no_incumbent() -> None:
    tables = dataclasses.replace(tiny_study(), reports={})
    assert incumbent(tables) is None
    assert incumbent_score(tables) == -math.inf
    assert counts(tables).num_unfinished == 4


def test_the_schedule_is_read_along_the_lineage() -> None:
    pieces = schedule_of(tiny_study(), SegmentId("1.1")).pieces
    assert [(piece.start, piece.stop, piece.config) for piece in pieces] == [(0, 2, DEFAULTS), (2, 4, FAST)]


def test_spans_say_who_ran_what() -> None:
    assert [(span.trial, span.first, span.last) for span in spans(tiny_study())] == [
        (0, 0, 2), (1, 0, 2), (0, 3, 4), (1, 3, 4),
    ]  # fmt: skip


def test_counts_include_random_episodes_failures_and_validation() -> None:
    count = counts(made_up_study())
    assert (count.num_trials, count.num_diverged, count.num_failed, count.num_unfinished) == (8, 1, 1, 1)
    # 8 members x 13 episodes, less the one that the failed segment did not reach
    assert count.num_episodes == 8 * 13 - 1
    assert count.num_random_episodes == 8
    assert count.env_steps == count.num_episodes * EPISODE_LENGTH
    assert count.evaluation_env_steps == 9 * EPISODE_LENGTH
    assert count.num_copies == 2 * 5


def test_failures_are_grouped_by_kind() -> None:
    assert failures(made_up_study()) == {
        ("non-finite training", "return is not finite"): ["2.2"],
        ("unstable physics", "MuJoCo: Nan, Inf or huge value in QACC at DOF 0"): ["5.3"],
    }


def test_failures_and_retries_are_counted_by_kind() -> None:
    """Evaluations count as segments do; a kind that an older study did not record says so."""
    tables = made_up_study()
    segment, old = SegmentId("0.0"), dataclasses.replace(tables.reports[SegmentId("5.3")], kind=None)
    lost = EvaluationResult(segment, 0, (math.nan,), failure="worker lost")
    again = [Retry(segment, None, "timeout", "", 1.0), Retry(segment, Evaluation(segment, 0, 1), "timeout", "", 1.0)]
    tables = dataclasses.replace(
        tables, reports={**tables.reports, old.segment: old}, evaluations=(lost,), retries=tuple(again)
    )
    assert num_failed_by_kind(tables) == {"non-finite training": 1, "kind not recorded": 1, "worker lost": 1}
    assert num_retried_by_kind(tables) == {"timeout": 2}


def test_network_evaluations_leave_random_episodes_out() -> None:
    """Trial 0 plans 4 episodes under the default, trial 1 4 under the short horizon; 100 steps each."""
    total = network_evaluations(tiny_study(), per_env_step)
    assert total == 400 * per_env_step(DEFAULTS) + 400 * per_env_step(FAST)


def test_only_population_based_tuners_have_members() -> None:
    assert trial_noun(tiny_study()) == "member"
    assert trial_noun(dataclasses.replace(tiny_study(), meta={"tuner": "selection-only"})) == "member"
    assert trial_noun(dataclasses.replace(tiny_study(), meta={"tuner": "random"})) == "trial"
