"""Playing episodes without learning: with a study's best agent, an exported one, or the true dynamics."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cartwheel.backend import Backend
from cartwheel.errors import ConfigError, StorageError
from cartwheel.executors.work import EpisodeDone, ItemDone, StartFrom, Work
from cartwheel.records import Episode, Evaluation
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.store.run_folder import RunFolder
from cartwheel.study import POLL_S, Names
from cartwheel.study_agents import agent_setup
from cartwheel.tuning import Running, StopCheck, corners, spec_of

if TYPE_CHECKING:
    from cartwheel.envs.isolated import EnvMaker


def play_best(
    run_dir: Path, num_episodes: int, seed: int, backend: Backend, should_stop: StopCheck = lambda: False
) -> list[Episode]:
    """Episodes of a study's best agent, under the names ("evaluation", seed); fewer if stopped.

    Nothing is written, so the study may run meanwhile. Raises StorageError if the agent cannot be loaded or played.
    """
    with _player(run_dir, backend) as play:
        return play(("evaluation", seed), num_episodes, should_stop)


def play_on_test_seeds(
    run_dir: Path, seeds: Sequence[int], num_episodes: int, running: Running
) -> Iterator[tuple[int, list[Episode]]]:
    """The same on test seeds, under the names that evaluate a rerun: (seed, its episodes) as they come.

    A seed whose episodes were cut short by a stop does not come.
    """
    if not seeds:
        return
    with _player(run_dir, running.backend) as play:
        for seed in seeds:
            episodes = play(("test-evaluation", seed), num_episodes, running.should_stop)
            if len(episodes) < num_episodes:
                return
            yield seed, episodes


Play: TypeAlias = Callable[[Names, int, StopCheck], list[Episode]]


@contextmanager
def _player(run_dir: Path, backend: Backend) -> Iterator[Play]:
    """What plays so many episodes of the best agent under some names, or fewer if stopped."""
    best = Study(run_dir).best
    start = StartFrom(best.checkpoint, best.checkpoint, best.checkpoint, best.checkpoint)
    with RunFolder.to_read(run_dir) as folder:
        spec, checkpoints = spec_of(folder), folder.checkpoints
    executor = backend.make(spec, [*corners(spec), best.config], checkpoints, lambda _: None)

    def play(names: Names, num_episodes: int, should_stop: StopCheck) -> list[Episode]:
        played: list[Episode] = []
        executor.submit(Work(Evaluation(best.segment, 0, num_episodes), best.config, names, start, 0))
        while not should_stop():
            for outcome in executor.next_outcomes(POLL_S):
                match outcome:
                    case EpisodeDone(episode=episode):
                        played.append(episode)
                    case ItemDone(status="done"):
                        return played
                    case ItemDone(reason=reason):
                        raise StorageError(f"the agent cannot be played: {reason}", str(run_dir), "")
        return played

    try:
        yield play
    finally:
        executor.close()


def play_simulator(spec: StudySpec, num_episodes: int) -> Sequence[Episode]:
    """Episodes of the planner with the true dynamics in the model's place.

    Raises ConfigError if they are unknown, or if the planner breaks the simulator.
    """
    from cartwheel.ceiling import play_true_dynamics
    from cartwheel.envs.pool import EnvironmentFailed

    setup = agent_setup(spec, corners(spec))
    try:
        return play_true_dynamics(setup, {}, ("simulator", spec.seed), num_episodes)
    except ValueError as error:
        raise ConfigError(str(error), "env_id", "leave out --model simulator") from error
    except EnvironmentFailed as error:
        raise ConfigError(str(error), "--model simulator", "try another --seed, or a shorter plan_horizon") from error


def play_exported(agent_dir: Path, num_episodes: int, seed: int, maker: "EnvMaker") -> Sequence[Episode]:
    """Episodes of an exported agent, under the names ("evaluation", seed).

    Raises StorageError if it is damaged or cannot be played.
    """
    from cartwheel.agent import Agent
    from cartwheel.envs.making import CannotMake
    from cartwheel.envs.pool import EnvironmentFailed

    try:
        return Agent.load(agent_dir, maker).play(num_episodes, ("evaluation", seed), maker)
    except (CannotMake, EnvironmentFailed) as error:
        raise StorageError(f"the agent cannot be played: {error}", str(agent_dir), "") from error
