"""The loop: what is committed when, how a study goes on after any interruption, what is counted as what."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cartwheel.errors import AllTrialsFailed, AlreadyOwned, ConfigError, UsageError
from cartwheel.executors.work import EpisodeDone, ItemDone
from cartwheel.records import Episode, Evaluation, Event, Issued, Report, Reported, Segment, segment_id
from cartwheel.results import Study
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.store.database import Database
from cartwheel.store.reading import KeptEvaluation
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuning import RERUNS, Running, rerun, spec_of, train, tune
from snapshot import snapshot
from synthetic_executor import LENGTH, SyntheticBackend, SyntheticExecutor, segment_ids, small_spec


class Killed(BaseException):
    """Stands for the end of the process."""


class Fuse:
    """Ends the process at the n-th durable step: before or after a file is written, a commit, or a deletion."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.num_passed = 0
        execute, write, delete = Database.execute, CheckpointStore.write, CheckpointStore.delete

        def fused_execute(database: Database, sql: str, *parameters: Any) -> int:
            if sql != "COMMIT":
                return execute(database, sql, *parameters)
            self.step()
            result = execute(database, sql, *parameters)
            self.step()
            return result

        def fused_write(*arguments: Any) -> Any:
            self.step()
            stored = write(*arguments)
            self.step()
            return stored

        def fused_delete(*arguments: Any) -> None:
            self.step()
            delete(*arguments)

        monkeypatch.setattr(Database, "execute", fused_execute)
        monkeypatch.setattr(CheckpointStore, "write", fused_write)
        monkeypatch.setattr(CheckpointStore, "delete", fused_delete)

    def step(self) -> None:
        self.num_passed += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def light(self, num_steps: int) -> None:
        self.left = num_steps

    def put_out(self) -> None:
        self.left = None


def run(run_dir: Path, spec: StudySpec | None = None, **settings: Any) -> tuple[Study, SyntheticExecutor]:
    """A synthetic study to its end, and the executor that ran it."""
    backend = SyntheticBackend(**settings)
    study = tune(spec or small_spec(), run_dir, Running(backend=backend))
    return study, backend.made[0]


def test_a_study_ends_with_everything_on_record(tmp_path: Path) -> None:
    """Every issued segment is reported once, its episodes are complete, and the three best are validated."""
    study, executor = run(tmp_path)
    tables = study.tables
    assert study.is_done
    assert study.num_failed == 0
    assert list(tables.segments) == [segment_id(trial, index) for index in range(2) for trial in range(3)]
    for id_, segment in tables.segments.items():
        indices = [episode.index for episode in tables.episodes[id_]]
        assert indices == list(range(segment.first_episode, segment.stop + 1))
        assert tables.reports[id_].episodes == tables.episodes[id_]
    assert len(tables.evaluations) == 3
    assert all(len(result.returns) == 2 for result in tables.evaluations)
    assert executor.is_closed


def test_nothing_runs_before_it_is_committed(tmp_path: Path) -> None:
    """When an executor is handed a segment, another process can already read that it was issued."""
    seen: list[bool] = []

    class Suspicious(SyntheticExecutor):
        def submit(self, work: Any) -> None:
            if isinstance(work.item, Segment):
                with RunFolder.to_read(tmp_path) as folder:
                    seen.append(Issued(work.item) in folder.read.events())
            super().submit(work)

    backend = SyntheticBackend()
    backend.executor_class = Suspicious
    tune(small_spec(), tmp_path, Running(backend=backend))
    assert len(seen) == 6
    assert all(seen)


def test_randomness_is_addressed_by_names_that_never_meet(tmp_path: Path) -> None:
    """Tuning uses (seed, "tune", segment), validation ("validation", seed), reruns ("test", test seed)."""
    _, executor = run(tmp_path)
    for work in executor.submitted:
        expected = (3, "tune", work.item.id) if isinstance(work.item, Segment) else ("validation", 3)
        assert work.seed == expected
    backend = SyntheticBackend()
    rerun(tmp_path, num_seeds=2, running=Running(backend=backend))
    seeds = {work.seed for work in backend.made[0].submitted}
    assert seeds == {("test", 0), ("test", 1), ("test-evaluation", 0), ("test-evaluation", 1)}


