"""What the commands do: from options to a run, and from a run to what is printed and returned to the shell."""

import contextlib
import errno
import json
import math
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cartwheel.analysis.load import load_tables
from cartwheel.analysis.wording import listed, percent, tally
from cartwheel.backend import AgentBackend, Backend
from cartwheel.cli.facts import study_facts
from cartwheel.errors import ConfigError, ExitCode, StorageError, UsageError
from cartwheel.exploits import OnExploit
from cartwheel.playing import play_best, play_exported, play_simulator
from cartwheel.records import Config, Episode
from cartwheel.report.live import make_view
from cartwheel.results import Study
from cartwheel.schedules.files import ScheduleFile
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.scheduling import Wanted, make_schedule
from cartwheel.space_files import SpaceFormat, read_space, space_text
from cartwheel.spaces.parameters import Group
from cartwheel.spec import StudySpec, load_spec, parse_spec
from cartwheel.stopping import StopSignal
from cartwheel.store.run_folder import DATABASE, write_text
from cartwheel.toml_text import toml_value
from cartwheel.tracing import PROFILE, traced
from cartwheel.tuning import Running, default_run_dir, default_train_dir, rerun, train, tune
from cartwheel.user_files import read_user_file

if TYPE_CHECKING:
    from cartwheel.envs.isolated import Isolate
    from cartwheel.task_files import TaskFile

NUM_CEILING_EPISODES = 3
OPTION_OF_KEY = {
    "--env_id": "--env-id",
    "--tuner.name": "--tuner",
    "--space.tune": "--tune",
    "--num_episodes": "--episodes",
    "--episode_length": "--episode-length",
    "--on_exploit": "--on-exploit",
}
"""Where a study's key is wrong that has an option under another name."""


@dataclass(frozen=True)
class Output:
    """How much to say, and how; and what runs agents."""

    is_quiet: bool = False
    is_json: bool = False
    backend: Backend = field(default_factory=AgentBackend)

    def say(self, text: str, **about: Any) -> None:
        """A closing line for people, or its facts as one JSON object for programs."""
        if self.is_json:
            _print(json.dumps(about, default=str))
        elif not self.is_quiet:
            _print(text)

    def note(self, text: str) -> None:
        """For people, beside an output that programs read."""
        if text and not self.is_quiet:
            _print(text, stream=sys.stderr)


def run_own_code(task_file: Path | None, allow_env_import: bool) -> "TaskFile | None":
    """Run what the command line names of the user's own code; the task that came of it."""
    if allow_env_import:
        from cartwheel.envs.making import allow_imports

        allow_imports()
    if task_file is None:
        return None
    from cartwheel.task_files import load_task_file

    return load_task_file(task_file)


def read_spec(
    study: Path | None, options: Mapping[str, Any], overrides: Mapping[str, str], own: "TaskFile | None" = None
) -> StudySpec:
    """The study of a file, or of options alone. ``options`` are typed and by dotted key; None is not given.

    ``own`` is a task from a file, which the study then remembers.
    """
    if own is None:
        return _read_spec(study, options, overrides)
    env_id = options.get("env_id") or (own.task.id if study is None else None)
    about = {"env_id": env_id, "task_file.path": str(own.path), "task_file.sha256": own.sha256}
    spec = _read_spec(study, {**options, **about}, overrides)
    if spec.env_id != own.task.id:
        cause = f"the study is about {spec.env_id!r}, the task of the file is {own.task.id!r}"
        raise ConfigError(cause, str(own.path), "make them the same, or leave out one of them")
    return spec


