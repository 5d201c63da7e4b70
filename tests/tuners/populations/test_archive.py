from hypothesis import given
from hypothesis import strategies as st

from cartwheel.records import segment_id
from cartwheel.tuners.populations.archive import Archive, Record


def archived(size: int, *rows: tuple[int, int, float]) -> Archive:
    """Rows of (trial, age, score); a segment is named by its trial and age."""
    archive = Archive(size)
    for trial, age, score in rows:
        archive.add(Record(trial, segment_id(trial, age), age, score))
    return archive


def best(archive: Archive, max_age: float = 99) -> list[tuple[int, int]]:
    return [(record.trial, record.age) for record in archive.best(max_age)]


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
    assert archive.segments() == [segment_id(0, 77)]
    archive.add(Record(0, segment_id(0, 78), 4, 7.0))
    assert archive.segments() == [segment_id(0, 77)]


def test_what_failed_is_not_archived() -> None:
    assert archived(1, (0, 2, float("-inf"))).segments() == []


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
    assert len(archived(2, *rows).segments()) <= 9
