"""Every tuner in a real study: stored, interrupted, resumed, ranked by the tables as by itself, and drawn."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from cartwheel.analysis.tables import counts, ranking, segment_score
from cartwheel.checking import check
from cartwheel.observer import Observer
from cartwheel.report import figures
from cartwheel.report.style import to_svg
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuners.registry import TUNERS
from cartwheel.tuning import Running, tune
from snapshot import snapshot
from synthetic import tell_all
from synthetic_executor import SyntheticBackend, small_spec

SMALL: dict[str, dict[str, Any]] = {
    "pbt-bt": {"population": 4, "margin": 0.0},
    "asha": {"num_trials": 5},
    "successive-halving": {"num_trials": 5},
    "mf-pbt": {"population": 6, "intervals": [1, 2]},
    "tpe": {"num_trials": 5},
}


TOGETHER = {"replicates": 3, "aggregate": "lower-bound"}


@pytest.mark.parametrize(
    ("name", "more"), [(name, {}) for name in TUNERS] + [("random-search", TOGETHER), ("successive-halving", TOGETHER)]
)
def test_a_study_is_stopped_resumed_ranked_and_drawn(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    if name == "gp":
        pytest.importorskip("torch")
    spec = small_spec(num_episodes=6, tuner={"name": name, **SMALL.get(name, {}), **more})
    checks = itertools.count()
    stopped = tune(spec, tmp_path, Running(backend=SyntheticBackend(), should_stop=lambda: next(checks) > 6))
    assert not stopped.is_done
    study = tune(spec, tmp_path, Running(backend=SyntheticBackend()))
    assert study.is_done
    tuner = spec.make_tuner()
    with RunFolder.to_read(tmp_path) as folder:
        tell_all(tuner, folder.read.events())
    assert tuner.is_done
    assert ranking(study.tables) == tuner.ranking()
    for draw in (figures.learning_curves, figures.lineages, figures.hyperparameters):
        assert to_svg(draw(study.tables), "a-figure").startswith("<")
    if name == "pbt-bt":
        assert counts(study.tables).num_backtracks > 0


@pytest.mark.parametrize("every", [5, 100_000])
@pytest.mark.parametrize(("name", "more"), [(name, {}) for name in TUNERS] + [("successive-halving", TOGETHER)])
def test_dropping_what_nobody_needs_changes_nothing_else(
    name: str, more: dict[str, Any], every: int, tmp_path: Path
) -> None:
    """Rows and best agent are those of a study that keeps all, also when it is stopped again and again.

    What stays is what the tuner, told the log, says is needed; checks find nothing wrong with that.
    """
    if name == "gp":
        pytest.importorskip("torch")
    settings = {"num_episodes": 6, "tuner": {"name": name, **SMALL.get(name, {}), **more}, "engine": {"lanes": 1}}
    whole = tune(small_spec(**settings), tmp_path / "all", Running(backend=SyntheticBackend()))
    spec = small_spec(**settings, keep="needed")
    while True:
        checks = itertools.count()
        running = Running(should_stop=lambda checks=checks: next(checks) >= every, backend=SyntheticBackend())
        study = tune(spec, tmp_path / "needed", running)
        if study.is_done:
            break
    rows, expected = snapshot(tmp_path / "needed"), snapshot(tmp_path / "all")
    for table in ("events", "segments", "episodes", "reports", "evaluations", "evaluation_episodes", "retries"):
        assert rows[table] == expected[table], table
    assert study.best == whole.best
    tuner = spec.make_tuner()
    with RunFolder.to_read(tmp_path / "needed") as folder:
        tell_all(tuner, folder.read.events())
        assert {kept.segment for kept in folder.read.checkpoints()} == tuner.needed(3) == set(tuner.ranking()[:3])
    assert rows["files on disk"] == sorted(f"{row['digest']}.safetensors" for row in rows["files"])
    assert not check(tmp_path / "needed").findings


def test_populations_of_several_shapes_are_one_study(tmp_path: Path) -> None:
    """Stored, resumed and ranked like any other."""
    width = {"kind": "ordinal", "values": [32, 64, 128], "default": 64, "group": "model", "is_static": True}
    rate = {"kind": "float", "low": 1e-5, "high": 1e-2, "log": True, "default": 1e-3, "group": "model"}
    tuner = {"name": "pbt", "population": 3, "num_shapes": 2}
    spec = small_spec(num_episodes=6, tuner=tuner, space={"parameters": {"width": width, "learning_rate": rate}})
    checks = itertools.count()
    tune(spec, tmp_path, Running(backend=SyntheticBackend(), should_stop=lambda: next(checks) > 6))
    study = tune(spec, tmp_path, Running(backend=SyntheticBackend()))
    assert study.is_done
    assert counts(study.tables).num_trials == 6
    assert counts(study.tables).num_copies > 0
    fresh = spec.make_tuner()
    with RunFolder.to_read(tmp_path) as folder:
        tell_all(fresh, folder.read.events())
    assert ranking(study.tables) == fresh.ranking()


class Listener(Observer):
    """Hears what the user is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def on_message(self, message: str) -> None:
        self.messages.append(message)


def test_the_user_is_told_what_a_tuner_warns_of(tmp_path: Path) -> None:
    """A study too short for a backtrack test; one with tests has no warning."""
    told = {}
    for num_episodes in (2, 6):
        listener = Listener()
        spec = small_spec(num_episodes=num_episodes, tuner={"name": "pbt-bt", "population": 2})
        tune(spec, tmp_path / str(num_episodes), Running([listener], backend=SyntheticBackend()))
        told[num_episodes] = [message for message in listener.messages if "go back" in message]
    assert [len(messages) for messages in told.values()] == [1, 0]


@pytest.mark.parametrize("name", [name for name, entry in TUNERS.items() if entry.stops_early])
def test_who_was_stopped_early_is_never_the_incumbent(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where returns fall with age, so that the shortest trials score best."""
    monkeypatch.setattr("synthetic_executor.advanced", lambda state, config, seed, index: state - 1.0)
    settings = {"num_trials": 9} if hasattr(TUNERS[name].settings, "num_trials") else {}
    spec = small_spec(num_episodes=9, tuner={"name": name, **settings})
    study = tune(spec, tmp_path, Running(backend=SyntheticBackend()))
    scores = {id_: segment_score(study.tables, id_) for id_ in ranking(study.tables)}
    assert study.tables.segments[study.best.segment].stop == 9
    assert study.tables.segments[max(scores, key=lambda id_: scores[id_])].stop < 9
    tuner = spec.make_tuner()
    with RunFolder.to_read(tmp_path) as folder:
        tell_all(tuner, folder.read.events())
    assert list(scores) == tuner.ranking()
