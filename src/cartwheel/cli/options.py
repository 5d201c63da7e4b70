"""The options that commands share, and what is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, overload

from cyclopts import Parameter
from cyclopts.validators import Number

from cartwheel.errors import UsageError

if TYPE_CHECKING:
    from cartwheel.cli.commands import Output
    from cartwheel.schedules.files import ScheduleFile
    from cartwheel.task_files import TaskFile

Overrides = Annotated[
    list[str], Parameter(name="--set", negative=(), show_default=False, help="KEY=VALUE; --KEY VALUE means the same.")
]
Quiet = Annotated[bool, Parameter(negative=(), show_default=False, help="Say nothing but errors.")]
Json = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, one object per line.")
]
Names = Annotated[
    list[str],
    Parameter(negative=(), show_default=False, help="THEIRS=OURS, in a file of Ray's; THEIRS= leaves it out."),
]

Scales = Annotated[
    list[str],
    Parameter(
        negative=(),
        show_default=False,
        help="NAME=FACTOR: values times a factor, such as num_samples=0.1 or 48/500; the file says so.",
    ),
]

# as cartwheel.spaces.space has it, which takes NumPy to import
Selection = Literal["model", "planner", "joint"]
OnExploit = Literal["keep", "cap", "exclude"]  # as cartwheel.exploits has it
Keep = Literal["all", "needed"]  # as cartwheel.spec has it
Profile = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Write the report at the end, with where the time went, and a trace of JAX's profiler into profile/.",
    ),
]
DryRun = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Start nothing: print the settings, and what time, memory and disk they will take.",
    ),
]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Hours = Annotated[float, Parameter(validator=Number(gt=0))]


@Parameter(name="*")
@dataclass(frozen=True)
class Speech:
    """How a command tells its results."""

    quiet: Quiet = False
    as_json: Json = False

    def output(self) -> "Output":
        """What the commands take."""
        from cartwheel.cli.commands import Output

        return Output(self.quiet, self.as_json)


IN_WORDS = Speech()


@Parameter(name="*")
@dataclass(frozen=True)
class Manner(Speech):
    """How a command that runs agents goes about it, too; none of it changes results.

    Parameters
    ----------
    no_compile_cache: bool
        Neither read nor keep compiled programs in the user's cache folder.
    executor: str
        Where agents run: in this process, in worker processes, or on a Ray cluster; default: the study's.
    workers: int
        How many, of processes or ray; default: as many as there are cores.
    ray_address: str
        Of a running Ray cluster, or auto; default: what RAY_ADDRESS says, else a cluster of our own on this machine.
    isolate: str
        Which environments run in processes of their own: those that Cartwheel does not ship, all, or none.
    """

    no_compile_cache: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    executor: Literal["inline", "processes", "ray"] | None = None
    workers: Count | None = None
    ray_address: str | None = None
    isolate: Literal["foreign", "all", "none"] | None = None

    def output(self) -> "Output":
        """What the commands take."""
        from cartwheel.backend import AgentBackend
        from cartwheel.cli.commands import Output

        if self.ray_address is not None and self.executor != "ray":
            raise UsageError("an address without Ray", "--ray-address", "add --executor ray")
        ray = self.ray_address
        backend = AgentBackend(not self.no_compile_cache, self.executor, self.workers, ray, self.isolate)
        return Output(self.quiet, self.as_json, backend)


AS_USUAL = Manner()


@Parameter(name="*")
@dataclass(frozen=True)
class StudyOptions:
    """What is tuned and how, where the study file does not say it, or says something else.

    Parameters
    ----------
    env_id: str
        Environment, such as Pendulum-v1 or cartpole-swingup.
    tuner: str
        Tuner, such as pbt or random-search.
    tune: str
        What is tuned: hyperparameters of the model, of the planner, or all.
    episodes: int
        Model-driven episodes of each trial; more than before extends a study.
    episode_length: int
        Environment steps of an episode, where the task's own length is not wanted.
    seed: int
        All randomness follows from it.
    model: str
        "simulator" plans with the true dynamics instead of a learned model, and tunes the planner.
    on_exploit: str
        What the tuner sees of an episode whose physics broke: its return, a capped one, or the worst (keep: default).
    keep: str
        Checkpoints: all (default), or only those that something may still ask for.
    """

    env_id: str | None = None
    tuner: str | None = None
    tune: Selection | None = None
    episodes: int | None = None
    episode_length: int | None = None
    seed: int | None = None
    model: Literal["learned", "simulator"] | None = None
    on_exploit: OnExploit | None = None
    keep: Keep | None = None

    def settings(self) -> dict[str, str | int | None]:
        """By their names in a study file."""
        return {
            "env_id": self.env_id,
            "tuner.name": self.tuner,
            "space.tune": self.tune,
            "num_episodes": self.episodes,
            "episode_length": self.episode_length,
            "seed": self.seed,
            "model": self.model,
            "on_exploit": self.on_exploit,
            "keep": self.keep,
        }


AS_IN_THE_FILE = StudyOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class OwnCode:
    """Code of the user's own: run only because the command line names it, never because a file that was read does.

    Parameters
    ----------
    task_file: Path
        Python file that defines `task`; it is run.
    allow_env_import: bool
        Let an environment's id name a module, as in module:Env-v0, and import that.
    """

    task_file: Path | None = None
    allow_env_import: Annotated[bool, Parameter(negative=(), show_default=False)] = False

    def run(self) -> "TaskFile | None":
        """The task of the file, if one is given."""
        from cartwheel.cli.commands import run_own_code

        return run_own_code(self.task_file, self.allow_env_import)


NO_CODE = OwnCode()


def overrides(settings: Sequence[str]) -> dict[str, str]:
    return _pairs(settings, "--set", "KEY=VALUE", "--set tuner.population=8")


def factors(scales: Sequence[str]) -> dict[str, float]:
    """By name, as decimals or fractions. Raises UsageError."""
    pairs = _pairs(scales, "--scale", "NAME=FACTOR", "--scale num_samples=0.1")
    if len(pairs) < len(scales):
        raise UsageError("a hyperparameter scaled twice", "--scale", "give one factor for each")
    try:
        return {name: float(Fraction(factor)) for name, factor in pairs.items()}
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        step = "give for example --scale num_samples=0.1"
        raise UsageError(f"not a factor: {', '.join(pairs.values())}", "--scale", step) from error


@overload
def schedule_file(path: Path, rename: Sequence[str]) -> "ScheduleFile": ...
@overload
def schedule_file(path: Path | None, rename: Sequence[str]) -> "ScheduleFile | None": ...
def schedule_file(path: Path | None, rename: Sequence[str]) -> "ScheduleFile | None":
    from cartwheel.schedules.files import ScheduleFile

    names = _pairs(rename, "--rename", "THEIRS=OURS", "--rename lr=learning_rate")
    if path is None and names:
        raise UsageError("nothing to rename", "--rename", "give --schedule FILE")
    return None if path is None else ScheduleFile(path, names)


def with_dotted_options(tokens: Sequence[str]) -> list[str]:
    """``--a.b VALUE`` and ``--a.b=VALUE`` as ``--set=a.b=VALUE``; everything else as it is."""
    turned: list[str] = []
    rest = iter(tokens)
    for token in rest:
        name, has_value, value = token.partition("=")
        if not name.startswith("--") or "." not in name:
            turned.append(token)
            continue
        value = value if has_value else next(rest, "")
        if not value:
            raise UsageError(f"no value for {name}", "command line", f"give {name} VALUE")
        turned.append(f"--set={name[2:].replace('-', '_')}={value}")
    return turned


def _pairs(texts: Sequence[str], option: str, form: str, example: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UsageError(f"not {form}: {key!r}", option, f"give for example {example}")
    return {key: value for key, _, value in pairs}