def test_a_copy_starts_from_the_checkpoint_of_its_source(tmp_path: Path) -> None:
    """What a segment starts from is the final checkpoint of the segment that its sources name."""
    study, executor = run(tmp_path)
    followers = [work for work in executor.submitted if isinstance(work.item, Segment) and work.item.parent]
    assert {work.item.origin for work in followers if isinstance(work.item, Segment)} == {"continue", "copy"}
    for work in followers:
        assert isinstance(work.item, Segment)
        assert work.item.parent is not None
        assert work.start_from is not None
        assert work.start_from.weights == study.tables.reports[work.item.parent].checkpoint


def test_running_a_finished_study_again_changes_nothing(tmp_path: Path) -> None:
    """The same command twice is harmless, and runs nothing."""
    run(tmp_path)
    before = snapshot(tmp_path)
    _, executor = run(tmp_path)
    assert executor.submitted == []
    assert snapshot(tmp_path) == before


def interrupted_and_resumed(run_dir: Path, fuse: Fuse, num_steps: int, **settings: Any) -> None:
    fuse.light(num_steps)
    with pytest.raises(Killed):
        run(run_dir, two_members(), **settings)
    fuse.put_out()
    run(run_dir, two_members(), **settings)


def two_members() -> StudySpec:
    return small_spec(tuner={"name": "pbt", "population": 2}, num_episodes=3, validation={"num_episodes": 1})


def test_resumed_equals_uninterrupted_wherever_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any durable step, the study ends with the same tables, events, digests and files, bit for bit."""
    fuse = Fuse(monkeypatch)
    run(tmp_path / "whole", two_members(), failures={"1.1": 0})
    expected, num_steps = snapshot(tmp_path / "whole"), fuse.num_passed
    assert num_steps > 50
    for step in range(num_steps):
        interrupted_and_resumed(tmp_path / str(step), fuse, step, failures={"1.1": 0})
        assert snapshot(tmp_path / str(step)) == expected, f"killed at step {step}"


def test_an_end_that_was_lost_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last episode of an item and the news of its end, nothing is run twice and all is reported."""
    fuse = Fuse(monkeypatch)
    run(tmp_path / "whole", two_members(), is_split=True)
    expected, num_steps = snapshot(tmp_path / "whole"), fuse.num_passed
    for step in range(0, num_steps, 5):
        interrupted_and_resumed(tmp_path / str(step), fuse, step, is_split=True)
        assert snapshot(tmp_path / str(step)) == expected, f"killed at step {step}"


def test_no_acknowledged_episode_is_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill, a segment goes on behind its last committed episode, under the same id and names."""
    fuse = Fuse(monkeypatch)
    fuse.light(17)
    with pytest.raises(Killed):
        run(tmp_path)
    with RunFolder.to_read(tmp_path) as folder:
        committed = {segment.id: folder.read.num_episodes(segment.id) for segment in folder.read.open_segments()}
    assert set(committed.values()) == {1}
    fuse.put_out()
    _, executor = run(tmp_path)
    resumed = [work for work in executor.submitted if isinstance(work.item, Segment)][: len(committed)]
    assert {work.item.id: work.next_episode for work in resumed if isinstance(work.item, Segment)} == committed


def test_a_stop_leaves_a_study_that_resumes(tmp_path: Path) -> None:
    """Stopped over and over after every look, the study still ends like one that never was."""
    run(tmp_path / "whole")
    for _ in range(100):
        looks = iter([False, False, True])
        running = Running(backend=SyntheticBackend(), should_stop=lambda looks=looks: next(looks))  # type: ignore[misc]
        if tune(small_spec(), tmp_path / "stopped", running).is_done:
            break
    assert snapshot(tmp_path / "stopped") == snapshot(tmp_path / "whole")


def test_max_hours_stops_resumably(tmp_path: Path) -> None:
    """No time at all: nothing has run, nothing is lost, and the next command begins where it stood."""
    study = tune(small_spec(), tmp_path, Running(backend=SyntheticBackend(), max_hours=0.0))
    assert not study.is_done
    assert study.tables.segments == {}
    assert run(tmp_path)[0].is_done


KILLED_STUDY = """
import sys, time
from pathlib import Path
from synthetic_executor import SyntheticBackend, SyntheticExecutor, small_spec
from cartwheel.tuning import Running, tune

