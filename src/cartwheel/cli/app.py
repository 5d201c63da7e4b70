"""The command line: parses, never decides. Everything heavy is imported inside the commands."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from cartwheel.cli import evidence, inspecting
from cartwheel.cli.exporting import export
from cartwheel.cli.options import (
    AS_IN_THE_FILE,
    AS_USUAL,
    IN_WORDS,
    NO_CODE,
    Count,
    DryRun,
    Hours,
    Manner,
    Names,
    Overrides,
    OwnCode,
    Profile,
    Scales,
    Speech,
    StudyOptions,
    factors,
    overrides,
    schedule_file,
    with_dotted_options,
)
from cartwheel.cli.videos import video
from cartwheel.errors import CartwheelError, ExitCode, UsageError

app = App(
    name="cartwheel",
    help="Tune model-based reinforcement learning, statically and while the agent trains.",
    help_epilogue="Any setting of a study file can be given as a dotted option: --tuner.population 8",
    help_format="plaintext",  # markdown would cost a third of the time that `--help` takes
    result_action="return_value",
)
_ELSEWHERE: Sequence[Callable[..., int]] = (
    inspecting.status,
    inspecting.check,
    evidence.rerun,
    evidence.compare,
    evidence.suite,
    evidence.transfer,
    evidence.ablate,
    export,
    video,
)
for _command in _ELSEWHERE:
    app.command(_command)


@app.command
def tune(
    study: Path | None = None,
    /,
    *,
    wanted: StudyOptions = AS_IN_THE_FILE,
    run_dir: Path | None = None,
    max_hours: Hours | None = None,
    profile: Profile = False,
    dry_run: DryRun = False,
    settings: Overrides = [],  # noqa: B006 - cyclopts reads the default and never changes it
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Tune a population or a set of agents: start a study, or resume or extend it where it exists.

    Parameters
    ----------
    study: Path
        Study file (TOML). Options override it.
    run_dir: Path
        Where the study lives; default: runs/NAME.
    max_hours: float
        Stop resumably after this time.
    """
    from cartwheel.cli import commands

    spec = commands.read_spec(study, wanted.settings(), overrides(settings), own_code.run())
    path = run_dir or commands.tune_dir(spec, study)
    if dry_run:
        from cartwheel.cli.foreseeing import do_dry_run

        return do_dry_run(spec, path, manner.output())
    return commands.do_tune(spec, path, max_hours, manner.output(), profile=profile)


