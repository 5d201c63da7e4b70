"""Films of a study's episodes show the very episodes that are on record."""

from pathlib import Path

import pytest

from cartwheel.errors import UsageError
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.tuning import tune
from cartwheel.videos import Wanted, make_video, take

av = pytest.importorskip("av", reason="videos need the extra `video`")
NUM_STEPS = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One cheetah that plans a little with the true dynamics."""
    spec = StudySpec.model_validate(
        {
            "env_id": "pets-halfcheetah",
            "model": "simulator",
            "num_episodes": 1,
            "episode_length": NUM_STEPS,
            "tuner": {"name": "random-search", "num_trials": 1},
            "space": {
                "parameters": {"plan_horizon": {"kind": "int", "low": 2, "high": 4, "default": 3, "group": "planner"}}
            },
            "agent": {"num_samples": 4, "num_iterations": 1, "elite_ratio": 0.5},
            "validation": {"num_episodes": 1},
        }
    )
    return tune(spec, tmp_path_factory.mktemp("study"))


def test_a_training_episode_and_a_validation_are_filmed_as_recorded(study: Study) -> None:
    """Side by side, with the returns that are stored, to the last bit, and one picture a step."""
    wanted = [Wanted(study.run_dir, trial=0, episode=1), Wanted(study.run_dir)]
    try:
        film = make_video(wanted)
    except UsageError as error:
        pytest.skip(str(error))  # no OpenGL here
    trained = study.tables.episodes[study.best.segment][1].return_
    assert film.returns == (trained, study.tables.evaluations[0].returns[0])
    assert film.notes == ()
    assert film.path == study.run_dir / "videos" / "trial-0-episode-1-beside-best.mp4"
    with av.open(str(film.path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == NUM_STEPS


def test_the_random_episode_can_be_seen_again(study: Study) -> None:
    found = take(Wanted(study.run_dir, trial=0, episode=0))
    assert found.recorded is not None
    assert found.recorded.is_random
    assert len(found.recipe.actions) == NUM_STEPS


@pytest.mark.parametrize(
    ("wanted", "said"), [({"trial": 7}, "trial 7"), ({"episode": 2}, "from 0 to 1"), ({"episode": -1}, "from 0 to 1")]
)
def test_what_is_not_there_is_said(study: Study, wanted: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        take(Wanted(study.run_dir, **wanted))


def test_a_moment_needs_something_implausible(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing implausible"):
        make_video([Wanted(study.run_dir, episode=1)], tmp_path / "film.mp4", is_moment=True)
