"""Running studies: tune, rerun and train in a run folder, begun, resumed or extended.

The Python interface: ``cartwheel.tune(StudySpec(...)) -> Study``.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from cartwheel.backend import AgentBackend, Backend
from cartwheel.disk_use import DiskUse
from cartwheel.errors import ConfigError, UsageError
from cartwheel.observer import Observer
from cartwheel.records import Config, Evaluation, SegmentId
from cartwheel.reruns import FollowSchedule, rerun_purpose
from cartwheel.results import Study
from cartwheel.schedules.schedule import Schedule
from cartwheel.spaces.space import Listed, Space
from cartwheel.spec import StudySpec, differences, parse_spec
from cartwheel.store.run_folder import SPEC, RunFolder, write_text
from cartwheel.study import Policy, Purpose, StudyLoop
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.rehearsal import Amount, Remains, amount_of, expected_amount, likely_remains

NUM_FINALISTS = 3
"""So many of the final ranking are validated; the best of them is the incumbent."""

RERUNS = "reruns"
EXTENDABLE_PLAN = "seeds"

StopCheck: TypeAlias = Callable[[], bool]


@dataclass(frozen=True)
class Running:
    """How a study is run, none of which changes its results. ``max_hours`` stops it resumably."""

    observers: Sequence[Observer] = ()
    should_stop: StopCheck = lambda: False
    max_hours: float | None = None
    backend: Backend = field(default_factory=AgentBackend)

    def say(self, message: str) -> None:
        """Tell all observers something that the user should know."""
        for observer in self.observers:
            observer.on_message(message)

    def stop_check(self) -> StopCheck:
        """``should_stop``, or the hours are over, counted from now."""
        if self.max_hours is None:
            return self.should_stop
        deadline = time.monotonic() + 3600 * self.max_hours
        return lambda: self.should_stop() or time.monotonic() >= deadline


@dataclass(frozen=True)
class _Job:
    """What a run folder is for. ``plan`` is what decides the results beside the spec.

    ``sized`` is the spec with the episodes, and ``reachable`` the configs, that the agent's program must cover.
    ``amount`` is what will be kept if nothing fails. ``alone`` are the configs of an agent that trains alone, and may
    have all devices.
    """

    path: Path
    kind: str
    spec: StudySpec
    plan: Mapping[str, Any]
    sized: StudySpec
    reachable: Sequence[Config]
    amount: Amount
    alone: Sequence[Config] = ()


def tune(spec: StudySpec, run_dir: Path | None = None, running: Running | None = None) -> Study:
    """Begin, resume or extend the study of ``spec`` in ``run_dir``. ``Study.is_done`` is False if it was stopped.

    Raises ConfigError if ``run_dir`` holds another study, StorageError and AlreadyOwned as ``RunFolder.to_write``.
    """
    tuner, folder_path = spec.make_tuner(), run_dir or default_run_dir(spec)
    purpose = Purpose(
        segment_seed=lambda segment: (spec.seed, "tune", segment.id),
        evaluation_seed=lambda evaluation: ("validation", evaluation.seed),
        evaluations=lambda ranking: _validations(spec, ranking),
        num_best=NUM_FINALISTS,
    )
    running = running or Running()
    for warning in tuner.state().get("warnings", ()):
        running.say(warning)
    job = _Job(folder_path, "tune", spec, {}, spec, corners(spec), kept_amount(spec))
    return _run(job, StudySpec.make_tuner, purpose, running)


def rerun(
    run_dir: Path,
    schedule: Schedule | None = None,
    *,
    name: str = "found",
    num_seeds: int = 5,
    running: Running | None = None,
) -> Study:
    """Train anew under a schedule, by default the study's best one, on ``num_seeds`` test seeds; evaluate each.

    The results are a study of their own under ``reruns/NAME`` of the run folder; raising ``num_seeds`` extends it.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise UsageError(f"not a name for a rerun: {name!r}", "--name", "use letters a-z, digits and dashes")
    with RunFolder.to_read(run_dir) as folder:
        spec = spec_of(folder)
    chosen = Study(run_dir).schedule() if schedule is None else schedule
    return follow(run_dir / RERUNS / name, "test", spec, chosen, list(range(num_seeds)), running or Running())


def train(spec: StudySpec, schedule: Schedule, run_dir: Path | None = None, running: Running | None = None) -> Study:
    """Train one agent under a schedule and evaluate it."""
    path = run_dir or default_train_dir(spec)
    return follow(path, "train", spec, schedule, [spec.seed], running or Running())


def spec_of(folder: RunFolder) -> StudySpec:
    """The spec that a study was begun with, as extended since."""
    return parse_spec(folder.read.meta("spec"), {}, str(folder.path))


def default_run_dir(spec: StudySpec) -> Path:
    """Where a study without a name goes."""
    return Path("runs") / _slug(f"{spec.env_id}-{spec.tuner.name}")


def default_train_dir(spec: StudySpec) -> Path:
    """Where a training without a name goes."""
    return Path("runs") / _slug(f"{spec.env_id}-train")


def follow(path: Path, family: str, spec: StudySpec, schedule: Schedule, seeds: list[int], running: Running) -> Study:
    """Train one agent per seed of a family under a schedule, and evaluate each: a study of its own in ``path``."""
    plan = {"family": family, "schedule": schedule.to_text(), EXTENDABLE_PLAN: seeds}
    purpose = rerun_purpose(family, seeds, spec.validation.num_episodes)
    configs = [piece.config for piece in schedule.pieces]
    reachable = [*corners(spec), *configs]
    # the buffer must hold the whole schedule, also where that is longer than the study was
    sized = spec.model_copy(update={"num_episodes": max(spec.num_episodes, schedule.num_episodes)})
    amount = amount_of(FollowSchedule(schedule, len(seeds)), _num_best(spec, len(seeds)))
    # a rerun may get more seeds later, and its agents' bits must not depend on how many
    job = _Job(path, family, spec, plan, sized, reachable, amount, alone=configs if family == "train" else ())
    return _run(job, lambda _: FollowSchedule(schedule, len(seeds)), purpose, running)


