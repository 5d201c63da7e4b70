"""Films of a study's episodes show the very episodes that are on record."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from cartwheel.analysis.tables import Watched, implausible_episodes
from cartwheel.cli.app import main
from cartwheel.envs import tasks
from cartwheel.envs.task import Plausible
from cartwheel.envs.tasks import PETS_HALFCHEETAH
from cartwheel.errors import UsageError
from cartwheel.exploits import first_implausible_step
from cartwheel.records import Episode
from cartwheel.report.page import write_report
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.tuning import tune
from cartwheel.videos import Cut, Film, Wanted, make_moments, make_video, take, take_watched

av = pytest.importorskip("av", reason="videos need the extra `video`")
NUM_STEPS = 6
SPEED_LIMIT_M_S = 0.05
"""So strict that the cheetah of the second fixture breaks it while it falls into its stance."""


STRICT = dataclasses.replace(
    PETS_HALFCHEETAH, id="strict-halfcheetah", plausible=Plausible(speed_m_s=SPEED_LIMIT_M_S, reason="a test")
)


def tuned(env_id: str, folder: Path) -> Study:
    """One cheetah that plans a little with the true dynamics."""
    spec = StudySpec.model_validate(
        {
            "env_id": env_id,
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
    return tune(spec, folder)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return tuned("pets-halfcheetah", tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def exploited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """All three of its episodes, random, planned and validation, are faster than the task declares."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks._TASKS, STRICT.id, STRICT)
        yield tuned(STRICT.id, tmp_path_factory.mktemp("exploited"))


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


def test_a_cut_shows_its_steps_of_three_episodes_under_their_titles(study: Study, tmp_path: Path) -> None:
    """Steps 2 to 4 of all three, each 100 pixels wide; a return up to there is not held against the record."""
    wanted = [Wanted(study.run_dir, 0, episode) for episode in (0, 1, 1)]
    try:
        film = make_video(wanted, tmp_path / "film.mp4", Cut(2, 4, width_px=101), ["one", "two", "three"])
    except UsageError as error:
        pytest.skip(str(error))  # no OpenGL here
    assert film.notes == ()
    with av.open(str(film.path)) as container:
        pictures = [frame.width for frame in container.decode(video=0)]
    assert pictures == [300] * 3


@pytest.mark.parametrize(
    ("cut", "titles", "said"),
    [
        (Cut(7, None), (), "choose some from 1 to 6"),
        (Cut(4, 3), (), "choose some from 1 to 6"),
        (Cut(), ("a", "b"), "2 titles for 1 episode"),
    ],
)
def test_a_cut_that_shows_nothing_is_refused(study: Study, cut: Cut, titles: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_video([Wanted(study.run_dir, 0, 1)], None, cut, titles)


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
        make_video([Wanted(study.run_dir, episode=1)], tmp_path / "film.mp4", Cut(is_moment=True))


def test_the_moments_of_all_exploits_are_filmed_and_the_report_links_them(exploited: Study) -> None:
    """One film for every listed episode, evaluations included, under the id that its row leads to; none twice."""
    listed = implausible_episodes(exploited.tables)
    assert len(listed) == 3
    made = list(make_moments(exploited.run_dir))
    if any(isinstance(one, str) and "OpenGL" in one for one in made):
        pytest.skip("no OpenGL here")
    names = ["moment-of-0.0-episode-0", "moment-of-0.0-episode-1", "moment-of-0.0-evaluation-0"]
    assert [one.path.stem for one in made if isinstance(one, Film)] == names
    assert list(make_moments(exploited.run_dir)) == []
    page = write_report(exploited.run_dir, exploited.tables).read_text()
    for name in names:
        assert page.count(f'<a href="#{name}">the moment</a>') == page.count(f'<figure id="{name}">') == 1
    assert "<h2>Videos</h2>" not in page  # they stand where their rows are


def test_an_exploit_is_repeated_with_what_broke_and_when(exploited: Study) -> None:
    """Also a validation episode, which is planned again under its own names."""
    for watched in implausible_episodes(exploited.tables):
        found = take_watched(exploited, watched)
        assert found.recorded is watched.episode
        assert first_implausible_step(watched.episode) is not None
        assert len(found.recipe.actions) == NUM_STEPS


def test_an_episode_that_failed_is_not_filmed_and_the_reason_is_said(exploited: Study) -> None:
    lost = Watched(exploited.best.segment, Episode(2, 0.0, 3, warnings={"BADQACC": 1}))
    with pytest.raises(UsageError, match="its actions are not kept"):
        take_watched(exploited, lost)


@pytest.mark.parametrize("also", [["--trial", "0"], ["--moment"], ["--out", "film.mp4"], ["--width", "100"]])
def test_all_exploits_and_a_choice_exclude_each_other(
    also: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["video", str(tmp_path), "--exploits", *also])
    assert ended.value.code == 2
    assert "--exploits films all moments" in capsys.readouterr().err