class Acknowledging:
    def on_begin(self, past): pass
    def on_issued(self, segment): pass
    def on_report(self, report): pass
    def on_evaluation(self, result): pass
    def on_message(self, message): pass
    def on_episode(self, item, episode):
        name = getattr(item, "id", None)
        if name is not None:
            print(name, episode.index, repr(episode.return_), flush=True)

print("ready", flush=True)
tune(small_spec(num_episodes=8), Path(sys.argv[1]), Running((Acknowledging(),), backend=SyntheticBackend()))
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed with SIGKILL at three moments: every episode that was announced is there, and the end is the same."""
    spec = small_spec(num_episodes=8)
    run(tmp_path / "whole", spec)
    run_dir, announced = tmp_path / "killed", set()
    for delay_s in (0.0, 0.03, 0.08):
        announced |= killed_after(run_dir, delay_s)
        with RunFolder.to_read(run_dir) as folder:
            episodes = folder.read.all_episodes()
        stored = {(id_, episode.index, episode.return_) for id_, ran in episodes.items() for episode in ran}
        assert announced <= stored
    run(run_dir, spec)
    assert snapshot(run_dir) == snapshot(tmp_path / "whole")


def killed_after(run_dir: Path, delay_s: float) -> set[tuple[str, int, float]]:
    """Episodes that a study announced before SIGKILL, sent that long after its first one."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_STUDY, str(run_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert lines[0] == "ready\n"
    whole = [line.split() for line in lines[1:] if line.endswith("\n")]
    return {(name, int(index), float(value)) for name, index, value in whole}


def test_a_failed_segment_does_not_stop_the_study(tmp_path: Path) -> None:
    """It is on record with its reason and the episodes it ran, ranks worst, and its member is replaced."""
    study, _ = run(tmp_path, failures={"1.0": 1})
    report = study.tables.reports[segment_id(1, 0)]
    assert (report.status, report.reason, report.checkpoint) == ("failed", "as asked", None)
    assert [episode.index for episode in report.episodes] == [0]
    assert study.num_failed == 1
    assert study.is_done
    assert study.tables.segments[segment_id(1, 1)].origin == "copy"


def test_when_all_fail_the_study_ends_and_says_so(tmp_path: Path) -> None:
    """No incumbent is made up."""
    spec = small_spec(tuner={"name": "random-search", "num_trials": 2})
    study, _ = run(tmp_path, spec, failures={"0.0": 0, "1.0": 2})
    assert study.is_done
    assert study.num_failed == 2
    with pytest.raises(AllTrialsFailed, match=f"all trials failed; see `cartwheel report {tmp_path}`"):
        _ = study.best


def test_a_study_that_has_hardly_begun_has_no_best(tmp_path: Path) -> None:
    """It may still get one."""
    study = tune(small_spec(), tmp_path, Running(backend=SyntheticBackend(), max_hours=0.0))
    with pytest.raises(UsageError, match="no trial of this study is done yet"):
        _ = study.best


def test_more_episodes_extend_a_finished_study(tmp_path: Path) -> None:
    """What was there stays as it was; trials go on from their last checkpoints; the best three are validated anew."""
    spec = small_spec(tuner={"name": "random-search", "num_trials": 3}, num_episodes=2)
    short, _ = run(tmp_path, spec)
    extended = spec.model_copy(update={"num_episodes": 5})
    longer, executor = run(tmp_path, extended)
    with RunFolder.to_read(tmp_path) as folder:
        assert spec_of(folder) == extended.with_space_defaults(spec.make_space().default)
    assert segment_ids(executor.submitted) == [segment_id(trial, 1) for trial in range(3)]
    for id_, episodes in short.tables.episodes.items():
        assert longer.tables.episodes[id_] == episodes
    assert longer.best.segment.endswith(".1")
    assert longer.best.validation_mean is not None
    further = extended.model_copy(update={"num_episodes": 6})
    stopped = tune(further, tmp_path, Running(backend=SyntheticBackend(), max_hours=0.0))
    assert not stopped.is_done


