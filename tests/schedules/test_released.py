"""The paper's own files. ``CARTWHEEL_SCHEDULES`` names a folder with all 22; four of them are here."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.schedules.files import ScheduleFile, schedule_from_text
from cartwheel.schedules.fitting import simplify
from cartwheel.schedules.released import NAMES, ReleasedSchedule
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spaces.named import HALFCHEETAH, REACHER

HERE = Path(__file__).parents[1] / "data" / "learned_schedules"
FILES = sorted(Path(os.environ.get("CARTWHEEL_SCHEDULES", HERE)).glob("*.json"))


def text_of(name: str) -> str:
    return (HERE / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_released_file_round_trips_to_the_byte(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    released = ReleasedSchedule.from_text(text)
    assert released.to_text() == text
    schedule = released.schedule
    entries = json.loads(text)
    assert schedule.num_episodes == len(entries) - 1
    for episode in range(1, len(entries)):
        assert schedule.config_at(episode) == {NAMES[name]: value for name, value in entries[episode].items()}
    assert Schedule.from_text(schedule.to_text()) == schedule


def test_there_are_files_to_test() -> None:
    assert len(FILES) in (4, 22)


def test_what_a_file_says_in_our_words() -> None:
    """PBT's best halfcheetah: 1 random and 5 more episodes, then 5 each; the pieces end where members copied."""
    schedule = schedule_from_text(text_of("halfcheetah_pbt_model_train_incumbent"))
    assert [piece.stop for piece in schedule.pieces] == [5, 10, 55, 80, 100, 300]
    assert schedule.pieces[0].config.keys() == {"learning_rate", "weight_decay", "num_epochs"}
    reacher = schedule_from_text(text_of("reacher_pbt_planning_incumbent"))
    assert reacher.pieces[0].config.keys() == {"plan_horizon", "num_iterations", "num_samples", "elite_ratio", "alpha"}


def test_the_papers_values_lie_in_its_spaces() -> None:
    """And an average of 81 pieces is told in fewer, the more of them the nearer."""
    space = HALFCHEETAH.select("model")
    for piece in schedule_from_text(text_of("halfcheetah_pbt_model_train_incumbent")).pieces:
        space.check(piece.config)
    averaged = schedule_from_text(text_of("reacher_pbt_model_train_top_avg"))
    assert len(averaged.pieces) == 81
    errors = [simplify(averaged, REACHER.select("model"), num_pieces).rms_error for num_pieces in (1, 2, 4, 10, 81)]
    assert errors == sorted(set(errors), reverse=True)
    lines = [simplify(averaged, REACHER.select("model"), n, "linear").rms_error for n in (1, 2, 4, 10)]
    assert all(line < constant for line, constant in zip(lines, errors, strict=False))
    assert errors[-1] == 0.0


def test_our_own_files_are_read_as_well() -> None:
    ours = Schedule((Piece(0, 3, {"alpha": 0.1}), Piece(3, 5, {"alpha": 0.2})))
    assert schedule_from_text(ours.to_text()) == ours


def test_the_command_line_takes_them() -> None:
    path = HERE / "reacher_hb_model_train.json"
    assert ScheduleFile(path).read() == schedule_from_text(path.read_text(encoding="utf-8"))


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(1e-5, 1.0)), min_size=1, max_size=6))
def test_a_schedule_survives_the_released_format(rows: list[tuple[int, float]]) -> None:
    stops = [sum(length for length, _ in rows[: i + 1]) for i in range(len(rows))]
    pieces = [
        Piece(stop - length, stop, {"learning_rate": rate, "num_epochs": length})
        for stop, (length, rate) in zip(stops, rows, strict=True)
    ]
    schedule = Schedule(tuple(pieces))
    again = ReleasedSchedule.from_text(ReleasedSchedule.from_schedule(schedule).to_text()).schedule
    assert again.num_episodes == schedule.num_episodes
    assert all(again.config_at(e) == schedule.config_at(e) for e in range(schedule.num_episodes + 1))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[]", "needs the random episode and at least one more, got 0 entries"),
        ('[{"plan_hor": 3}]', "got 1 entries"),
        ('{"plan_hor": 3}', "it must be a list of objects"),
        ("[1, 2]", "it must be a list of objects"),
        ('[{"plan_hor": 3}, {"plan_ho": 3}]', "entry 1: no hyperparameter 'plan_ho': did you mean 'plan_hor'"),
        ('[{"plan_hor": 3}, {"cem_alpha": 0.1}]', "entry 1 has other hyperparameters than the first"),
        ('[{"plan_hor": [3]}, {"plan_hor": 3}]', "plan_horizon|plan_hor must be a finite number"),
        ('[{"plan_hor": NaN}, {"plan_hor": 3}]', "NaN is not a number"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        ReleasedSchedule.from_text(text)


def test_the_format_cannot_hold_what_the_paper_did_not_tune() -> None:
    schedule = Schedule((Piece(0, 2, {"noise_exponent": 2.0}),))
    with pytest.raises(ValueError, match="the format has no 'noise_exponent'; it has learning_rate"):
        ReleasedSchedule.from_schedule(schedule).to_text()
