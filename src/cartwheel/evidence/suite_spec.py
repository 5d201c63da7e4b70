"""What a suite is: arms x tasks x tuner seeds, from a TOML file.

    tuner_seeds = 5              # studies of every arm on every task, under the seeds 1, 2, ...
    num_agents = 8               # the budget of a study: so many agents trained to the end, random episodes included

    [tests]
    num_seeds = 10               # test seeds: the agent plays on each, and one is trained anew for each
    num_episodes = 5             # played on each

    [study]                      # what all studies share: the keys of a study file
    num_episodes = 9

    [tasks.cartpole-swingup]     # by environment; what differs on it
    [arms.pbt.tuner]             # by name; what differs in it, a tuner at least
    name = "pbt"

    [transfer]                   # if given: every found schedule is followed on every task
    arms = ["pbt", "random-search"]
    num_pieces = 2               # and, of dynamic ones, the nearest of so many pieces

A tuner that has ``num_trials`` or ``population`` and does not say how many gets ``num_agents``. Later tables win:
study, then task, then arm.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cartwheel.errors import ConfigError, did_you_mean
from cartwheel.evidence.protocol import HowTested
from cartwheel.seeds import seed_integer
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.tuners.registry import TUNERS
from cartwheel.user_files import read_user_file

SIZES = ("num_trials", "population")
"""The settings that say how many agents a tuner trains."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class HowTestedSpec(_Table):
    """As ``HowTested``."""

    num_seeds: int = Field(default=10, ge=1, le=10_000)
    num_episodes: int = Field(default=5, ge=1, le=10_000)


class TransferSpec(_Table):
    """Which arms' schedules are moved to all tasks."""

    arms: list[str] = Field(min_length=1)
    num_pieces: int | None = Field(default=None, ge=1)


class SuiteSpec(_Table):
    """Tables of ``study``, ``tasks`` and ``arms`` are parts of study files, checked when they are put together."""

    tuner_seeds: int = Field(default=5, ge=1, le=1_000)
    num_agents: int = Field(default=8, ge=1)
    tests: HowTestedSpec = HowTestedSpec()
    study: dict[str, Any] = {}
    tasks: dict[str, dict[str, Any]] = Field(min_length=1)
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    transfer: TransferSpec | None = None

    @property
    def how_tested(self) -> HowTested:
        """The tests of every study."""
        return HowTested(self.tests.num_seeds, self.tests.num_episodes)


@dataclass(frozen=True, slots=True)
class Cell:
    """One study of a suite."""

    task: str
    arm: str
    tuner_seed: int
    spec: StudySpec


def load_suite(
    path: Path, env_id: str | None = None, tuner_seeds: int | None = None, test_seeds: int | None = None
) -> SuiteSpec:
    """The suite of a file; ``env_id``: on this task instead of its own; with so many seeds instead of its own.

    Raises ConfigError with key and cause.
    """
    try:
        tables = tomllib.loads(read_user_file(path, "suite file").decode())
    except ValueError as error:
        raise ConfigError(f"not TOML: {error}", str(path), "correct the file") from error
    if env_id is not None:
        own = tables.get("tasks", {})
        tables["tasks"] = {env_id: own.get(env_id, {}) if isinstance(own, Mapping) else {}}
    if tuner_seeds is not None:
        tables["tuner_seeds"] = tuner_seeds
    if test_seeds is not None:
        own = tables.get("tests", {})
        tables["tests"] = {**(own if isinstance(own, Mapping) else {}), "num_seeds": test_seeds}
    suite = _parsed(tables, path)
    for name in suite.transfer.arms if suite.transfer else ():
        if name not in suite.arms:
            raise ConfigError(f"no arm {name!r}: {did_you_mean(name, suite.arms)}", f"{path}: transfer.arms")
    for _ in cells(suite, str(path)):
        pass  # every study can be put together
    return suite


def cells(suite: SuiteSpec, source: str) -> Iterator[Cell]:
    """All studies; all arms and tasks under one seed before the next, so that a stopped suite compares what it has.

    A study's seed is a function of its task's and its arm's names too: under equal seeds Random Search would draw what
    PBT's first population was, and what it found on one task would be what it finds on the next.
    """
    for tuner_seed in range(1, suite.tuner_seeds + 1):
        for task in suite.tasks:
            for arm in suite.arms:
                yield Cell(task, arm, tuner_seed, study_spec(suite, task, arm, tuner_seed, source))


def study_spec(suite: SuiteSpec, task: str, arm: str, tuner_seed: int, source: str) -> StudySpec:
    """One study of the suite. Raises ConfigError naming arm and task."""
    given = {"env_id": task, "seed": seed_integer("suite", task, arm, tuner_seed)}
    tables = _merged(_merged(suite.study, suite.tasks[task]), suite.arms[arm])
    place = f"{source}: {arm} on {task}"
    for key in given.keys() & tables.keys():
        raise ConfigError(f"{key} is the suite's to say", place, "leave it out")
    tuner = tables.get("tuner", {})
    if not isinstance(tuner, Mapping) or tuner.get("name") not in TUNERS:
        raise ConfigError("no known tuner", place, "give [arms.NAME.tuner] a name, such as pbt")
    sizes = [field.name for field in fields(TUNERS[tuner["name"]].settings) if field.name in SIZES]
    sized = {**dict.fromkeys(sizes, suite.num_agents // int(tuner.get("replicates", 1))), **tuner}
    spec = parse_spec({**given, **tables, "tuner": sized}, {}, place)
    spec.make_tuner()
    return spec


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables within tables are merged, values replaced."""
    both = {**base, **changes}
    for key in base.keys() & changes.keys():
        if isinstance(base[key], Mapping) and isinstance(changes[key], Mapping):
            both[key] = _merged(base[key], changes[key])
    return both


def _parsed(tables: Mapping[str, Any], path: Path) -> SuiteSpec:
    try:
        return SuiteSpec.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        cause = first["msg"]
        if first["type"] == "extra_forbidden":
            cause = f"unknown key: {did_you_mean(str(first['loc'][-1]), SuiteSpec.model_fields)}"
        raise ConfigError(cause, f"{path}: {place}", "correct the file and run the same command again") from error