def _read_spec(study: Path | None, options: Mapping[str, Any], overrides: Mapping[str, str]) -> StudySpec:
    given = {key: toml_value(value) for key, value in options.items() if value is not None}
    clash = given.keys() & overrides.keys()
    if clash:
        raise UsageError(f"given twice: {min(clash)}", "command line", "leave one out")
    try:
        if study is not None:
            return load_spec(study, {**overrides, **given})
        return parse_spec({}, {**overrides, **given})
    except ConfigError as error:
        key = error.place.removeprefix("command line: ")  # of what is missing there
        option = OPTION_OF_KEY.get(key if key.startswith("--") else f"--{key}")
        if option is None:
            raise
        step = f"give {option}, or a study file" if error.cause.endswith("is missing") else error.next_step
        raise ConfigError(error.cause, option, step) from error


def tune_dir(spec: StudySpec, study: Path | None) -> Path:
    """Where a study lives that was not told where."""
    return Path("runs") / study.stem if study is not None else default_run_dir(spec)


def do_tune(spec: StudySpec, path: Path, max_hours: float | None, output: Output, profile: bool) -> ExitCode:
    """Tune, resume or extend, showing how it goes; with ``profile``, also where the time went."""
    from cartwheel.tuners.registry import noun_of_trial

    noun, expected = noun_of_trial(spec.tuner.name), _expected_episodes(spec)
    with (
        StopSignal() as stop,
        traced(path, profile) as traces,
        _view(noun, expected, output, spec.on_exploit) as view,
    ):
        result = tune(spec, path, Running((view, *traces), stop, max_hours, output.backend))
    if profile:
        _show_profile(result, output)
    return _conclude(result, "tune", stop, output)


def do_demo(spec: StudySpec, run_dir: Path, num_seeds: int, output: Output) -> ExitCode:
    """Tune, compare with controls on fresh seeds, write the report and say what came out."""
    from cartwheel.analysis.comparison import ceiling_sentence, compute_sentence, headline
    from cartwheel.comparing import compare_with_controls
    from cartwheel.report.sentences import comparison_lines

    num_failed = 0
    with StopSignal() as stop:

        def run_step(title: str, num_episodes: int | None, step: Callable[[Running], Study]) -> Study:
            nonlocal num_failed
            output.say(f"\n{title}", step=title)
            with _view("trial", num_episodes or _expected_episodes(spec), output, spec.on_exploit) as view:
                study = step(Running((view,), stop, None, output.backend))
            num_failed += study.num_failed
            return study

        comparison = compare_with_controls(spec, run_dir, num_seeds, NUM_CEILING_EPISODES, run_step)
    if comparison is None:
        return _conclude(Study(run_dir), "demo", stop, output)
    do_report(run_dir, output)
    lines = [*comparison_lines(comparison), compute_sentence(comparison)]
    lines += [ceiling_sentence(comparison.ceiling)] if comparison.ceiling else []
    output.say("\n".join(["", *lines, "", headline(comparison)]), headline=headline(comparison))
    return ExitCode.FAILED_TRIALS if num_failed else ExitCode.DONE


def do_train(
    spec: StudySpec,
    config: Path | None,
    schedule: ScheduleFile | None,
    run_dir: Path | None,
    output: Output,
    profile: bool,
) -> ExitCode:
    """Train one agent under given hyperparameters, by default the agent's own; ``profile`` as in ``do_tune``."""
    if config is not None and schedule is not None:
        raise UsageError("both a config and a schedule", "--config, --schedule", "give one of them")
    followed = _whole_schedule(spec, config, schedule)
    path = run_dir or default_train_dir(spec)
    with (
        StopSignal() as stop,
        traced(path, profile) as traces,
        _view("trial", spec.num_episodes + 1, output) as view,
    ):
        result = train(spec, followed, path, Running((view, *traces), stop, None, output.backend))
    if profile:
        _show_profile(result, output)
    return _conclude(result, "train", stop, output)


