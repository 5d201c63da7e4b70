"""What a study is: everything that decides its results, typed and checked, from a TOML file and overrides.

    seed = 1
    env_id = "cartpole-swingup"
    num_episodes = 15            # model-driven episodes of each trial; a random one comes first

    [tuner]
    name = "pbt"                 # and that tuner's own settings
    population = 8

    [space]
    name = "small"               # or own tables: [space.parameters.learning_rate] kind = "float", low = ...
    tune = "joint"               # or "model", "planner"
    defaults = { num_epochs = 5 } # where it starts from; what is not given: the agent's own, written down at the start

    [agent]                      # what is fixed: hyperparameters (these are not tuned) and choices of shape
    planner = "icem"             # or preset = "mbrl-lib": what a published code has

    [agent_defaults]             # what [agent] leaves open; written down at the start, so that it stays as it was
    num_epochs = 20

    [engine]
    lanes = 1                    # agents in one program; default: 1, and on GPUs as many as there are at a time
    deterministic = true         # the same bits in every process, also on a GPU, where it costs speed; default: false
    whole_episodes = true        # environments that are formulas need not be stepped; default: false
    max_call_s = 300.0           # an environment that takes longer for a step hangs
    isolate = "foreign"          # or "all", "none": which environments run in processes of their own
    executor = "processes"       # or "inline" (default), "ray": where agents run; changes no result
    workers = 4                  # of processes or ray; default: as many as there are cores
    max_worker_memory_mib = 4096 # a worker process that needs more is ended; default: no bound

    [failures]                   # how often what ended so is tried again, from its newest checkpoint, same seeds
    worker_lost = 2

    [validation]
    num_episodes = 5             # played by each of the best 3 at the end; 0 for none

``model = "simulator"`` plans with the true dynamics: no model is learned, and what is tuned is the planner.
``keep = "needed"`` drops checkpoints that nothing can ask for any more, as the study goes; "all" is the default.
``on_exploit = "keep"`` (or "cap", "exclude") says what counts of an episode whose physics broke: ``exploits.py``.

An unknown key is an error, and every error is one line with the cause, the place and what to do.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cartwheel.errors import ConfigError, did_you_mean
from cartwheel.exploits import OnExploit
from cartwheel.records import FAILURE_KINDS, MAX_LANES, Config, FailureKind
from cartwheel.toml_text import toml_text
from cartwheel.user_files import read_user_file

if TYPE_CHECKING:
    from cartwheel.spaces.space import Space
    from cartwheel.tuners.base import Tuner

EXTENDABLE = frozenset({"num_episodes"})
"""What may grow when a study goes on; everything else must stay as it was."""
ANOTHER_AGENT = frozenset({"env_id", "agent.preset", "agent.planner"})
"""Who replaces one of these asks for another agent, with defaults of its own."""
WITHOUT_EFFECT = frozenset(
    {
        "engine.executor",
        "engine.isolate",
        "engine.max_call_s",
        "engine.max_worker_memory_mib",
        "engine.workers",
        "keep",
        "task_file.path",
        *(f"failures.{kind}" for kind in FAILURE_KINDS),
    }
)
"""What changes no result of what ends well, and so may change when a study goes on."""
MAX_DEPTH = 8
"""Of tables in tables; the deepest that there is, a parameter's condition, is at 5."""
MAX_RETRIES = 100

Keep: TypeAlias = Literal["all", "needed"]
ExecutorName: TypeAlias = Literal["inline", "processes", "ray"]
Setting: TypeAlias = bool | int | float | str | list[int | float]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TunerSpec(BaseModel):
    """Which tuner, and its own settings: those the tuner checks itself."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: str = "pbt"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything in the table but the name."""
        return dict(self.model_extra or {})


