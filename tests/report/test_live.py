"""What is shown of a running study: a live table, plain lines, JSON lines, nothing. All fold the same progress."""

import errno
import io
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cartwheel.analysis.tables import StudyTables, counts, ranking, segment_score
from cartwheel.observer import Observer
from cartwheel.records import Episode, Evaluation, Event, Issued, Reported, SegmentId
from cartwheel.report.live import MAX_ROWS, TableView, make_view
from cartwheel.report.plain import JsonView, LineView, QuietView
from cartwheel.report.progress import Progress
from cartwheel.store.reading import KeptEvaluation
from cartwheel.tuning import Running, tune
from made_up_study import made_up_study
from synthetic_executor import SyntheticBackend, small_spec


def seconds() -> Iterator[float]:
    """A clock that moves on by a second whenever it is read."""
    now = 0.0
    while True:
        now += 1.0
        yield now


def drive(view: Observer, tables: StudyTables) -> None:
    """Tell a view a whole study, generation by generation, as the loop would."""
    view.on_begin([])
    view.on_message("compiling for cpu device 0")
    view.on_message("compiled for cpu device 0 in 12.0 s")
    for generation in range(1 + max(segment.index for segment in tables.segments.values())):
        segments = [segment for segment in tables.segments.values() if segment.index == generation]
        for segment in segments:
            view.on_issued(segment)
        for segment in segments:
            for episode in tables.episodes[segment.id]:
                view.on_episode(segment, episode)
            if segment.id in tables.reports:
                view.on_report(tables.reports[segment.id])
    evaluation = Evaluation(SegmentId("2.5"), 1, 2)
    episodes = (Episode(0, 140.0, 200), Episode(1, 150.0, 200))
    for episode in episodes:
        view.on_episode(evaluation, episode)
    view.on_evaluation(KeptEvaluation(evaluation, "done", episodes, 1.0, ""))


def lines_of(tables: StudyTables) -> list[str]:
    stream = io.StringIO()
    drive(LineView(Progress(104), "member", stream, seconds().__next__), tables)
    return stream.getvalue().splitlines()


def test_progress_agrees_with_the_tables_of_the_same_study() -> None:
    """Scores, counts and the best: the live view and the report say the same."""
    tables, progress = made_up_study(), Progress(104)
    drive(LineView(progress, "member", io.StringIO(), seconds().__next__), tables)
    count = counts(tables)
    assert progress.num_episodes == count.num_episodes
    assert progress.num_copies == count.num_copies
    assert progress.failures == {"diverged": 1, "failed": 1}
    for segment in ranking(tables):
        member = progress.members[tables.segments[segment].trial]
        assert member.score == pytest.approx(segment_score(tables, segment))
    assert progress.best is not None
    assert progress.best.trial == tables.segments[ranking(tables)[0]].trial


def test_a_resumed_study_knows_its_past() -> None:
    """Told the events of the past, progress is where it would be without the interruption."""
    tables = made_up_study(with_trouble=False)
    events: list[Event] = []
    for segment in tables.segments.values():
        events += [Issued(segment), Reported(tables.reports[segment.id])]
    resumed, told = Progress(208), Progress(208)
    resumed.begin(events, 100.0)
    drive(LineView(told, "member", io.StringIO(), seconds().__next__), tables)
    assert resumed.members == told.members
    assert (resumed.num_episodes, resumed.num_copies) == (told.num_episodes, told.num_copies)
    assert resumed.eta_s(101.0) is None


def test_old_episodes_do_not_count_in_the_pace() -> None:
    """10 of 20 episodes are from the past, one of them told again at once; 2 new ones took 4 s: 16 s for 8 more."""
    segment = made_up_study(num_members=1, num_episodes=19, with_trouble=False).segments[SegmentId("0.0")]
    progress = Progress(20)
    progress.begin([Issued(segment)], 50.0)
    for index in range(10):
        progress.add_episode(segment, Episode(index, 1.0, 1), 50.1)
    progress.add_episode(segment, Episode(9, 1.0, 1), 50.1)
    for index in (10, 11):
        progress.add_episode(segment, Episode(index, 1.0, 1), 54.0)
    assert progress.num_episodes == 12
    assert progress.eta_s(54.0) == pytest.approx(16.0)


def test_lines_tell_each_event_once() -> None:
    lines = lines_of(made_up_study())
    assert lines[0] == "compiling for cpu device 0 ... (a first run takes longest: later ones find it in the cache)"
    assert lines[2].startswith("member 0 random episode: return 5.374 (1 of 104 episodes")
    assert sum(": return " in line and line.startswith("member") for line in lines) == 103
    assert sum(" copied member " in line for line in lines) == 10
    assert "segment 5.3 failed (unstable physics): MuJoCo: Nan, Inf or huge value in QACC at DOF 0" in lines
    assert "segment 2.2 diverged (non-finite training): return is not finite" in lines
    assert lines[-1] == "validation of segment 2.5: mean 145.0 of 2"
    assert not any("\x1b" in line for line in lines)


def test_a_message_stays_on_its_line() -> None:
    stream = io.StringIO()
    LineView(Progress(), "trial", stream).on_message("two\nlines\r\x1b[2J")
    assert stream.getvalue() == "two lines [2J\n"


