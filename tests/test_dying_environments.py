"""Environments that end their process, or hang, in the midst of a study of PETS agents: it goes on without them."""

from pathlib import Path
from typing import Any

import gymnasium
import pytest

import deadly
from cartwheel.records import FailureKind, Report, SegmentId
from cartwheel.results import Study
from cartwheel.seeds import seed_integer
from hostile import LIMIT
from one_program import INSIDE, run_task, share_program, task_for

NUM_TRIALS = 3
DYING, EPISODE = 1, 2
"""The trial whose environment dies, and in which episode: there is a checkpoint to go on from."""
MAX_CALL_S = 5.0
_SEED = str(seed_integer(0, "tune", f"{DYING}.0", EPISODE, "reset"))


@pytest.fixture(autouse=True)
def _one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    share_program(monkeypatch)


def study(path: Path, **arguments: Any) -> Study:
    """Of three trials with three episodes each, in an environment that is made with these ``arguments``."""
    env_id = f"tests/Dying{len(gymnasium.registry)}-v0"
    gymnasium.register(env_id, entry_point=deadly.Deadly, max_episode_steps=LIMIT, kwargs=arguments)
    task = task_for(env_id, id="dying", episode_length=LIMIT, maker=INSIDE)
    tuner = {"name": "random-search", "num_trials": NUM_TRIALS}
    return run_task(task, path, tuner=tuner, engine={"max_call_s": MAX_CALL_S}, validation={"num_episodes": 1})


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that nothing happens to, in the same environment."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_program(monkeypatch)
        return study(tmp_path_factory.mktemp("calm") / "run", deeds={})


@pytest.mark.parametrize(
    ("deed", "kind", "reason"),
    [
        ("kill", "environment_error", "step 3 ended its process by SIGKILL"),
        pytest.param(
            "hang",
            "timeout",
            f"step 3 has taken longer than {MAX_CALL_S:g} s: its process was killed",
            marks=pytest.mark.slow,  # it waits, twice
        ),
    ],
)
def test_one_that_always_dies_takes_its_trial_alone(
    deed: str, kind: FailureKind, reason: str, tmp_path: Path, calm: Study
) -> None:
    """Tried again once, in a new process, then a failure on record; the others end as without it, digest by digest."""
    ended = study(tmp_path / "run", deeds={_SEED: deed})
    assert ended.is_done
    for trial in range(NUM_TRIALS):
        segment = SegmentId(f"{trial}.0")
        report, before = (one.tables.reports[segment] for one in (ended, calm))
        if trial != DYING:
            assert (report.status, report.checkpoint) == ("done", before.checkpoint)
            continue
        assert (report.status, report.kind) == ("failed", kind)
        assert reason in report.reason
        assert "\n" not in report.reason
        assert report.broken is not None
        assert (report.broken.index, report.broken.length) == (EPISODE, 2)
        assert _returns(report) == _returns(before)[:EPISODE]
    (retry,) = ended.tables.retries
    assert (retry.segment, retry.kind, retry.evaluation) == (f"{DYING}.0", kind, None)


def test_one_that_dies_once_changes_nothing(tmp_path: Path, calm: Study) -> None:
    """The attempt that is made again goes on from the newest checkpoint, and the study ends bit for bit as without."""
    ended = study(tmp_path / "run", deeds={_SEED: "segfault"}, once=str(tmp_path / "done"))
    assert (tmp_path / "done").exists()
    (retry,) = ended.tables.retries
    assert "ended its process by SIGSEGV" in retry.reason
    assert {key: report.checkpoint for key, report in ended.tables.reports.items()} == {
        key: report.checkpoint for key, report in calm.tables.reports.items()
    }
    assert ended.best == calm.best


def _returns(report: Report) -> list[float]:
    return [episode.return_ for episode in report.episodes]