class SpaceSpec(_Table):
    """What is tuned: a known space by name, or own parameters, and which group of them.

    ``defaults`` are a known space's: where it starts from. A study that begins fills in what is not given
    (``tuning.tune``); own parameters say theirs themselves.
    """

    name: str | None = None
    tune: Literal["model", "planner", "joint"] = "joint"
    parameters: dict[str, dict[str, Any]] = {}
    defaults: dict[str, bool | int | float | str] = {}

    @model_validator(mode="before")
    @classmethod
    def _name_it(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and not table.get("parameters"):
            return {"name": "small", **table}
        if isinstance(table, Mapping) and table.get("name") is not None:
            raise ValueError("give a name or own parameters, not both")
        if isinstance(table, Mapping) and table.get("defaults"):
            raise ValueError("defaults are for a space by name; own parameters have a default each")
        return table


class TaskFileSpec(_Table):
    """The file that the task came from. It is only ever run when the command line names it."""

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class EngineSpec(_Table):
    """How agents are computed. Bits depend on the number of lanes, so it belongs to the study.

    An environment of which the making, a reset or a step takes longer than ``max_call_s`` hangs. In a process of its
    own it is killed, and fails its segment; so is a worker process; inside the study's process it stops the study,
    resumably. ``foreign`` are those that neither Cartwheel brings along nor it has formulas for. ``workers`` and
    ``max_worker_memory_mib`` are not for ``inline``, and Ray watches memory itself. ``deterministic`` is about GPUs
    (``executors/xla.py``): a CPU always computes the same bits. ``whole_episodes`` is about tasks with ``equations``:
    an episode is one program then (``engines/whole_episodes.py``), in float32 and with other bits.
    """

    lanes: int = Field(default=1, ge=1, le=MAX_LANES)
    max_call_s: float = Field(default=300.0, gt=0)
    executor: ExecutorName = "inline"
    workers: int | None = Field(default=None, ge=1, le=4096)
    max_worker_memory_mib: int | None = Field(default=None, ge=1)
    isolate: Literal["foreign", "all", "none"] = "foreign"
    deterministic: bool = False
    whole_episodes: bool = False


class FailuresSpec(_Table):
    """How often a segment or evaluation that ended so is tried again: the same work, with the same seeds.

    It goes on from its newest checkpoint, and after that many times it is a failure on record, which ranks worst. What
    follows from config and seeds alone would only end so again, so it is not tried by default.
    """

    environment_error: int = Field(default=1, ge=0, le=MAX_RETRIES)
    unstable_physics: int = Field(default=0, ge=0, le=MAX_RETRIES)
    non_finite_training: int = Field(default=0, ge=0, le=MAX_RETRIES)
    diverged_model: int = Field(default=0, ge=0, le=MAX_RETRIES)
    out_of_memory: int = Field(default=1, ge=0, le=MAX_RETRIES)
    timeout: int = Field(default=1, ge=0, le=MAX_RETRIES)
    worker_lost: int = Field(default=2, ge=0, le=MAX_RETRIES)
    corrupt_checkpoint: int = Field(default=1, ge=0, le=MAX_RETRIES)

    @property
    def retries(self) -> dict[FailureKind, int]:
        """By kind. What is not in it is never tried again."""
        return {kind: getattr(self, kind) for kind in FAILURE_KINDS if kind in type(self).model_fields}


class ValidationSpec(_Table):
    """How the final best three are compared."""

    num_episodes: int = Field(default=5, ge=0, le=10_000)


class StudySpec(_Table):
    """One study. Two equal specs give the same study on the same machine."""

    env_id: str = Field(min_length=1, max_length=200)
    num_episodes: int = Field(ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=2**63)
    episode_length: int | None = Field(default=None, ge=1, le=1_000_000)
    task_file: TaskFileSpec | None = None
    on_exploit: OnExploit = "keep"
    model: Literal["learned", "simulator"] = "learned"
    keep: Keep = "all"
    tuner: TunerSpec = TunerSpec()
    space: SpaceSpec = SpaceSpec()
    agent: dict[str, Setting] = {}
    agent_defaults: dict[str, Setting] = {}
    engine: EngineSpec = EngineSpec()
    failures: FailuresSpec = FailuresSpec()
    validation: ValidationSpec = ValidationSpec()

    @model_validator(mode="before")
    @classmethod
    def _choose_space(cls, table: Any) -> Any:
        """Where no space is given, the small one of the planner: the agent's own, or its preset's."""
        from cartwheel.agents.pets.presets import PRESETS
        from cartwheel.spaces.named import small_space_of

        if not isinstance(table, Mapping):
            return table
        agent, space = table.get("agent", {}), table.get("space", {})
        is_given = not isinstance(space, Mapping) or "name" in space or "parameters" in space
        if is_given or not isinstance(agent, Mapping):
            return table
        preset = PRESETS.get(agent["preset"]) if isinstance(agent.get("preset"), str) else None
        planner = {**(preset.everywhere if preset is not None else {}), **agent}.get("planner")
        return table if planner is None else {**table, "space": {**space, "name": small_space_of(planner)}}

    def make_space(self) -> "Space":
        """The space that is tuned: what ``agent`` fixes is not in it. Raises ConfigError."""
        from cartwheel.spaces.named import get_space
        from cartwheel.spaces.space import Space

        try:
            if self.space.name is None:
                known = Space.from_dict(self.space.parameters)
            else:
                known = get_space(self.space.name).with_default(self.space.defaults)
            fixed = {name: value for name, value in self.agent.items() if not isinstance(value, list)}
            # who knows the true dynamics has no model to tune
            group = "planner" if self.model == "simulator" else self.space.tune
            return known.select(group, fixed=fixed)
        except ValueError as error:
            raise ConfigError(str(error), "space", "correct the study file or the option") from error

    def make_tuner(self) -> "Tuner":
        """A fresh tuner. Raises ConfigError on an unknown name or setting."""
        from cartwheel.tuners.counted import CountedReturns
        from cartwheel.tuners.registry import make_tuner

        space = self.make_space()
        try:
            tuner = make_tuner(self.tuner.name, self.tuner.settings, space, self.seed, self.num_episodes)
        except ValueError as error:
            raise ConfigError(str(error), "tuner", "correct the study file or the option") from error
        return tuner if self.on_exploit == "keep" else CountedReturns(tuner, self.on_exploit)

    def as_begun(self, begun: "StudySpec") -> "StudySpec":
        """This study, with what it leaves open as it was when it began: the number of lanes, and the defaults."""
        spec = self
        if not self.agent_defaults:
            spec = spec.with_agent_defaults(begun.agent_defaults)
        if "lanes" not in self.engine.model_fields_set:
            spec = spec.with_lanes(begun.engine.lanes)
        if self.space.name is not None and self.space.name == begun.space.name:
            spec = spec.with_space_defaults({**begun.space.defaults, **self.space.defaults})
        return spec

    def with_lanes(self, lanes: int) -> "StudySpec":
        """With so many agents in one program."""
        return self.model_copy(update={"engine": self.engine.model_copy(update={"lanes": lanes})})

    @property
    def agent_settings(self) -> dict[str, Any]:
        """What is known of its agents: what the study says, and what it leaves open as it was when it began."""
        return {**self.agent_defaults, **self.agent}

    def with_agent_defaults(self, settings: Mapping[str, Any]) -> "StudySpec":
        """With these settings of agents where the study says nothing; in their order, so that they stay the same."""
        return self.model_copy(
            update={"agent_defaults": {name: settings[name] for name in sorted(settings) if name not in self.agent}}
        )

    def with_space_defaults(self, defaults: Config) -> "StudySpec":
        """In place of those that it has; by name, so that what is written of them stays the same."""
        return self.model_copy(
            update={"space": self.space.model_copy(update={"defaults": dict(sorted(defaults.items()))})}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``parse_spec`` is the inverse."""
        return self.model_dump(exclude_none=True)

    def to_toml(self, *, with_tuning: bool = True) -> str:
        """The resolved study file; without the tuner and its space where nobody tunes."""
        of_tuning = () if with_tuning else ("tuner", "space")
        return toml_text({key: value for key, value in self.to_dict().items() if key not in of_tuning})


def load_spec(path: Path, overrides: Mapping[str, str]) -> StudySpec:
    """The study of a TOML file, with values replaced by dotted overrides. Raises ConfigError."""
    try:
        return parse_spec(tomllib.loads(read_user_file(path, "study file").decode()), overrides, str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"not TOML: {error}", str(path), "correct the study file") from error


def parse_spec(table: Mapping[str, Any], overrides: Mapping[str, str], source: str = "command line") -> StudySpec:
    """The study of a table, with values replaced by dotted overrides. Raises ConfigError naming ``source`` and key."""
    merged = _deep_copy(table, source)
    if any(dotted in ANOTHER_AGENT for dotted in overrides):
        merged.pop("agent_defaults", None)
    for dotted, text in overrides.items():
        _set(merged, dotted, parse_value(text))
    try:
        return StudySpec.model_validate(merged)
    except ValidationError as error:
        cause, key = _explain(error)
        is_override = any(key == dotted or dotted.startswith(f"{key}.") for dotted in overrides)
        place = f"--{key}" if is_override else f"{source}: {key}"
        raise ConfigError(cause, place, "correct it and run the same command again") from error


def parse_value(text: str) -> Any:
    """What an override means: a TOML value if it is one, else the text itself."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if table.keys() == {"value"} else text


def differences(old: StudySpec, new: StudySpec) -> list[str]:
    """What keeps ``new`` from being the same study, grown: one ``key: old -> new`` each."""
    before, after = dict(_flat(old.to_dict())), dict(_flat(new.to_dict()))
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    fixed = [key for key in changed if key not in EXTENDABLE | WITHOUT_EFFECT]
    found = [f"{key}: {before.get(key)} -> {after.get(key)}" for key in fixed]
    if new.num_episodes < old.num_episodes:
        found.append(f"num_episodes: {old.num_episodes} -> {new.num_episodes} (it can only grow)")
    if (old.keep, new.keep) == ("needed", "all"):
        found.append("keep: needed -> all (what was dropped cannot be kept)")
    return found


def _explain(error: ValidationError) -> tuple[str, str]:
    """Cause and dotted key of the first error."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return f"unknown key {path[-1]!r}: {did_you_mean(path[-1], _known_keys(path[:-1]))}", ".".join(path)
    if first["type"] == "missing":
        return f"{path[-1]} is missing", ".".join(path)
    if first["type"] == "model_type":
        return f"must be a table of settings, got {first['input']!r}", ".".join(path)
    if path[0] == "agent" and len(path) > 1:
        return "must be a finite number, a string, true or false, or a list of numbers", ".".join(path[:2])
    got = first["input"]
    is_plain = isinstance(got, bool | int | float | str)
    return first["msg"].removeprefix("Value error, ") + (f", got {got!r}" if is_plain else ""), ".".join(path)


def _known_keys(path: list[str]) -> list[str]:
    model: Any = StudySpec
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _set(table: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for name in parents:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{name} is a value, not a table", f"--{dotted}", "correct the option")
    table[last] = value


def _deep_copy(table: Mapping[str, Any], source: str, depth: int = 1) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise ConfigError(f"tables are nested more than {MAX_DEPTH} deep", source, "correct the study file")
    return {
        name: _deep_copy(value, source, depth + 1) if isinstance(value, Mapping) else value
        for name, value in table.items()
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
