"""What is tried again: how often, counted by whom, and that it changes no result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cartwheel.analysis.tables import num_failed_by_kind, num_retried_by_kind
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, Work
from cartwheel.records import FAILURE_KINDS, Episode, Evaluation, FailureKind, Retry, Segment, SegmentId, in_words
from cartwheel.results import Study
from cartwheel.retrying import Retries
from cartwheel.spec import FailuresSpec, StudySpec
from cartwheel.tuning import Running, tune
from snapshot import snapshot
from synthetic_executor import SyntheticBackend, SyntheticExecutor, small_spec

SEGMENT = Segment(1, 0, {}, 0, 2)
Luck = dict[str, list[FailureKind]]
EVALUATION = Evaluation(SEGMENT.id, 0, 2)


class Unlucky(SyntheticExecutor):
    """Items end badly, their next ``bad_luck`` times, in the middle of an episode; the class remembers."""

    bad_luck: Luck

    def next_outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        outcomes = super().next_outcomes(timeout_s)
        kept = [outcome for outcome in outcomes if outcome.item not in self._lost(outcomes)]
        return [*kept, *(self._loss(item) for item in self._lost(outcomes))]

    def _lost(self, outcomes: Sequence[Outcome]) -> list[Any]:
        late = [one for one in outcomes if isinstance(one, EpisodeDone) and one.episode.index >= 1]
        return [one.item for one in late if self.bad_luck.get(name_of(one.item))]

    def _loss(self, item: Any) -> ItemDone:
        self.lanes = [lane for lane in self.lanes if lane.work.item != item]
        kind = self.bad_luck[name_of(item)].pop(0)
        return ItemDone(item, "failed", "bad luck", 1.5, Episode(1, 0.0, 7), kind)


def name_of(item: Segment | Evaluation) -> str:
    return item.id if isinstance(item, Segment) else f"evaluation of {item.segment}"


def run(run_dir: Path, bad_luck: Luck, spec: StudySpec | None = None) -> tuple[Study, list[Work]]:
    backend = SyntheticBackend()
    backend.executor_class = type("Cursed", (Unlucky,), {"bad_luck": bad_luck})
    study = tune(spec or small_spec(), run_dir, Running(backend=backend))
    return study, backend.made[0].submitted


def comparable(run_dir: Path) -> dict[str, Any]:
    """What must not depend on luck: everything but the count of retries, and the order in which things ended."""
    tables = {name: rows for name, rows in snapshot(run_dir).items() if name not in ("retries", "study file")}
    return {name: sorted(map(_without_number, rows)) for name, rows in tables.items()}


def _without_number(row: Any) -> str:
    return repr({key: value for key, value in row.items() if key != "number"} if isinstance(row, dict) else row)


def test_a_study_with_retries_ends_bit_for_bit_like_one_without(tmp_path: Path) -> None:
    """Losses of three kinds in segments and in a validation: the same tables, events, digests and files."""
    run(tmp_path / "calm", {})
    luck: Luck = {
        "0.0": ["worker_lost", "worker_lost"],
        "2.1": ["timeout", "out_of_memory"],
        "evaluation of 0.1": ["worker_lost"],
    }
    study, submitted = run(tmp_path / "stormy", luck)
    assert comparable(tmp_path / "stormy") == comparable(tmp_path / "calm")
    assert study.num_failed == 0
    assert num_retried_by_kind(study.tables) == {"worker lost": 3, "timeout": 1, "out of memory": 1}
    assert not num_failed_by_kind(study.tables)
    attempts = [work for work in submitted if isinstance(work.item, Segment) and work.item.id == "0.0"]
    assert len({(work.seed, work.item.id) for work in attempts}) == 1
    assert [work.next_episode for work in attempts] == [0, 1, 1]  # from the newest committed checkpoint


def test_the_cost_of_retries_is_counted(tmp_path: Path) -> None:
    """Env steps of attempts that were lost were spent: those of segments in training, those of evaluations there."""
    from cartwheel.analysis.tables import counts

    calm, _ = run(tmp_path / "calm", {})
    stormy, _ = run(tmp_path / "stormy", {"0.0": ["timeout"], "evaluation of 0.1": ["timeout"]})
    assert counts(stormy.tables).env_steps == counts(calm.tables).env_steps + 7
    assert counts(stormy.tables).evaluation_env_steps == counts(calm.tables).evaluation_env_steps + 7


@pytest.mark.parametrize("kind", FAILURE_KINDS)
def test_every_kind_ends_as_a_failure_on_record(tmp_path: Path, kind: FailureKind) -> None:
    """After as many retries as the study allows; the member is replaced, and siblings are what they were."""
    calm, _ = run(tmp_path / "calm", {})
    study, submitted = run(tmp_path / "run", {"1.0": [kind] * 50})
    allowed = small_spec().failures.retries.get(kind, 0)
    assert sum(work.item == study.tables.segments[SegmentId("1.0")] for work in submitted) == allowed + 1
    report = study.tables.reports[SegmentId("1.0")]
    assert (report.status, report.kind, report.reason) == ("failed", kind, "bad luck")
    assert num_failed_by_kind(study.tables) == {in_words(kind): 1}
    assert sum(num_retried_by_kind(study.tables).values()) == allowed
    assert study.tables.segments[SegmentId("1.1")].origin == "copy"
    for sibling in ("0.0", "2.0"):
        assert study.tables.reports[SegmentId(sibling)] == calm.tables.reports[SegmentId(sibling)]


def test_a_loop_of_crashes_ends(tmp_path: Path) -> None:
    """Retries are counted in the database: a study that is stopped after each still gives up after so many."""
    spec = small_spec(failures={"worker_lost": 3})
    num_runs = 0
    for num_runs in range(1, 20):  # noqa: B007 - read below
        backend = SyntheticBackend()
        backend.executor_class = type("Cursed", (Unlucky,), {"bad_luck": {"0.0": ["worker_lost"] * 50}})
        looks = iter([False, False, True])
        stop = Running(backend=backend, should_stop=lambda looks=looks: next(looks, True))  # type: ignore[misc]
        study = tune(spec, tmp_path, stop)
        if SegmentId("0.0") in study.tables.reports:
            break
    assert num_runs > 1
    assert len(study.tables.retries) == 3
    assert study.tables.reports[SegmentId("0.0")].kind == "worker_lost"


def test_an_evaluation_that_keeps_failing_ranks_worst(tmp_path: Path) -> None:
    """It is counted by its kind, and another finalist is the incumbent."""
    calm, _ = run(tmp_path / "calm", {})
    best = calm.best.segment
    study, _ = run(tmp_path / "run", {f"evaluation of {best}": ["timeout"] * 50})
    assert study.best.segment != best
    assert num_failed_by_kind(study.tables) == {"timeout": 1}


def test_a_retry_says_so(tmp_path: Path) -> None:
    """One message with segment, number, kind and reason."""
    told: list[str] = []

    class Listener:
        def __getattr__(self, name: str) -> Any:
            return told.append if name == "on_message" else lambda *_: None

    backend = SyntheticBackend()
    backend.executor_class = type("Cursed", (Unlucky,), {"bad_luck": {"1.0": ["worker_lost"]}})
    tune(small_spec(), tmp_path, Running((Listener(),), backend=backend))
    assert "segment 1.0 is tried again (1 of 2) after worker lost: bad luck" in told


def test_the_policy_may_change_when_a_study_goes_on(tmp_path: Path) -> None:
    """It decides about no result of what ends well."""
    run(tmp_path, {})
    assert run(tmp_path, {}, small_spec(failures={"timeout": 7}))[0].is_done


def test_what_is_certain_to_happen_again_is_not_tried_by_default() -> None:
    """Retries are for what can pass."""
    never = {kind for kind in FAILURE_KINDS if not FailuresSpec().retries.get(kind, 0)}
    assert never == {"unstable_physics", "non_finite_training", "diverged_model", "unusable_config"}


def test_retries_are_counted_by_item_and_kind() -> None:
    """One of each kind for each item, past ones included; what ended well passes."""
    retries = Retries({"timeout": 1, "worker_lost": 1}, [Retry(SEGMENT.id, None, "timeout", "", 0.0)])
    lost, late = (ItemDone(SEGMENT, "failed", "", 0.0, kind=kind) for kind in ("worker_lost", "timeout"))
    played, fine = ItemDone(EVALUATION, "failed", "", 0.0, kind="timeout"), ItemDone(SEGMENT, "done", "", 0.0)
    assert retries.split([lost, late, played, fine]) == (
        [late, fine],
        [Retry(SEGMENT.id, None, "worker_lost", "", 0.0), Retry(SEGMENT.id, EVALUATION, "timeout", "", 0.0)],
    )
    assert retries.split([lost]) == ([lost], [])
