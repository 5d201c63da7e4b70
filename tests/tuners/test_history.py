import dataclasses
import math

import pytest

from cartwheel.records import Issued, Reported, Segment, Sources, Voided
from cartwheel.tuners.history import History, best_first, require_planned
from synthetic import constant, failed

ROOT = Segment(0, 0, {"a": 1}, 0, 2)
OTHER = Segment(1, 0, {"a": 2}, 0, 2)
CHILD = Segment(1, 1, {"a": 3}, 2, 3, Sources.whole(ROOT.id), "copy")


def told(*pairs: tuple[Segment, float]) -> History:
    history = History()
    for segment, return_ in pairs:
        history.tell(Issued(segment))
        history.tell(Reported(constant(segment, return_)))
    return history


def test_a_short_segment_is_scored_with_its_parents_episodes() -> None:
    """1 own episode of 30 and the copied parent's last 2 of 6; the trial's own past and the random one do not count."""
    history = told((ROOT, 6.0), (OTHER, 100.0), (CHILD, 30.0))
    assert history.score(CHILD.id) == (6.0 + 6.0 + 30.0) / 3
    assert history.score(ROOT.id) == 6.0


def test_only_the_last_three_episodes_count() -> None:
    grandchild = Segment(1, 2, {"a": 3}, 3, 8, Sources.whole(CHILD.id))
    assert told((ROOT, 6.0), (OTHER, 1.0), (CHILD, 30.0), (grandchild, 9.0)).score(grandchild.id) == 9.0


@pytest.mark.parametrize("spoiled", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_scores_worst(spoiled: float) -> None:
    assert told((ROOT, spoiled)).score(ROOT.id) == -math.inf


def test_what_failed_or_runs_scores_worst() -> None:
    history = History()
    history.tell(Issued(ROOT))
    assert history.score(ROOT.id) == -math.inf
    good = constant(ROOT, 5.0)
    history.tell(Reported(dataclasses.replace(good, status="diverged", checkpoint=None)))
    assert history.score(ROOT.id) == -math.inf
    assert history.ranking() == []


def test_ranking_takes_the_newest_checkpoint_of_every_trial() -> None:
    history = told((ROOT, 6.0), (OTHER, 100.0))
    assert history.ranking() == [OTHER.id, ROOT.id]
    history.tell(Issued(CHILD))
    assert history.ranking() == [OTHER.id, ROOT.id]
    history.tell(Reported(failed(CHILD)))
    assert history.ranking() == [OTHER.id, ROOT.id]
    assert told((ROOT, 6.0), (OTHER, 100.0), (CHILD, 0.0)).ranking() == [ROOT.id, CHILD.id]


def test_ties_go_to_the_older_trial() -> None:
    assert told((OTHER, 4.0), (ROOT, 4.0)).ranking() == [ROOT.id, OTHER.id]
    assert best_first([1.0, 2.0, -math.inf, 2.0, -math.inf]) == [1, 3, 0, 2, 4]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (ROOT, r"0\.0 was issued before"),
        (dataclasses.replace(ROOT, index=2), "before the previous one of its trial ended"),
        (dataclasses.replace(OTHER, index=1), "before the previous one of its trial ended"),
        (CHILD, r"starts from 0\.0, which has no checkpoint"),
        (
            dataclasses.replace(CHILD, trial=2, index=0, sources=Sources.whole(CHILD.id)),
            "starts from 1.1, which has no",
        ),
    ],
)
def test_an_issue_out_of_order_is_refused(segment: Segment, message: str) -> None:
    history = told((OTHER, 1.0)) if segment is CHILD else History()
    history.tell(Issued(ROOT))
    with pytest.raises(ValueError, match=message):
        history.tell(Issued(segment))


def test_a_trial_runs_one_segment_at_a_time() -> None:
    history = told((OTHER, 1.0))
    history.tell(Issued(ROOT))
    with pytest.raises(ValueError, match="before the previous one of its trial ended"):
        history.tell(Issued(Segment(0, 1, {"a": 1}, 2, 3, Sources.whole(OTHER.id))))


def test_a_segment_starts_where_its_source_ends() -> None:
    with pytest.raises(ValueError, match=r"starts at 3, which is not where 0\.0 ends"):
        told((ROOT, 1.0), (OTHER, 1.0)).tell(Issued(dataclasses.replace(CHILD, start=3, stop=4)))


def test_every_source_needs_a_checkpoint() -> None:
    partial = dataclasses.replace(CHILD, sources=dataclasses.replace(Sources.whole(ROOT.id), replay=OTHER.id))
    history = told((ROOT, 1.0))
    history.tell(Issued(OTHER))
    history.tell(Reported(failed(OTHER)))
    with pytest.raises(ValueError, match=r"starts from 1\.0, which has no checkpoint"):
        history.tell(Issued(partial))


def test_a_done_report_holds_every_episode_once() -> None:
    history = History()
    history.tell(Issued(ROOT))
    report = constant(ROOT, 1.0)
    for episodes in (report.episodes[1:], report.episodes * 2, report.episodes[::-1]):
        with pytest.raises(ValueError, match="without having run the episodes"):
            history.tell(Reported(dataclasses.replace(report, episodes=episodes)))


def test_a_voided_segment_is_forgotten() -> None:
    history = told((ROOT, 1.0))
    before = history.state()
    history.tell(Issued(OTHER))
    history.tell(Voided(OTHER.id))
    assert history.state() == before
    history.tell(Issued(OTHER))
    with pytest.raises(ValueError, match="voided, but it was already done"):
        history.tell(Voided(ROOT.id))


def test_what_was_not_asked_for_is_refused() -> None:
    require_planned(dataclasses.replace(CHILD, config={"a": 9}), dataclasses.replace(CHILD, stop=7))
    with pytest.raises(ValueError, match="does not ask for it"):
        require_planned(CHILD, None)
    with pytest.raises(ValueError, match="with origin copy; this tuner asks for continue"):
        require_planned(CHILD, dataclasses.replace(CHILD, origin="continue"))
    with pytest.raises(ValueError, match="up to 9; this tuner stops at 3"):
        require_planned(dataclasses.replace(CHILD, stop=9), CHILD)