def do_rerun(run_dir: Path, schedule: ScheduleFile | None, name: str, num_seeds: int, output: Output) -> ExitCode:
    """Train anew on test seeds under a schedule, by default the study's best."""
    study = Study(run_dir)
    length = study.tables.settings["num_episodes"]
    followed = study.schedule() if schedule is None else schedule.read(open_end=length)
    total = num_seeds * (followed.num_episodes + 1)
    with StopSignal() as stop, _view("trial", total, output) as view:
        running = Running((view,), stop, None, output.backend)
        result = rerun(run_dir, followed, name=name, num_seeds=num_seeds, running=running)
    if not result.is_done:
        return _conclude(result, "rerun", stop, output)
    from cartwheel.analysis.load import load_arm
    from cartwheel.report.sentences import rerun_returned

    arm = load_arm(result.run_dir, name, "the schedule")
    shown_in = run_dir if schedule is None else result.run_dir
    text = f"done in {result.run_dir}: new agents {rerun_returned(arm)}; next: cartwheel report {shown_in}"
    output.say(text, command="rerun", **study_facts(result), test_means=arm.means)
    return ExitCode.FAILED_TRIALS if result.num_failed else ExitCode.DONE


def do_evaluate(
    path: Path, num_episodes: int, seed: int, output: Output, own: "TaskFile | None", isolate: "Isolate | None"
) -> ExitCode:
    """Play episodes with a study's best agent, or with an exported one."""
    with StopSignal() as stop:
        if (path / DATABASE).is_file():
            episodes: Sequence[Episode] = play_best(path, num_episodes, seed, output.backend, stop)
        else:
            from cartwheel.envs.isolated import EnvMaker

            task_file = None if own is None else (str(own.path), own.sha256)
            maker = EnvMaker(isolate or "foreign", task_file=task_file)
            episodes = play_exported(path, num_episodes, seed, maker)
    _show_returns(episodes, output)
    return stop.exit_code if len(episodes) < num_episodes else ExitCode.DONE


def do_evaluate_simulator(spec: StudySpec, num_episodes: int, output: Output) -> ExitCode:
    """Play episodes with the true dynamics in the place of the model."""
    _show_returns(play_simulator(spec, num_episodes), output)
    return ExitCode.DONE


def do_status(run_dir: Path, output: Output) -> ExitCode:
    """Say how far a study is, without disturbing it."""
    facts = study_facts(Study(run_dir))
    width = max(map(len, facts))
    shown = {name: tally(value) or "none" if isinstance(value, Mapping) else value for name, value in facts.items()}
    shares = [f"{percent(share)} {name}" for name, share in facts["where_time_went"].items()]
    shown["where_time_went"] = listed(shares) or "not recorded"
    text = "\n".join(f"{name.replace('_', ' '):{width}}  {value}" for name, value in shown.items() if value is not None)
    output.say(text, **facts)
    return ExitCode.DONE


def do_report(run_dir: Path, output: Output) -> ExitCode:
    """Write ``report.html`` and its figures into the run folder."""
    from cartwheel.comparing import load_comparison, load_rerun, network_evaluations_of
    from cartwheel.report.page import write_report

    try:
        tables = load_tables(run_dir)
        spec = parse_spec(tables.settings, {}, str(run_dir))
        study = Study(run_dir)
        comparison, rerun_ = load_comparison(study, spec), load_rerun(study)
        try:
            per_env_step = network_evaluations_of(spec)
        except ConfigError as error:
            output.say(f"the report leaves out what planning cost: {error}", left_out=str(error))
            per_env_step = None
        page = write_report(run_dir, tables, comparison, per_env_step, rerun_)
    except OSError as error:
        raise StorageError(f"cannot write the report: {error.strerror}", str(run_dir), "check the folder") from error
    output.say(f"report: {page}", report=page)
    return ExitCode.DONE


def do_schedule(source: ScheduleFile, wanted: Wanted, out: Path | None, output: Output) -> ExitCode:
    """Print a schedule, or write it into a file that ``train`` and ``rerun`` take; say how near a simplified one is."""
    made = make_schedule(source, wanted)
    if out is None:
        _print(made.text, end="" if made.text.endswith("\n") else "\n")
        output.note(made.description)
    else:
        write_text(out, made.text)
        closing = f"schedule: {out}; train under it with `cartwheel train --schedule {out}`"
        output.say("\n".join(filter(None, [made.description, closing])), schedule=out, **made.facts)
    return ExitCode.DONE


