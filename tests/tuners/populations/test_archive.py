from hypothesis import given
from hypothesis import strategies as st

from cartwheel.records import SegmentId, segment_id
from cartwheel.tuners.populations.archive import Archive, Record


def archived(size: int, *rows: tuple[int, int, float]) -> Archive:
    """Rows of (trial, age, score); a segment is named by its trial and age."""
    archive = Archive(size)
    for trial, age, score in rows:
        archive.add(Record(trial, segment_id(trial, age), age, score))
    return archive


def best(archive: Archive, max_age: float = 99) -> list[tuple[int, int]]:
    return [(record.trial, record.age) for record in archive.best(max_age)]


def segments(archive: Archive) -> list[SegmentId]:
    """Everything that may be returned to at some age."""
    return [record.segment for record in archive.best_from(0)]


def test_each_members_best_and_of_these_the_best() -> None:
    archive = archived(2, (0, 2, 5.0), (0, 4, 9.0), (0, 6, 7.0), (1, 2, 8.0), (2, 2, 6.0))
    assert best(archive) == [(0, 4), (1, 2)]


def test_only_what_was_reached_up_to_an_age() -> None:
    archive = archived(2, (0, 2, 5.0), (0, 4, 9.0), (1, 3, 8.0), (2, 2, 4.0), (3, 1, 1.0))
    assert best(archive, 4) == [(0, 4), (1, 3)]
    assert best(archive, 3) == [(1, 3), (0, 2)]
    assert best(archive, 1) == [(3, 1)]
    assert best(archive, 0) == []


def test_ties_go_to_the_older_trial_and_the_younger_agent() -> None:
    archive = archived(3, (1, 2, 5.0), (0, 2, 5.0), (0, 4, 5.0))
    assert best(archive) == [(0, 2), (1, 2)]


def test_an_age_reached_again_keeps_the_better_checkpoint() -> None:
    archive = archived(3, (0, 4, 5.0), (0, 6, 6.0))
    archive.add(Record(0, segment_id(0, 77), 4, 7.0))
    assert segments(archive) == [segment_id(0, 77)]
    archive.add(Record(0, segment_id(0, 78), 4, 7.0))
    assert segments(archive) == [segment_id(0, 77)]


def test_what_failed_is_not_archived() -> None:
    assert segments(archived(1, (0, 2, float("-inf")))) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(-3, 3).map(float)), max_size=40))
def test_it_answers_as_if_everything_had_been_kept(rows: list[tuple[int, int, float]]) -> None:
    archive = archived(2, *rows)
    for max_age in range(10):
        tops = {t: max(s for trial, age, s in rows if trial == t and age <= max_age)
                for t in {trial for trial, age, _ in rows if age <= max_age}}  # fmt: skip
        expected = sorted(((-score, trial) for trial, score in tops.items()))[:2]
        assert [(-record.score, record.trial) for record in archive.best(max_age)] == expected
        assert all(record.age <= max_age for record in archive.best(max_age))


@given(st.lists(st.tuples(st.just(0), st.integers(1, 9), st.integers(-9, 9).map(float)), max_size=60))
def test_it_keeps_at_most_one_per_age_of_each_member(rows: list[tuple[int, int, float]]) -> None:
    assert len(segments(archived(2, *rows))) <= 9


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(-3, 3).map(float)), max_size=20)


@given(before=ROWS, after=ROWS, age=st.integers(0, 9))
def test_what_left_for_an_age_never_comes_back(
    before: list[tuple[int, int, float]], after: list[tuple[int, int, float]], age: int
) -> None:
    """So a checkpoint that is in no answer from an age on can be dropped, if members do not grow younger."""
    archive, later = archived(2, *before), archived(2, *before, *after)
    # a row that came later may stand for a segment of before under the same name: it is not the same record
    known = {(trial, age_, score) for trial, age_, score in before}
    for asked in range(age, 10):
        old = [r for r in later.best(asked) if (r.trial, r.age, r.score) in known - {*after}]
        assert {r.segment for r in old} <= {r.segment for r in archive.best_from(age)}
