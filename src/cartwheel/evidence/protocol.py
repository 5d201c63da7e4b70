"""The protocol of an honest comparison, as the field asks for it (Eimer et al. 2023): three families of seeds.

- *tuning*: every training of the study;
- *validation*: the final best three play, and the best of them is the incumbent (``tuning.tune``);
- *test*: nothing is chosen by it. The incumbent's checkpoint plays (``play_tests``), and new agents are trained under
  its schedule and play. Keys depend on the test seed and the episode only, so all arms of a task
  meet the same start states, and are compared in pairs.

The families are disjoint by their names, so they never share a random number. Every step resumes where it stood.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cartwheel.errors import AllTrialsFailed, ConfigError, StorageError
from cartwheel.exploits import counted_return
from cartwheel.playing import play_on_test_seeds
from cartwheel.results import Study
from cartwheel.schedules.schedule import Schedule
from cartwheel.spec import StudySpec, differences
from cartwheel.store.run_folder import DATABASE, RunFolder, write_text
from cartwheel.tuning import Running, follow, spec_of, tune

TESTS = "tests"
"""What was tested lies in this folder of a run folder."""
AGENT = "agent.json"

T = TypeVar("T")


class RunStep(Protocol):
    """Runs one step and shows how it goes: its title, the episodes it will run if that is known, and the step."""

    def __call__(self, title: str, num_episodes: int | None, step: Callable[[Running], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class HowTested:
    """``num_seeds`` test seeds; on each an agent plays ``num_episodes`` and a rerun is trained and plays as many."""

    num_seeds: int = 10
    num_episodes: int = 5


@dataclass(frozen=True, slots=True)
class AgentTest:
    """What the incumbent's checkpoint returned, by test seed. ``checkpoint``: its digest."""

    checkpoint: str
    num_episodes: int
    returns: dict[int, list[float]]


def tuned(spec: StudySpec, run_dir: Path, title: str, run_step: RunStep) -> Study:
    """The study of ``spec`` in ``run_dir``, begun or resumed; one that is done is only read.

    Raises ConfigError if the folder holds another study. ``is_done`` is False if it was stopped.
    """
    if (run_dir / DATABASE).is_file() and _is_same(spec, run_dir):
        study = Study(run_dir)
        if study.is_done:
            return study
    return run_step(title, expected_episodes(spec), lambda running: tune(spec, run_dir, running))


def put_to_test(study: Study, tests: HowTested, title: str, run_step: RunStep) -> bool:
    """Test a finished study's agent, and rerun its schedule. False if it was stopped; a study without any agent is
    left as it is."""
    try:
        found = study.best
    except AllTrialsFailed:
        return True
    if len(_kept(study.run_dir, found.checkpoint, tests.num_episodes)) < tests.num_seeds:

        def play(running: Running) -> bool:
            return play_tests(study.run_dir, tests, running)

        if not run_step(f"{title}: testing the agent", None, play):
            return False
    path = study.run_dir / TESTS / found_name(study)
    return followed(path, spec_in(study.run_dir), study.schedule(), tests, f"{title}: training anew", run_step)


def followed(path: Path, spec: StudySpec, schedule: Schedule, tests: HowTested, title: str, run_step: RunStep) -> bool:
    """Train anew under a schedule on all test seeds, as a study in ``path``. False if it was stopped.

    Raises ConfigError if another training lies there: of another schedule, say, or evaluated on fewer episodes.
    """
    played = spec.validation.model_copy(update={"num_episodes": tests.num_episodes})
    spec = spec.model_copy(update={"validation": played})
    if (path / DATABASE).is_file():
        _require_same_training(path, spec, schedule)
        done = Study(path)
        if done.is_done and len(done.tables.trials) >= tests.num_seeds:
            return True

    def step(running: Running) -> Study:
        return follow(path, "test", spec, schedule, list(range(tests.num_seeds)), running)

    return run_step(title, tests.num_seeds * (schedule.num_episodes + 1), step).is_done


def found_name(study: Study) -> str:
    """Where the rerun of a study's incumbent lies under ``tests/``; an extended study has another one."""
    return f"found-{study.schedule().num_episodes}"


def spec_in(run_dir: Path) -> StudySpec:
    """The spec of the study in a folder."""
    with RunFolder.to_read(run_dir) as folder:
        return spec_of(folder)


def play_tests(run_dir: Path, tests: HowTested, running: Running) -> bool:
    """Play the incumbent's checkpoint on all test seeds that it has not played yet. False if it was stopped."""
    best, on_exploit = Study(run_dir).best, spec_in(run_dir).on_exploit
    (run_dir / TESTS).mkdir(exist_ok=True)
    returns = _kept(run_dir, best.checkpoint, tests.num_episodes)
    missing = [seed for seed in range(tests.num_seeds) if seed not in returns]
    for seed, episodes in play_on_test_seeds(run_dir, missing, tests.num_episodes, running):
        returns[seed] = [counted_return(episode, on_exploit) for episode in episodes]
        kept = {"checkpoint": best.checkpoint, "num_episodes": tests.num_episodes, "returns": returns}
        write_text(run_dir / TESTS / AGENT, json.dumps(kept) + "\n")
    return all(seed in returns for seed in range(tests.num_seeds))


def read_agent_test(run_dir: Path) -> AgentTest | None:
    """What was kept of testing an agent; None if there is nothing. Raises StorageError if it cannot be read."""
    path = run_dir / TESTS / AGENT
    if not path.exists():
        return None
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        returns = {int(seed): [float(value) for value in values] for seed, values in data["returns"].items()}
        return AgentTest(str(data["checkpoint"]), int(data["num_episodes"]), returns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"not the test of an agent: {error}", str(path), "delete it and test again") from error


def expected_episodes(spec: StudySpec) -> int:
    """Training episodes of a whole study if nothing fails, random ones included."""
    from cartwheel.tuners.rehearsal import expected_episodes as expected

    return expected(spec.tuner.name, spec.tuner.settings, spec.make_space(), spec.num_episodes)


def _is_same(spec: StudySpec, run_dir: Path) -> bool:
    old = spec_in(run_dir)
    return not differences(old, spec.as_begun(old)) and old.num_episodes == spec.num_episodes


def _require_same_training(path: Path, spec: StudySpec, schedule: Schedule) -> None:
    with RunFolder.to_read(path) as folder:
        begun, plan = spec_of(folder), folder.read.meta("plan")
    # who follows a schedule does not tune: what belongs to tuning may be another study's
    begun = begun.model_copy(update={"seed": spec.seed, "tuner": spec.tuner, "space": spec.space})
    found = differences(begun, spec.as_begun(begun))
    if plan["schedule"] != schedule.to_text():
        found.append("another schedule")
    if found:
        step = "give the same settings, name another folder with --out, or delete this one to train anew"
        raise ConfigError(f"here lies what was trained otherwise: {', '.join(found)}", str(path), step)


def _kept(run_dir: Path, checkpoint: str, num_episodes: int) -> dict[int, list[float]]:
    kept = read_agent_test(run_dir)
    return (
        kept.returns if kept is not None and (kept.checkpoint, kept.num_episodes) == (checkpoint, num_episodes) else {}
    )