def do_space(source: str, file_format: SpaceFormat, group: Group, out: Path | None, output: Output) -> ExitCode:
    """Print a search space, or write it into a file."""
    text = space_text(read_space(source, group), file_format)
    if out is None:
        _print(text, end="")
    else:
        write_text(out, text)
        output.say(f"space: {out}", space=out)
    return ExitCode.DONE


def read_config(path: Path) -> Config:
    """Hyperparameter values by name, from TOML or JSON. Raises ConfigError."""
    try:
        text = read_user_file(path, "config file").decode()
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        if not isinstance(values, dict) or not all(isinstance(v, bool | int | float | str) for v in values.values()):
            raise ValueError("not a table of hyperparameter values")
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} is {value}")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not a config: {error}", str(path), "give lines such as `learning_rate = 1e-3`") from error
    return values


def _print(text: str, end: str = "\n", stream: TextIO | None = None) -> None:
    """Print at once; nothing if nobody reads any more: the pipe's reader or the terminal has gone."""
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise StorageError(f"cannot print: {error.strerror}", "standard output") from error


def _whole_schedule(spec: StudySpec, config: Path | None, schedule: ScheduleFile | None) -> Schedule:
    if schedule is not None:
        return schedule.read(spec.num_episodes)
    return Schedule((Piece(0, spec.num_episodes, {} if config is None else read_config(config)),))


def _view(noun: str, total_episodes: int | None, output: Output, on_exploit: OnExploit = "keep") -> Any:
    return make_view(
        total_episodes=total_episodes,
        noun=noun,
        is_quiet=output.is_quiet,
        is_json=output.is_json,
        on_exploit=on_exploit,
    )


def _show_profile(study: Study, output: Output) -> None:
    """Write the report, and say what it says about time."""
    from cartwheel.report import sentences

    do_report(study.run_dir, output)
    text, timing = sentences.time(study.tables.timing), study.tables.timing
    output.say(text, device_s=timing.of_devices, loop_s=timing.of_loop, trace=study.run_dir / PROFILE)


def _expected_episodes(spec: StudySpec) -> int | None:
    """Episodes of the whole study; None for one that cannot be run, which is said elsewhere."""
    from cartwheel.tuners.rehearsal import expected_episodes

    with contextlib.suppress(ValueError, ConfigError):
        return expected_episodes(spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes)
    return None


def _conclude(study: Study, command: str, stop: StopSignal, output: Output) -> ExitCode:
    """Say how it ended and what to do next; what the shell is told."""
    facts = study_facts(study)
    if not study.is_done:
        text = f"stopped; the same command goes on where it stood ({facts['episodes']} episodes are safe)"
        output.say(text, command=command, **facts)
        return stop.exit_code
    best = "" if facts["best_segment"] is None else f"; best segment {facts['best_segment']}, {_best_text(facts)}"
    next_step = f"cartwheel report {study.run_dir}"
    failed = f"; {study.num_failed} segments failed" if study.num_failed else ""
    output.say(f"done in {study.run_dir}{best}{failed}; next: {next_step}", command=command, **facts)
    return ExitCode.FAILED_TRIALS if study.num_failed else ExitCode.DONE


def _best_text(facts: Mapping[str, Any]) -> str:
    mean = facts["best_validation_mean"]
    return f"score {facts['best_score']:.6g}" + ("" if mean is None else f", validation mean {mean:.6g}")


def _show_returns(episodes: Sequence[Episode], output: Output) -> None:
    returns = [episode.return_ for episode in episodes]
    mean = sum(returns) / len(returns) if returns else math.nan
    lines = [f"episode {e.index}: return {e.return_:.6g} in {e.length} steps" for e in episodes]
    output.say("\n".join([*lines, f"mean of {len(returns)}: {mean:.6g}"]), returns=returns, mean=mean)