def test_another_study_is_refused(tmp_path: Path) -> None:
    """What differs is named, and the folder is left as it was. Fewer episodes are another study too."""
    run(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match=r"another study: seed: 3 -> 4"):
        run(tmp_path, small_spec(seed=4))
    with pytest.raises(ConfigError, match=r"num_episodes: 4 -> 3 \(it can only grow\)"):
        run(tmp_path, small_spec(num_episodes=3))
    with pytest.raises(ConfigError, match=r"kind: tune -> train"):
        train(small_spec(), one_piece(), tmp_path, Running(backend=SyntheticBackend()))
    assert snapshot(tmp_path) == before


def test_a_second_run_of_the_same_study_is_refused(tmp_path: Path) -> None:
    """While one process runs it; what that one does is not disturbed."""
    run(tmp_path)
    with RunFolder.to_write(tmp_path), pytest.raises(AlreadyOwned, match=f"process {os.getpid()}"):
        run(tmp_path)


@pytest.fixture
def half_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fuse = Fuse(monkeypatch)
    fuse.light(24)
    with pytest.raises(Killed):
        run(tmp_path / "half")
    fuse.put_out()
    return tmp_path / "half"


def test_a_damaged_rolling_checkpoint_is_never_used(half_run: Path) -> None:
    """The segment runs again from where it began, with the same results, and the user is told."""
    with RunFolder.to_read(half_run) as folder:
        kept = next(kept for kept in folder.read.checkpoints() if not kept.is_final)
    path = half_run / "checkpoints" / f"{kept.digest}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    watcher = Watcher()
    backend = SyntheticBackend()
    tune(small_spec(), half_run, Running((watcher,), backend=backend))
    assert any(kept.segment in message and kept.digest in message for message in watcher.messages)
    again = next(work for work in backend.made[0].submitted if getattr(work.item, "id", "") == kept.segment)
    assert isinstance(again.item, Segment)
    assert again.next_episode == again.item.first_episode
    run(half_run.parent / "whole")
    assert without_order(snapshot(half_run)) == without_order(snapshot(half_run.parent / "whole"))


def without_order(tables: dict[str, Any]) -> dict[str, Any]:
    """A segment that runs again reports later: its events have other places in the log."""
    return {**tables, "events": sorted(repr(row["event"]) for row in tables["events"])}


def test_a_damaged_final_checkpoint_is_never_used(tmp_path: Path) -> None:
    """It is made again before anybody goes on from it, and the user hears of it by name."""
    spec = small_spec(tuner={"name": "random-search", "num_trials": 1}, num_episodes=2, validation={"num_episodes": 0})
    study, _ = run(tmp_path, spec)
    (tmp_path / "checkpoints" / f"{study.best.checkpoint}.safetensors").write_bytes(b"gone wrong")
    watcher = Watcher()
    longer = spec.model_copy(update={"num_episodes": 3})
    tune(longer, tmp_path, Running((watcher,), backend=SyntheticBackend()))
    assert any(f"segment {study.best.segment} is not used" in message for message in watcher.messages)
    run(tmp_path.parent / "whole", spec)
    run(tmp_path.parent / "whole", longer)
    assert snapshot(tmp_path) == snapshot(tmp_path.parent / "whole")


class Watcher:
    """Writes down what an observer is told."""

    def __init__(self) -> None:
        self.past: list[Event] = []
        self.told: list[object] = []
        self.messages: list[str] = []

    def on_begin(self, past: Any) -> None:
        self.past = list(past)

    def on_issued(self, segment: Segment) -> None:
        self.told.append(segment)

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        self.told.append((item, episode.index))

    def on_report(self, report: Report) -> None:
        self.told.append(report)

    def on_evaluation(self, result: KeptEvaluation) -> None:
        self.told.append(result)

    def on_message(self, message: str) -> None:
        self.messages.append(message)


