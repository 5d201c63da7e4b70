"""What the commands of evidence do: run what is missing, read what is there, write the page, say what it says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from cartwheel.analysis.evidence import Compared
from cartwheel.analysis.wording import number
from cartwheel.cli.commands import Output
from cartwheel.errors import ExitCode, UsageError
from cartwheel.evidence.ablations import ablate, read_ablation
from cartwheel.evidence.controls import CONTROLS, control, is_control
from cartwheel.evidence.protocol import HowTested, put_to_test, spec_in, tuned
from cartwheel.evidence.reading import read_studies
from cartwheel.evidence.suite_spec import SuiteSpec
from cartwheel.evidence.suites import TRANSFERS, read_suite, run_suite
from cartwheel.evidence.transfers import read_transfers, source_of_file, sources_of, transfer
from cartwheel.report.evidence_page import Evidence, write_evidence
from cartwheel.report.live import make_view
from cartwheel.results import Study
from cartwheel.schedules.files import ScheduleFile
from cartwheel.spec import StudySpec
from cartwheel.stopping import StopSignal
from cartwheel.store.run_folder import DATABASE
from cartwheel.tuning import Running

CONTROLS_FOLDER = "controls"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class How:
    """``num_seeds`` test seeds, ``num_episodes`` played on each; what to run, and for how long."""

    num_seeds: int
    num_episodes: int
    only_read: bool
    with_controls: bool
    max_hours: float | None

    @property
    def tests(self) -> HowTested:
        return HowTested(self.num_seeds, self.num_episodes)


class Steps:
    """Runs steps one after the other, each with a view of its own, until a signal or the hours say stop."""

    def __init__(self, output: Output, max_hours: float | None) -> None:
        self._output, self._signal = output, StopSignal()
        self._should_stop = Running(should_stop=self._signal, max_hours=max_hours).stop_check()

    def __enter__(self) -> Self:
        self._signal.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal.__exit__(kind, error, trace)

    @property
    def exit_code(self) -> ExitCode:
        """What the shell is told of a stop."""
        return self._signal.exit_code

    def __call__(self, title: str, num_episodes: int | None, step: Callable[[Running], T]) -> T:
        output = self._output
        output.say(f"\n{title}", step=title)
        with make_view(
            total_episodes=num_episodes, noun="trial", is_quiet=output.is_quiet, is_json=output.is_json
        ) as view:
            return step(Running((view,), self._should_stop, None, output.backend))


def do_compare(run_dirs: Sequence[Path], out: Path, how: How, output: Output) -> ExitCode:
    """Test the studies, run and test their controls, and write the page."""
    studies = [_done(run_dir) for run_dir in dict.fromkeys(run_dirs)]
    with Steps(output, how.max_hours) as steps:
        folders = [study.run_dir for study in studies]
        if not how.only_read:
            for study in studies:
                if not put_to_test(study, how.tests, study.run_dir.name, steps):
                    return _stopped(steps, output)
            more = _controls(studies, how, steps) if how.with_controls else []
            if more is None:
                return _stopped(steps, output)
            folders += more
        else:
            there = [path for study in studies for path in _control_folders(study) if (path / DATABASE).is_file()]
            folders += _different(there)
    return _write(out, out.name, read_studies(folders), output)


def do_suite(suite: SuiteSpec, folder: Path, only_read: bool, max_hours: float | None, output: Output) -> ExitCode:
    """Run a suite, or what is left of it, and write the page of what is there."""
    with Steps(output, max_hours) as steps:
        is_done = only_read or run_suite(suite, folder, steps)
        if studies := read_suite(suite, folder):
            _write(folder, folder.name, studies, output, folder / TRANSFERS)
        return ExitCode.DONE if is_done else _stopped(steps, output)


def do_transfer(
    sources: Sequence[Path],
    targets: tuple[Sequence[Path], Sequence[str]],
    out: Path,
    num_pieces: int | None,
    how: How,
    output: Output,
) -> ExitCode:
    """Follow what was found, and write the page."""
    studies = read_studies([path for path in sources if not path.is_file()])
    moved = [source for one in studies for source in sources_of(one, num_pieces)]
    moved += [source_of_file(ScheduleFile(path)) for path in sources if path.is_file()]
    specs = _targets(targets[0] or [one.run_dir for one in studies], targets[1])
    with Steps(output, how.max_hours) as steps:
        if not transfer(moved, specs, out, how.tests, steps):
            return _stopped(steps, output)
    return _write(out, out.name, studies, output, out)


def do_ablate(run_dir: Path, how: How, output: Output) -> ExitCode:
    """Run the ablation of a study, and say which changes made the difference."""
    with Steps(output, how.max_hours) as steps:
        found = ablate(_done(run_dir), how.tests, steps)
        if found is None:
            return _stopped(steps, output)
    lines = [f"default config: {number(found.default)}", *(f"+ {s.name}: {number(s.score)}" for s in found.path)]
    path = {step.name: step.score for step in found.path}
    output.say("\n".join(["", *lines]), default=found.default, path=path)
    return ExitCode.DONE


def _controls(studies: Sequence[Study], how: How, steps: Steps) -> list[Path] | None:
    """Run and test the controls of every study that is none itself; their folders, None if stopped.

    One that several studies ask for, as those of two tuners under one seed do, is run beside the first of them.
    """
    folders: list[Path] = []
    specs: list[StudySpec] = []
    for study in studies:
        if is_control(study.tables.meta["tuner"]):
            continue
        for name, path in zip(CONTROLS, _control_folders(study), strict=True):
            spec = control(study, spec_in(study.run_dir), name)
            if spec is None or spec in specs:
                continue
            specs.append(spec)
            title = f"{name} beside {study.run_dir.name}"
            made = tuned(spec, path, title, steps)
            if not made.is_done or not put_to_test(made, how.tests, title, steps):
                return None
            folders.append(path)
    return folders


def _control_folders(study: Study) -> list[Path]:
    return [study.run_dir / CONTROLS_FOLDER / name for name in CONTROLS]


def _different(folders: Sequence[Path]) -> list[Path]:
    """Of folders that hold the same study, the first."""
    found: dict[Path, StudySpec] = {}
    for folder in folders:
        if (spec := spec_in(folder)) not in found.values():
            found[folder] = spec
    return list(found)


def _targets(folders: Sequence[Path], env_ids: Sequence[str]) -> dict[str, StudySpec]:
    """By task, the spec under which agents are trained on it."""
    specs = {spec.env_id: spec for folder in folders if (spec := spec_in(folder))}
    if not specs:
        raise UsageError("nowhere to follow them", "--to", "name a run folder of the task")
    first = next(iter(specs.values()))
    elsewhere: dict[str, Any] = {"episode_length": None, "agent_defaults": {}}  # the task's own
    others = {env_id: first.model_copy(update={"env_id": env_id, **elsewhere}) for env_id in env_ids}
    return others | specs


def _done(run_dir: Path) -> Study:
    study = Study(run_dir)
    if not study.is_done or "tuner" not in study.tables.meta:
        raise UsageError("not a finished tuning study", str(run_dir), "run `cartwheel tune` to its end first")
    return study


def _write(out: Path, name: str, studies: Sequence[Compared], output: Output, moved_in: Path | None = None) -> ExitCode:
    moved, defaults = read_transfers(moved_in) if moved_in is not None else ([], {})
    ablations = {
        f"{one.result.task}-{one.result.arm}-{one.result.tuner_seed}": found
        for one in studies
        if (found := read_ablation(one.run_dir)) is not None
    }
    evidence = Evidence(studies, moved, defaults, ablations)
    page, headlines = write_evidence(out, name, evidence, lambda text: output.say(text, left_out=text))
    output.say("\n".join(["", *headlines, "", f"evidence: {page}"]), evidence=page, headlines=headlines)
    return ExitCode.DONE


def _stopped(steps: Steps, output: Output) -> ExitCode:
    output.say("stopped; the same command goes on where it stood", state="stopped")
    return steps.exit_code