def test_json_lines_are_json_without_nan() -> None:
    stream = io.StringIO()
    drive(JsonView(stream), made_up_study())

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    objects = [json.loads(line, parse_constant=refuse) for line in stream.getvalue().splitlines()]
    kinds = [told["event"] for told in objects]
    assert (kinds.count("issued"), kinds.count("episode"), kinds.count("report")) == (48, 103, 47)
    assert [told["segment"] for told in objects if told["event"] == "episode" and told["return"] is None] == ["2.2"]
    assert objects[-1] == {
        "event": "evaluation", "segment": "2.5", "status": "done", "kind": None, "reason": "",
        "returns": [140.0, 150.0],
    }  # fmt: skip


def table_text(tables: StudyTables, width: int = 90, noun: str = "member") -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    view = TableView(Progress(104), noun, console, seconds().__next__)
    drive(view, tables)
    with console.capture() as capture:
        console.print(view.renderable())
    return capture.get()


def test_the_table_has_a_row_per_member_and_the_totals() -> None:
    text = table_text(made_up_study())
    rows = [line.split() for line in text.splitlines() if line.strip()[:1].isdigit() and " of 12 " in line]
    assert [row[0] for row in rows] == [str(trial) for trial in range(8)]
    assert rows[2] == ["2", "5", "12", "of", "12", "137.7", "142.3", "done"]
    assert rows[7][-1] == "running"
    assert "best 142.3 by member 2" in text
    assert "103 of 104 episodes" in text
    assert " left" in text
    assert "10 copies made" in text
    assert "1 segment diverged   1 segment failed" in text


def test_a_copying_member_says_whom() -> None:
    tables = made_up_study()
    view = TableView(Progress(), "member", Console(file=io.StringIO(), width=90), seconds().__next__)
    view.on_begin([])
    for segment in tables.segments.values():
        view.on_issued(segment)
        if segment.id == "1.1":
            break
    console = Console(file=io.StringIO(), width=90)
    with console.capture() as capture:
        console.print(view.renderable())
    assert "copied member 4" in capture.get()


def test_a_large_population_shows_its_best() -> None:
    text = table_text(made_up_study(num_members=MAX_ROWS + 8, with_trouble=False))
    assert text.count(" of 12 ") == MAX_ROWS
    assert "and 8 more" in text
    assert "best" in text


def test_what_compiles_is_shown_with_its_seconds_until_it_is_over() -> None:
    """By device, whatever else is said meanwhile."""
    view = TableView(Progress(), "member", Console(file=io.StringIO(), width=120), seconds().__next__)
    console = Console(file=io.StringIO(), width=200)
    shown = []
    for message in (
        "compiling for cpu device 0",
        "worker 1: compiling for cpu device 0",
        "checkpoints will take up to 1 MB",
        "compiled for cpu device 0 in 12.0 s",
        "worker 1: compiled for cpu device 0 in 12.5 s",
    ):
        view.on_message(message)
        with console.capture() as capture:
            console.print(view.renderable())
        shown.append(re.findall(r"(worker \d: )?(cpu device \d) \(([\d.]+) s\)", capture.get()))
    first, second = ("", "cpu device 0"), ("worker 1: ", "cpu device 0")
    assert [[row[:2] for row in rows] for rows in shown] == [[first], [first, second], [first, second], [second], []]
    waited = [float(rows[-1][2]) for rows in shown[1:4]]
    assert waited == sorted(set(waited))


@pytest.mark.timeout(30)  # it waits for what it expects to read
def test_a_terminal_counts_while_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What compiles takes the study's time: the terminal shows that it is not dead, without being told anything."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    leader, follower = os.openpty()
    with open(follower, "w", encoding="utf-8") as terminal, make_view(stream=terminal) as view:
        assert isinstance(view, TableView)
        view.on_message("compiling for cpu device 0")
        shown = b""
        while len(set(re.findall(rb"cpu device 0 \(([\d.]+) s\)", shown))) < 3:
            shown += os.read(leader, 65536)
    os.close(leader)


class ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_nobody_reading_does_not_stop_a_study() -> None:
    drive(LineView(Progress(), "member", ClosedPipe(), seconds().__next__), made_up_study())
    drive(JsonView(ClosedPipe()), made_up_study())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class GoneTerminal(Terminal):
    def write(self, text: str) -> int:
        raise OSError(errno.EIO, text)


def test_a_terminal_that_has_gone_does_not_stop_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with make_view(stream=GoneTerminal()) as view:
        assert isinstance(view, TableView)
        drive(view, made_up_study())


def test_the_view_fits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_view(stream=Terminal()), TableView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view(stream=Terminal()), LineView)
    assert isinstance(make_view(stream=io.StringIO()), LineView)
    assert isinstance(make_view(stream=io.StringIO(), is_json=True), JsonView)
    assert isinstance(make_view(stream=Terminal(), is_quiet=True), QuietView)


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with make_view(is_quiet=True) as view:
        drive(view, made_up_study())
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_real_study_is_watched_from_begin_to_end(tmp_path: Path) -> None:
    """The loop tells what the view expects, also when it goes on with an extended study."""
    for num_episodes, expected in ((4, 15), (6, 21)):
        stream = io.StringIO()
        progress = Progress(21)
        view = LineView(progress, "member", stream)
        running = Running(observers=[view], backend=SyntheticBackend())
        study = tune(small_spec(num_episodes=num_episodes), tmp_path / "run", running)
        assert progress.num_episodes == expected == counts(study.tables).num_episodes
        assert "validation of segment" in stream.getvalue()
        assert progress.best is not None
        assert math.isfinite(progress.best.score)
    assert "resuming after 15 episodes" in stream.getvalue()