def test_observers_hear_everything_in_order(tmp_path: Path) -> None:
    """What is issued, every episode, every report and every evaluation, each once and after its commit."""
    watcher = Watcher()
    study = tune(small_spec(), tmp_path, Running((watcher,), backend=SyntheticBackend()))
    assert watcher.past == []
    covered, *disk_use = watcher.messages
    assert covered == "2 configs to cover"
    assert all(message.startswith("checkpoints will take up to ") for message in disk_use)
    assert [told for told in watcher.told if isinstance(told, Segment)] == list(study.tables.segments.values())
    reports = [told for told in watcher.told if isinstance(told, Report)]
    assert {report.segment: report for report in reports} == study.tables.reports
    evaluations = [told for told in watcher.told if isinstance(told, KeptEvaluation)]
    assert [kept.status for kept in evaluations] == ["done"] * 3
    num_episodes = sum(map(len, study.tables.episodes.values())) + 6
    assert sum(isinstance(told, tuple) for told in watcher.told) == num_episodes
    again = Watcher()
    tune(small_spec(), tmp_path, Running((again,), backend=SyntheticBackend()))
    assert sum(isinstance(event, Issued) for event in again.past) == 6
    assert sum(isinstance(event, Reported) for event in again.past) == 6


def test_the_loops_own_time_is_on_record(tmp_path: Path) -> None:
    """Every session says how long it ran and how much of that was asking, telling and storing."""
    run(tmp_path)
    run(tmp_path)
    with RunFolder.to_read(tmp_path) as folder:
        sessions = folder.read.sessions()
    assert len(sessions) == 2
    for session in sessions:
        assert session.pid == os.getpid()
        assert 0 <= session.times.commit_s < session.times.loop_s < session.times.wall_s


def test_the_incumbent_is_the_best_in_validation(tmp_path: Path) -> None:
    """Not the best by the score that it was selected with."""
    study, _ = run(tmp_path)
    means = {result.segment: sum(result.returns) / 2 for result in study.tables.evaluations}
    assert study.best.validation_mean == max(means.values())
    assert means[study.best.segment] == study.best.validation_mean
    assert study.best.config == study.tables.segments[study.best.segment].config


def test_results_as_tables(tmp_path: Path) -> None:
    """Lineage, schedule and the flat frame tell the same story."""
    study, _ = run(tmp_path)
    chain = study.lineage()
    assert chain[-1].id == study.best.segment
    assert chain[0].parent is None
    assert study.schedule().num_episodes == 4
    assert study.schedule().config_at(4) == study.best.config
    frame = study.to_frame()
    assert {len(column) for column in frame.values()} == {15}
    assert set(frame["length"]) == {LENGTH}
    assert sum(frame["is_random"]) == 3
    assert {"config.learning_rate", "metrics.loss", "return", "parent"} <= frame.keys()


def one_piece() -> Schedule:
    return Schedule((Piece(0, 3, {"learning_rate": 1e-3}),))


def test_a_rerun_is_no_tuning_data(tmp_path: Path) -> None:
    """It lives in the run folder, in a study of its own; the study it came from is untouched."""
    study, _ = run(tmp_path)
    before = snapshot(tmp_path)
    again = rerun(tmp_path, num_seeds=2, running=Running(backend=SyntheticBackend()))
    assert snapshot(tmp_path) == before
    assert again.run_dir == tmp_path / RERUNS / "found"
    assert [segment.origin for segment in again.tables.segments.values()] == ["rerun"] * len(again.tables.segments)
    assert again.tables.trials == [0, 1]
    assert {result.seed for result in again.tables.evaluations} == {0, 1}
    assert again.schedule() == study.schedule()


