"""Tune, then ask what tuning bought: the found schedule against the default config and Random Search, on fresh seeds.

Everything lies in one run folder and is a study of its own, so each step resumes where it stood:

    RUN_DIR/                    the tuner's study, and the report with the comparison
    RUN_DIR/random-search/      Random Search with as many episodes in all: the same total env steps
    RUN_DIR/reruns/NAME-R/      trainings of R episodes under each arm, on common test seeds, each evaluated
    RUN_DIR/comparison.json     the arms' returns
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cartwheel.analysis.comparison import Arm, Ceiling, Comparison, arms_from_json, arms_to_json, compare
from cartwheel.analysis.load import load_arm
from cartwheel.analysis.tables import counts
from cartwheel.errors import ConfigError, StorageError, UsageError
from cartwheel.records import Config
from cartwheel.results import Study
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.store.run_folder import DATABASE, write_text
from cartwheel.study_agents import agent_setup
from cartwheel.tuning import RERUNS, Running, corners, rerun, tune

COMPARISON = "comparison.json"
RANDOM_SEARCH = "random-search"

RunStep = Callable[[str, int | None, Callable[[Running], Study]], Study]
"""Runs one step: its title, the episodes it will run if that is known, and what to do with a ``Running``."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    label: str
    schedule: Schedule
    tuning_env_steps: int


def compare_with_controls(
    spec: StudySpec, run_dir: Path, num_seeds: int, num_ceiling_episodes: int, run_step: RunStep
) -> Comparison | None:
    """The comparison, written into ``run_dir`` as well; None if a step was stopped (the same call goes on).

    ``run_step`` shows how each step goes. Raises UsageError without seeds or evaluation episodes, and what ``tune``
    and ``rerun`` raise.
    """
    if num_seeds < 1 or not spec.validation.num_episodes:
        raise UsageError("nothing to compare", "--seeds, validation.num_episodes", "give at least 1 of each")
    found = run_step(f"Tuning with {spec.tuner.name}", None, lambda running: tune(spec, run_dir, running))
    if not found.is_done:
        return None
    # Random Search runs whole trials only: where the found study's episodes are no multiple, it gets the larger share
    per_trial = spec.num_episodes + 1
    num_trials = -(-counts(found.tables).num_episodes // per_trial)
    control, path = _random_search(spec, num_trials), run_dir / RANDOM_SEARCH
    searched = run_step("Random Search", num_trials * per_trial, lambda running: tune(control, path, running))
    if not searched.is_done:
        return None
    arms = []
    for candidate in _candidates(spec, found, searched):
        arm = _train_anew(candidate, run_dir, num_seeds, run_step)
        if arm is None:
            return None
        arms.append(arm)
    ceiling = _ceiling(spec, num_ceiling_episodes)
    write_text(run_dir / COMPARISON, json.dumps(arms_to_json(arms, ceiling), indent=1) + "\n")
    return compare(arms, network_evaluations_of(spec), ceiling)


def load_comparison(study: Study, spec: StudySpec) -> Comparison | None:
    """The comparison in a study's run folder; None if there is none, or if the study has gone on since.

    Raises StorageError if it cannot be read.
    """
    path = study.run_dir / COMPARISON
    if not path.exists():
        return None
    try:
        arms, ceiling = arms_from_json(json.loads(path.read_text(encoding="utf-8")))
        found = arms[-1]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise StorageError(f"not a comparison: {error}", str(path), "delete it and compare again") from error
    if found.configs != _configs(study.schedule()):
        return None
    return compare(arms, network_evaluations_of(spec), ceiling)


def load_rerun(study: Study) -> Arm | None:
    """The agents that `cartwheel rerun` trained anew under a study's schedule; None unless they are all done.

    Those of an older schedule, of a study that has gone on since, do not count.
    """
    path = study.run_dir / RERUNS / "found"
    if not (path / DATABASE).is_file() or not study.is_done or not Study(path).is_done:
        return None
    arm = load_arm(path, "found", "the schedule")
    return arm if arm.configs == _configs(study.schedule()) else None


def network_evaluations_of(spec: StudySpec) -> Callable[[Config], float]:
    """Network evaluations per env step of a study's agents, by config. Raises ConfigError if they have none."""
    if spec.model == "simulator":
        raise ConfigError("the true dynamics are no network", "model")
    return agent_setup(spec, corners(spec)).network_evaluations


def _configs(schedule: Schedule) -> tuple[Config, ...]:
    return tuple(schedule.config_at(episode) for episode in range(1, schedule.num_episodes + 1))


def _random_search(spec: StudySpec, num_trials: int) -> StudySpec:
    """The control study: whole trials with as many episodes in all.

    Its seed is another one: under the same seed PBT's first population *is* Random Search's draws, and comparing a
    study with its own first members would say little.
    """
    tables = {**spec.to_dict(), "seed": spec.seed + 1, "tuner": {"name": RANDOM_SEARCH, "num_trials": num_trials}}
    return parse_spec(tables, {}, "the Random Search control")


def _candidates(spec: StudySpec, found: Study, searched: Study) -> Sequence[_Candidate]:
    def constant(config: Config) -> Schedule:
        return Schedule((Piece(0, spec.num_episodes, config),))

    best = searched.best.config
    return (
        _Candidate("default", "the default config", constant({}), 0),
        _Candidate(RANDOM_SEARCH, "the best config of Random Search", constant(best), _env_steps(searched)),
        _Candidate("found", "the schedule", found.schedule(), _env_steps(found)),
    )


def _env_steps(study: Study) -> int:
    counted = counts(study.tables)
    return counted.env_steps + counted.evaluation_env_steps


def _train_anew(candidate: _Candidate, run_dir: Path, num_seeds: int, run_step: RunStep) -> Arm | None:
    schedule, name = candidate.schedule, f"{candidate.name}-{candidate.schedule.num_episodes}"
    study = run_step(
        f"Training anew under {candidate.label}",
        num_seeds * (schedule.num_episodes + 1),
        lambda running: rerun(run_dir, schedule, name=name, num_seeds=num_seeds, running=running),
    )
    if not study.is_done:
        return None
    return load_arm(run_dir / RERUNS / name, candidate.name, candidate.label, candidate.tuning_env_steps)


def _ceiling(spec: StudySpec, num_episodes: int) -> Ceiling | None:
    """What the default config's planner gets with the true dynamics; None where they are not known, or where it breaks
    them: an episode that did not end has no return."""
    from cartwheel.ceiling import play_true_dynamics
    from cartwheel.envs.pool import EnvironmentFailed

    try:
        episodes = play_true_dynamics(agent_setup(spec, corners(spec)), {}, ("ceiling", spec.seed), num_episodes)
    except (ValueError, EnvironmentFailed):
        return None
    return Ceiling(sum(episode.return_ for episode in episodes) / len(episodes), len(episodes))
