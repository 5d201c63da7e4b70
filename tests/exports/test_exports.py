"""Exports: what other tools read from them is what the study's tables hold."""

import csv
import dataclasses
import json
import math
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import optuna
import pytest
from pyarrow import parquet
from tensorboardX.proto.event_pb2 import Event

from cartwheel.analysis.frames import all_frames
from cartwheel.analysis.tables import incumbent, learning_curve, segment_score
from cartwheel.errors import ConfigError
from cartwheel.exports.csv_files import write_csv
from cartwheel.exports.model_card import card, write_model_card
from cartwheel.exports.optuna_storage import write_optuna
from cartwheel.exports.parquet import write_parquet
from cartwheel.exports.tensorboard import write_tensorboard
from cartwheel.schedules.schedule import Schedule
from made_up_study import made_up_study

TABLES = made_up_study()


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_tensorboard, write_optuna])
def test_what_is_there_is_not_overwritten(write: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ConfigError, match="choose a new one with --out"):
        write(TABLES, tmp_path / "taken" if write is write_optuna else tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("write", "extra"), [(write_parquet, "parquet"), (write_tensorboard, "tensorboard"), (write_optuna, "optuna")]
)
def test_a_missing_package_is_named(write: Any, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install; nothing is written."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"cartwheel\[{extra}\]"):
        write(TABLES, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_csv_files_hold_every_row(tmp_path: Path) -> None:
    write_csv(TABLES, tmp_path)
    for name, frame in all_frames(TABLES).items():
        rows = list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
        assert len(rows) == len(next(iter(frame.values()))) > 0
        assert list(rows[0]) == list(frame)
    assert len(all_frames(TABLES)["episodes"]["return"]) == 103


def test_parquet_keeps_types_and_values(tmp_path: Path) -> None:
    write_parquet(TABLES, tmp_path)
    for name, frame in all_frames(TABLES).items():
        back = parquet.read_table(tmp_path / f"{name}.parquet").to_pydict()
        assert list(back) == list(frame)
        for column, values in frame.items():
            assert list(map(repr, back[column])) == list(map(repr, values)), column


def test_the_frame_of_trials_ranks_them() -> None:
    """One row per trial, the best first by rank; exactly one is the incumbent."""
    frame = all_frames(TABLES)["trials"]
    best = incumbent(TABLES)
    assert best is not None
    assert frame["trial"] == list(range(8))
    assert sorted(rank for rank in frame["rank"] if rank is not None) == list(range(1, 9))
    assert [t for t, is_best in zip(frame["trial"], frame["is_incumbent"], strict=True) if is_best] == [
        TABLES.segments[best].trial
    ]
    assert frame["status"][7] == "unfinished"


def events(folder: Path) -> list[Event]:
    """The events of a run: records of length, checksum, bytes, checksum."""
    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    tracks: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                tracks[value.tag].append((event.step, value.simple_value))
    return tracks


def test_tensorboard_has_a_run_per_trial_and_one_for_the_incumbent(tmp_path: Path) -> None:
    """Its returns are those along its lineage, and the hyperparameters those in force."""
    write_tensorboard(TABLES, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["incumbent", *(f"member-{k}" for k in range(8))]
    best = incumbent(TABLES)
    assert best is not None
    curve, found = learning_curve(TABLES, best), scalars(tmp_path / "incumbent")
    assert [step for step, _ in found["return"]] == list(curve.episodes)
    assert [value for _, value in found["return"]] == pytest.approx(list(curve.returns), rel=1e-6)
    assert found["hyperparameters/plan_horizon"][-1] == (12, TABLES.segments[best].config["plan_horizon"])
    assert [value for _, value in found["score"]] == pytest.approx([segment_score(TABLES, best)], rel=1e-6)
    tags = {value.tag for event in events(tmp_path / "incumbent") for value in event.summary.value}
    assert "_hparams_/session_start_info" in tags
    assert {"metrics/error_25_ahead"} <= tags


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{write_optuna(TABLES, tmp_path_factory.mktemp('optuna') / 'study.db')}"


def test_optuna_has_a_study_of_trials_and_one_of_segments(storage: str) -> None:
    """Scores, params and states are ours; what failed or has no end yet has no value."""
    trials = optuna.load_study(study_name="cartpole-demo trials", storage=storage).get_trials()
    segments = optuna.load_study(study_name="cartpole-demo segments", storage=storage)
    assert len(trials) == 8
    assert len(segments.trials) == len(TABLES.segments)
    for trial, segment in zip(segments.trials, TABLES.segments.values(), strict=True):
        assert trial.params == pytest.approx(dict(segment.config))
        score = segment_score(TABLES, segment.id)
        assert trial.value == (pytest.approx(score) if math.isfinite(score) else None)
    states = [trial.state.name for trial in segments.trials]
    assert (states.count("FAIL"), states.count("RUNNING")) == (2, 1)
    assert segments.best_value == max(s for id_ in TABLES.segments if (s := segment_score(TABLES, id_)) < math.inf)
    assert trials[0].user_attrs["stop"] == 12


def test_optunas_importances_are_there(storage: str) -> None:
    """Of every hyperparameter, and the one that decides most here is above one that decides nothing."""
    study = optuna.load_study(study_name="cartpole-demo segments", storage=storage)
    found = optuna.importance.get_param_importances(study)
    assert found.keys() == TABLES.space.parameters.keys()
    assert sum(found.values()) == pytest.approx(1.0)


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as got:
        return json.loads(got.read())


def test_the_dashboard_starts_on_it_and_shows_importances(storage: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "optuna-dashboard"
    server = subprocess.Popen(
        [program, storage, "--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        for _ in range(240):
            try:
                told = answer(f"http://127.0.0.1:{port}/api/studies")
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.25)
        names = {study["study_name"]: study["study_id"] for study in told["study_summaries"]}
        assert names.keys() == {"cartpole-demo trials", "cartpole-demo segments"}
        for number in names.values():
            importances = answer(f"http://127.0.0.1:{port}/api/studies/{number}/param_importances")
            assert {one["name"] for one in importances["param_importances"][0]} == TABLES.space.parameters.keys()
    finally:
        server.terminate()
        server.wait(20)


def test_configs_that_leave_the_space_are_attributes(tmp_path: Path) -> None:
    """As under a schedule from elsewhere: Optuna refuses a value out of range, and a name that it does not know."""
    odd = {**TABLES.space.default, "plan_horizon": 99, "spare": 1.0}
    segments = {id_: dataclasses.replace(segment, config=odd) for id_, segment in TABLES.segments.items()}
    tables = dataclasses.replace(TABLES, segments=segments)
    url = f"sqlite:///{write_optuna(tables, tmp_path / 'study.db')}"
    (first, *_) = optuna.load_study(study_name="cartpole-demo trials", storage=url).trials
    assert "plan_horizon" not in first.params
    assert (first.user_attrs["config.plan_horizon"], first.user_attrs["config.spare"]) == (99, 1.0)


def test_the_model_card_says_how_good_and_how_found(tmp_path: Path) -> None:
    """In the study's numbers, with the schedule as a file that is read again."""
    write_model_card(tmp_path, TABLES)
    text = (tmp_path / "README.md").read_text()
    assert text == card(TABLES)
    for part in ('name: "cartpole-demo"', "and 146.5 in 3 validation episodes", "tuned by pbt", "| plan_horizon |"):
        assert part in text
    assert "type: mean_reward, name: mean validation return, value: 146.4" in text
    assert Schedule.from_text((tmp_path / "schedule.json").read_text()).num_episodes == 12
    assert {path.name for path in tmp_path.iterdir()} > {"learning-curves.svg", "learning-curves.csv"}