def test_a_rerun_resumes_and_takes_more_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, resumed and extended, it equals one that was asked for at once."""
    run(tmp_path)
    schedule = one_piece()
    rerun(tmp_path, schedule, name="whole", num_seeds=3, running=Running(backend=SyntheticBackend()))
    fuse = Fuse(monkeypatch)
    fuse.light(15)
    with pytest.raises(Killed):
        rerun(tmp_path, schedule, name="parts", num_seeds=2, running=Running(backend=SyntheticBackend()))
    fuse.put_out()
    for num_seeds in (2, 3):
        rerun(tmp_path, schedule, name="parts", num_seeds=num_seeds, running=Running(backend=SyntheticBackend()))
    whole, parts = (Study(tmp_path / RERUNS / name) for name in ("whole", "parts"))
    assert parts.tables.episodes == whole.tables.episodes
    assert parts.tables.evaluations == whole.tables.evaluations


def test_a_rerun_of_something_else_is_refused(tmp_path: Path) -> None:
    """The same name cannot stand for two schedules, and a name cannot lead out of the folder."""
    run(tmp_path)
    rerun(tmp_path, one_piece(), num_seeds=1, running=Running(backend=SyntheticBackend()))
    other = Schedule((Piece(0, 3, {"learning_rate": 1e-2}),))
    with pytest.raises(ConfigError, match="schedule"):
        rerun(tmp_path, other, num_seeds=1, running=Running(backend=SyntheticBackend()))
    with pytest.raises(UsageError, match="not a name"):
        rerun(tmp_path, other, name="../elsewhere", running=Running(backend=SyntheticBackend()))


def test_a_rerun_whose_training_failed_is_not_evaluated(tmp_path: Path) -> None:
    """The failure is counted; the other seeds go on."""
    run(tmp_path)
    backend = SyntheticBackend(failures={"0.0": 2})
    again = rerun(tmp_path, one_piece(), num_seeds=2, running=Running(backend=backend))
    assert again.num_failed == 1
    assert [result.seed for result in again.tables.evaluations] == [1]


def test_training_one_agent(tmp_path: Path) -> None:
    """One trial under the given schedule, with its own family of seeds, evaluated at its end."""
    backend = SyntheticBackend()
    study = train(small_spec(), one_piece(), tmp_path, Running(backend=backend))
    assert study.is_done
    assert [work.seed for work in backend.made[0].submitted] == [("train", 3), ("train-evaluation", 3)]


def test_a_segment_cannot_be_done_before_its_end(tmp_path: Path) -> None:
    """An executor that claims so is a defect, not a result."""

    class Hasty(SyntheticExecutor):
        def next_outcomes(self, timeout_s: float) -> Any:
            (first, *_) = super().next_outcomes(timeout_s)
            assert isinstance(first, EpisodeDone)
            return [first, ItemDone(first.item, "done", "", 0.0)]

    backend = SyntheticBackend()
    backend.executor_class = Hasty
    with pytest.raises(ValueError, match="is done after 1 of 3 episodes"):
        tune(small_spec(), tmp_path, Running(backend=backend))


def test_python_interface_is_there_and_light() -> None:
    """``cartwheel.tune`` and its companions are found lazily: importing the package imports no JAX."""
    code = "import sys, cartwheel; assert 'jax' not in sys.modules; print(cartwheel.tune, cartwheel.StudySpec)"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_study_shows_itself(tmp_path: Path) -> None:
    """In one line, and in a notebook with its learning curves, which ask for nothing from elsewhere."""
    study, _ = run(tmp_path)
    assert repr(study) == f"<Study {tmp_path.name}: line, pbt, done; 3 members, 15 episodes>"
    shown = study._repr_html_()
    assert "<svg" in shown
    assert "The best agent found by this one study" in shown
    assert "http" not in shown.replace("http://www.w3.org", "")


def test_a_study_returns_its_figures(tmp_path: Path) -> None:
    """By name; a notebook shows them, and they are saved as any figure of Matplotlib's."""
    study, _ = run(tmp_path)
    figures = study.figures()
    assert list(figures) == ["learning-curves", "lineages", "hyperparameters", "time"]
    for figure in figures.values():
        assert figure._repr_svg_().count("</svg>") == 1  # type: ignore[attr-defined]
        figure.savefig(tmp_path / "figure.pdf")