@app.command
def demo(
    study: Path,
    /,
    *,
    run_dir: Path = Path("runs/demo"),
    seeds: Count = 8,
    settings: Overrides = [],  # noqa: B006 - cyclopts reads the default and never changes it
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Tune, then train anew on fresh seeds under the default config, Random Search's best and the found schedule.

    Parameters
    ----------
    study: Path
        Study file (TOML), such as studies/demo.toml.
    run_dir: Path
        Where everything lives. The same command goes on where it was stopped.
    seeds: int
        Fresh trainings under each.
    """
    from cartwheel.cli import commands

    spec = commands.read_spec(study, {}, overrides(settings), own_code.run())
    return commands.do_demo(spec, run_dir, seeds, manner.output())


@app.command
def train(
    study: Path | None = None,
    /,
    *,
    env_id: str | None = None,
    episodes: int | None = None,
    config: Path | None = None,
    schedule: Path | None = None,
    rename: Names = [],  # noqa: B006 - as above
    seed: int | None = None,
    run_dir: Path | None = None,
    profile: Profile = False,
    settings: Overrides = [],  # noqa: B006 - as above
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Train one agent, with its default hyperparameters or given ones.

    Parameters
    ----------
    study: Path
        Study file (TOML), for the environment and the agent.
    env_id: str
        Environment.
    episodes: int
        Model-driven episodes.
    config: Path
        Hyperparameter values, one per line (TOML) or as JSON.
    schedule: Path
        Schedule: any file that `cartwheel schedule` reads.
    seed: int
        All randomness follows from it.
    run_dir: Path
        Where the training lives; default: runs/ENV-train.
    """
    from cartwheel.cli import commands

    options, given = {"env_id": env_id, "num_episodes": episodes, "seed": seed}, overrides(settings)
    for name in given:
        if name.partition(".")[0] in ("tuner", "space"):
            raise UsageError("nobody tunes here", f"--{name}", "leave it out, or use `cartwheel tune`")
    spec = commands.read_spec(study, options, {"engine.lanes": "1", **given}, own_code.run())
    followed = schedule_file(schedule, rename)
    return commands.do_train(spec, config, followed, run_dir, manner.output(), profile=profile)


@app.command
def evaluate(
    path: Path | None = None,
    /,
    *,
    env_id: str | None = None,
    model: Literal["learned", "simulator"] = "learned",
    episodes: Count = 10,
    seed: int = 0,
    settings: Overrides = [],  # noqa: B006 - as above
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Play episodes: with the best agent of a run folder, an exported agent, or the true dynamics.

    Parameters
    ----------
    path: Path
        Run folder or agent folder.
    env_id: str
        Environment, with --model simulator.
    model: str
        "simulator" plans with the true dynamics instead of a learned model.
    episodes: int
        How many.
    seed: int
        Of the episodes' start states.
    """
    from cartwheel.cli import commands

    output, own = manner.output(), own_code.run()
    if model == "simulator" and path is None:
        options = {"env_id": env_id, "num_episodes": 1, "seed": seed}
        spec = commands.read_spec(None, options, overrides(settings), own)
        return commands.do_evaluate_simulator(spec, episodes, output)
    if model == "simulator" or path is None or env_id is not None or settings:
        raise UsageError(
            "give either a folder, or --env-id with --model simulator", "command line", "see cartwheel evaluate --help"
        )
    return commands.do_evaluate(path, episodes, seed, output, own, manner.isolate)


@app.command
def report(run_dir: Path, /, *, own_code: OwnCode = NO_CODE, speech: Speech = IN_WORDS) -> int:
    """Write report.html and its figures into the run folder.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    """
    from cartwheel.cli import commands

    own_code.run()
    return commands.do_report(run_dir, speech.output())


@app.command
def schedule(
    source: Path,
    /,
    *,
    top: Count | None = None,
    episodes: Count | None = None,
    simplify: Count | None = None,
    shape: Literal["constant", "linear"] | None = None,
    space: str | None = None,
    scale: Scales = [],  # noqa: B006 - as above
    rename: Names = [],  # noqa: B006 - as above
    file_format: Annotated[Literal["cartwheel", "aistats2021"], Parameter(name="--format")] = "cartwheel",
    out: Path | None = None,
    speech: Speech = IN_WORDS,
) -> int:
    """Print hyperparameters over episodes, or write them into a file: the best agent's, or those of another file.

    Parameters
    ----------
    source: Path
        Run folder; or a schedule file: ours, one that came with the AISTATS 2021 paper, or pbt_policy_ID.txt of Ray.
    top: int
        The mean over so many of the best trials, instead of the best one's.
    episodes: int
        Only the first so many. Ray's files need it: they do not say where the last config ends.
    simplify: int
        The nearest schedule of at most so many pieces; says how near.
    shape: str
        Of these pieces; a linear one is a line in the parameter, in its logarithm where the space has it so.
    space: str
        In which distances are measured, such as small; default: the study's.
    file_format: str
        "aistats2021" has one config per episode.
    out: Path
        File for `cartwheel train --schedule` and `cartwheel rerun --schedule`.
    """
    from cartwheel.cli import commands
    from cartwheel.scheduling import Wanted

    wanted = Wanted(top, episodes, simplify, shape, space, file_format, factors(scale))
    return commands.do_schedule(schedule_file(source, rename), wanted, out, speech.output())


@app.command
def space(
    source: str,
    /,
    *,
    file_format: Annotated[Literal["toml", "configspace", "optuna"], Parameter(name="--format")] = "toml",
    group: Literal["model", "planner"] = "model",
    out: Path | None = None,
    speech: Speech = IN_WORDS,
) -> int:
    """Print a search space, or write it into a file; turns those of ConfigSpace and Optuna into ours, and back.

    Parameters
    ----------
    source: str
        Name, such as small; study file (.toml); file of ConfigSpace or of Optuna's distributions (.json).
    file_format: str
        "toml" is the [space] of a study file.
    group: str
        Of hyperparameters whose file does not say.
    out: Path
        The file.
    """
    from cartwheel.cli import commands

    return commands.do_space(source, file_format, group, out, speech.output())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The program ``cartwheel``: every error that the user can act on is one line, and an exit code."""
    try:
        tokens = with_dotted_options(sys.argv[1:] if arguments is None else arguments)
        code = app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        code = _fail(" ".join(str(error).split()), ExitCode.USAGE)
    except CartwheelError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", ExitCode.INTERRUPTED)
    _drop_unread_output()
    raise SystemExit(0 if code is None else int(code))


def _fail(message: str, code: ExitCode) -> ExitCode:
    with contextlib.suppress(OSError):
        print(f"cartwheel: error: {message}", file=sys.stderr)
    return code


def _drop_unread_output() -> None:
    """Python would fail at its very end, and change the exit code, over output whose reader has gone."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as it is where the shell has closed it
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
