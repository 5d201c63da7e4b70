"""Planners that know the true dynamics as agents of a study: tuned, resumed and seen again."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cartwheel.backend import AgentBackend
from cartwheel.envs import tasks
from cartwheel.envs.tasks import LINE
from cartwheel.errors import ConfigError
from cartwheel.exporting import export_best
from cartwheel.playing import play_best
from cartwheel.records import Episode
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuning import Running, tune


def spec(env_id: str = "line") -> StudySpec:
    """Two members, two episodes each, that plan on the line."""
    return StudySpec.model_validate(
        {
            "env_id": env_id,
            "model": "simulator",
            "num_episodes": 2,
            "seed": 4,
            "tuner": {"name": "pbt", "population": 2, "interval_episodes": 1},
            "validation": {"num_episodes": 1},
        }
    )


def told(study: Study) -> dict[str, list[tuple[float, bool]]]:
    return {
        id_: [(episode.return_, episode.is_random) for episode in episodes]
        for id_, episodes in study.tables.episodes.items()
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return tune(spec(), tmp_path_factory.mktemp("study"))


def test_only_the_planner_is_tuned(study: Study) -> None:
    names = set(study.tables.space.names)
    assert "plan_horizon" in names
    assert not names & {"learning_rate", "weight_decay", "num_epochs"}


def test_planning_beats_acting_at_random(study: Study) -> None:
    """Every model-driven episode is better than every random one."""
    returns = [pair for pairs in told(study).values() for pair in pairs]
    assert min(r for r, is_random in returns if not is_random) > max(r for r, is_random in returns if is_random)
    assert study.is_done
    assert study.num_failed == 0


def test_a_stopped_study_goes_on_as_if_it_had_not_been(study: Study, tmp_path: Path) -> None:
    episodes: list[Episode] = []

    class Counting:
        def on_begin(self, past: object) -> None: ...
        def on_issued(self, segment: object) -> None: ...
        def on_report(self, report: object) -> None: ...
        def on_evaluation(self, result: object) -> None: ...
        def on_message(self, message: str) -> None: ...
        def on_episode(self, _: object, episode: Episode) -> None:
            episodes.append(episode)

    assert not tune(spec(), tmp_path, Running((Counting(),), lambda: len(episodes) >= 3)).is_done
    assert told(tune(spec(), tmp_path)) == told(study)


def test_the_actions_of_every_episode_are_kept(study: Study) -> None:
    """In order along the lineage, each with who ran it: from them the episode can be seen again."""
    best = study.best
    with RunFolder.to_read(study.run_dir) as folder:
        shards = folder.checkpoints.read(best.checkpoint)[1]["replay"]
        read = [folder.checkpoints.read(shard) for shard in shards]
    assert [place["episode"] for _, place in read] == list(range(study.tables.segments[best.segment].stop + 1))
    assert all(arrays["action"].shape == (30, 1) and arrays["action"].dtype == np.float32 for arrays, _ in read)


def test_the_best_is_played_and_not_exported(study: Study, tmp_path: Path) -> None:
    (episode,) = play_best(study.run_dir, 1, 0, AgentBackend())
    assert episode.return_ > -0.5
    with pytest.raises(ConfigError, match="learned nothing"):
        export_best(study.run_dir, tmp_path / "out")


def test_tasks_without_known_dynamics_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = dataclasses.replace(LINE, id="unknown", equations=None)
    monkeypatch.setitem(tasks._TASKS, unknown.id, unknown)
    with pytest.raises(ConfigError, match="'unknown': its true dynamics are not known"):
        tune(spec(unknown.id), tmp_path / "run")
    assert not (tmp_path / "run").exists()