def kept_amount(spec: StudySpec) -> Amount:
    """The most that a study keeps, if nothing fails."""
    return expected_amount(*_to_rehearse(spec))


def kept_in_the_end(spec: StudySpec) -> list[Remains]:
    """What the study has kept when it is done, if nothing fails: in some of the ways in which it may go."""
    return likely_remains(*_to_rehearse(spec), spec.seed)


def _to_rehearse(spec: StudySpec) -> tuple[str, Mapping[str, Any], Space, int, int | None]:
    num_best = _num_best(spec, NUM_FINALISTS)
    return spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes, num_best


def _num_best(spec: StudySpec, num_best: int) -> int | None:
    """None where all is kept."""
    return num_best if spec.keep == "needed" else None


def corners(spec: StudySpec) -> list[Config]:
    """Configs that together hold the lowest and the highest value of every range and every value of every choice."""
    ends = {
        name: parameter.values if isinstance(parameter, Listed) else (parameter.low, parameter.high)
        for name, parameter in spec.make_space().parameters.items()
    }
    num_configs = max(map(len, ends.values()))
    return [{name: values[min(k, len(values) - 1)] for name, values in ends.items()} for k in range(num_configs)]


def with_own_defaults(spec: StudySpec, backend: Backend) -> StudySpec:
    """The study, its named space starting from what the agent has untuned, or the nearest that is in range."""
    if spec.space.name is None:
        return spec
    space, own = spec.make_space(), backend.own_config(spec)
    known = {name: own[name] for name in space.names if name in own and name not in spec.space.defaults}
    return spec.with_space_defaults({**spec.space.defaults, **space.clip({**space.default, **known})})


def _run(job: _Job, make_tuner: Callable[[StudySpec], Tuner], purpose: Purpose, running: Running) -> Study:
    running.backend.check(job.sized, job.reachable)
    with RunFolder.to_write(job.path) as folder:
        job = _settled(folder, job, make_tuner, running.backend)
        _adopt(folder, job)
        should_stop = running.stop_check()
        executor = running.backend.make(job.sized, job.reachable, folder.checkpoints, running.say)
        try:
            sizes = running.backend.file_sizes(job.sized, job.reachable)
            disk_use = DiskUse(folder, job.amount, executor.num_free, sizes, running.say)
            observers = (*running.observers, disk_use)
            policy = Policy(job.spec.failures.retries, job.spec.keep)
            StudyLoop(folder, make_tuner(job.spec), executor, purpose, observers, policy).run(should_stop)
        finally:
            executor.close()
        return Study(job.path)  # while nobody else can go on with it


def _settled(folder: RunFolder, job: _Job, make_tuner: Callable[[StudySpec], Tuner], backend: Backend) -> _Job:
    """What the study leaves open: as it was begun, or as suits agents and devices."""
    if not folder.is_blank:
        spec = job.spec.as_begun(spec_of(folder))
    else:
        spec = with_own_defaults(job.spec, backend) if job.kind == "tune" else job.spec
        if not spec.agent_defaults:
            spec = spec.with_agent_defaults(backend.agent_defaults(job.sized, job.reachable, job.alone))
        if "lanes" not in spec.engine.model_fields_set:
            tuner = make_tuner(spec)
            spec = spec.with_lanes(backend.default_lanes(job.sized, job.reachable, lambda most: len(tuner.ask(most))))
    sized = spec.model_copy(update={"num_episodes": job.sized.num_episodes})
    return dataclasses.replace(job, spec=spec, sized=sized)


def _adopt(folder: RunFolder, job: _Job) -> None:
    """Make this the folder's study, or see that it is. Raises ConfigError, naming what differs, if it is another."""
    kind, spec, plan = job.kind, job.spec, job.plan
    meta = {"kind": kind, "spec": spec.to_dict(), "plan": dict(plan), "is_done": False}
    if folder.is_blank:
        folder.create(meta)
    else:
        old_kind, old_plan = folder.read.meta("kind"), folder.read.meta("plan")
        found = differences(spec_of(folder), spec) if old_kind == kind else [f"kind: {old_kind} -> {kind}"]
        found += [f"{key} of the rerun" for key in plan if not _may_become(key, old_plan.get(key), plan[key])]
        if found:
            step = "give the same settings to resume it, or choose another folder"
            raise ConfigError(f"the folder holds another study: {', '.join(found)}", str(folder.path), step)
        with folder.commit() as writer:
            for key, value in meta.items():
                writer.set_meta(key, value)
    write_text(folder.path / SPEC, spec.to_toml(with_tuning=kind == "tune"))


def _may_become(key: str, old: Any, new: Any) -> bool:
    return old == new or (key == EXTENDABLE_PLAN and isinstance(old, list) and new[: len(old)] == old)


def _validations(spec: StudySpec, ranking: Sequence[SegmentId]) -> list[Evaluation]:
    num_episodes = spec.validation.num_episodes
    return [Evaluation(segment, spec.seed, num_episodes) for segment in ranking[:NUM_FINALISTS] if num_episodes]


def _slug(text: str) -> str:
    """A folder name: no separators, no leading dot."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:100] or "study"
