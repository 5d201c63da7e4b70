"""What ``cartwheel schedule`` gives: the schedule of a study or of a file, averaged, cut, simplified, scaled."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from cartwheel.errors import ConfigError, UsageError
from cartwheel.records import Config, Value
from cartwheel.results import Study
from cartwheel.schedules.files import Format, ScheduleFile, schedule_to_text
from cartwheel.schedules.fitting import Shape, Simplified, simplify
from cartwheel.schedules.scaling import scaled, scales_in_words
from cartwheel.schedules.schedule import Schedule
from cartwheel.spaces.named import get_space
from cartwheel.spaces.space import Space
from cartwheel.spec import parse_spec


@dataclass(frozen=True, slots=True)
class Wanted:
    """``num_top``: average so many of the best trials of a study instead of taking the incumbent.

    ``num_pieces``: simplify to so many pieces of ``shape``, in the coordinates of the space of that name, by default
    the study's own. ``scales``: factors for hyperparameters by name, after all else.
    """

    num_top: int | None = None
    num_episodes: int | None = None
    num_pieces: int | None = None
    shape: Shape | None = None
    space: str | None = None
    file_format: Format = "cartwheel"
    scales: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """Text for a file; and of what was simplified or scaled, what came out, for people and for programs."""

    text: str
    description: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def make_schedule(source: ScheduleFile, wanted: Wanted) -> Made:
    """The schedule that is wanted, of a run folder or of a schedule file. Raises UsageError and ConfigError."""
    schedule, own_space = _of_file(source, wanted) if source.path.is_file() else _of_study(source, wanted)
    if wanted.num_pieces is None:
        if wanted.shape is not None or wanted.space is not None:
            raise UsageError("--shape and --space say how to simplify", "command line", "give --simplify PIECES")
        result = _scaled(schedule, source, wanted)
        return Made(_text(result, source, wanted), _scales(result), _scale_facts(result))
    simple = _simplified(schedule, own_space, source, wanted)
    result = _scaled(simple.schedule, source, wanted)
    facts = {"rms_error": simple.rms_error, "errors": {name: asdict(error) for name, error in simple.errors.items()}}
    description = "\n".join(filter(None, [_description(simple), _scales(result)]))
    return Made(_text(result, source, wanted), description, {**facts, **_scale_facts(result)})


def _of_study(source: ScheduleFile, wanted: Wanted) -> tuple[Schedule, Space | None]:
    if source.names:
        raise UsageError("--rename is for the policy files of Ray's PBT", str(source.path), "leave it out")
    study = Study(source.path)
    schedule = study.schedule() if wanted.num_top is None else study.average_schedule(wanted.num_top)
    if wanted.num_episodes is not None:
        try:
            schedule = schedule.first(wanted.num_episodes)
        except ValueError as error:
            raise UsageError(str(error), str(source.path), "give fewer --episodes") from error
    return schedule, parse_spec(study.tables.settings, {}, str(source.path)).make_space()


def _of_file(source: ScheduleFile, wanted: Wanted) -> tuple[Schedule, Space | None]:
    if wanted.num_top is not None:
        raise UsageError("--top is for the trials of a study", str(source.path), "give a run folder")
    return source.read(wanted.num_episodes), None


def _simplified(schedule: Schedule, own_space: Space | None, source: ScheduleFile, wanted: Wanted) -> Simplified:
    try:
        space = own_space if wanted.space is None else get_space(wanted.space)
        if space is None:
            raise UsageError("a schedule file has no space", str(source.path), "give --space, such as --space small")
        space = space.only(schedule.pieces[0].config)
        return simplify(schedule, space, wanted.num_pieces or 1, wanted.shape or "constant")
    except ValueError as error:
        raise ConfigError(str(error), str(source.path), "give a --space that holds the schedule") from error


def _scaled(schedule: Schedule, source: ScheduleFile, wanted: Wanted) -> Schedule:
    try:
        return scaled(schedule, wanted.scales)
    except ValueError as error:
        raise ConfigError(str(error), f"{source.path}, --scale", "give --scale NAME=FACTOR") from error


def _scales(schedule: Schedule) -> str:
    return f"scaled: {words}" if (words := scales_in_words(schedule)) else ""


def _scale_facts(schedule: Schedule) -> dict[str, Any]:
    return {"scales": dict(schedule.scales)} if schedule.scales else {}


def _text(schedule: Schedule, source: ScheduleFile, wanted: Wanted) -> str:
    try:
        return schedule_to_text(schedule, wanted.file_format)
    except ValueError as error:
        raise ConfigError(str(error), str(source.path), "use --format cartwheel") from error


def _description(simple: Simplified) -> str:
    """The pieces, one per line, and how far from the original they are."""
    config_at = simple.schedule.config_at
    pieces = [
        f"episodes {start + 1} to {stop}: {_values(config_at(start + 1), config_at(stop))}"
        for start, stop in pairwise([0, *simple.stops])
    ]
    errors = [f"  {name}: mean {e.mean:.3g}, largest {e.largest:.3g}" for name, e in simple.errors.items()]
    return "\n".join([*pieces, "distance to the original over the episodes, of 1 for a whole range:", *errors])


def _values(first: Config, last: Config) -> str:
    return ", ".join(
        f"{name} {_plain(first[name])}" + ("" if first[name] == last[name] else f" to {_plain(last[name])}")
        for name in first
    )


def _plain(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
