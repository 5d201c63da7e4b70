"""Every ``cartwheel video`` that a document tells makes its film, of small runs that planned with the true dynamics."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cartwheel import videos
from cartwheel.cli.app import main
from cartwheel.envs import tasks
from cartwheel.envs.rendering import find_gl
from cartwheel.errors import UsageError
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec
from cartwheel.task_files import load_task_file
from cartwheel.tuning import rerun, train, tune
from documents import DOCUMENTS, ROOT, command_lines
from test_videos import STRICT

NUM_STEPS = 6
SHORTER = {r"--first-step 500 --last-step 640": "--first-step 2 --last-step 5", r"--width \d+": "--width 64"}


def films_of(path: Path) -> list[str]:
    return [line for line in command_lines(path) if line.startswith("cartwheel video ")]


TOLD = {path: films_of(path) for path in DOCUMENTS if films_of(path)}


def spec(**more: Any) -> StudySpec:
    """Episodes of a few steps of a cheetah that is always too fast."""
    return StudySpec.model_validate(
        {
            "env_id": STRICT.id,
            "model": "simulator",
            "num_episodes": 1,
            "episode_length": NUM_STEPS,
            "agent": {"num_samples": 4, "num_iterations": 1, "elite_ratio": 0.5, "plan_horizon": 3},
            "tuner": {"name": "random-search", "num_trials": 4},
            "validation": {"num_episodes": 1},
            **more,
        }
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the runs that the documents name."""
    try:
        find_gl()
    except UsageError as error:
        pytest.skip(str(error))
    folder, one = tmp_path_factory.mktemp("films"), Schedule((Piece(0, 1, {}),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tasks._TASKS, STRICT.id, STRICT)
        patch.setattr(videos, "MAX_ROWS", 3)  # so many exploits are listed, and filmed
        patch.chdir(folder)
        (folder / "studies").symlink_to(ROOT / "studies")
        own = load_task_file(Path("studies/upright_cheetah.py"))
        tune(spec(num_episodes=5), folder / "runs" / "demo")
        rerun(folder / "runs" / "demo", one, name="default-8", num_seeds=1)
        tune(spec(), folder / "runs" / "cartwheel-5min")
        for name in ("turning", "breaking"):
            train(spec(), one, folder / "runs" / name)
        about = {"path": str(own.path), "sha256": own.sha256}
        train(spec(env_id=own.task.id, task_file=about), one, folder / "runs" / "upright")
        yield folder


@pytest.mark.parametrize("document", TOLD, ids=lambda path: path.stem)
def test_every_film_of_a_document_is_made(
    document: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command exits with 0 and leaves a film that was not there, or says which."""
    monkeypatch.chdir(runs)
    for line in TOLD[document]:
        for pattern, shorter in SHORTER.items():
            line = re.sub(pattern, shorter, line)
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[1:])
        said = capsys.readouterr()
        assert ended.value.code == 0, (line, said.err)
        made = re.findall(r"video: (\S+)", said.out + said.err)
        assert made, line
        assert all(Path(name).stat().st_size > 500 for name in made)
