"""The paper's schedules at a small budget: what is followed, and the table that comes of it, on synthetic agents."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.released_schedules import OURS, main, network_evaluations, rows_of, schedules, spec_of, table
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.tuning import Running, follow
from synthetic_executor import SyntheticBackend

FILES = Path(__file__).parents[1] / "data" / "learned_schedules"


def test_only_sample_counts_are_scaled(tmp_path: Path) -> None:
    """A released plan of 500 samples becomes one of 48; its iterations and horizon, and a model's values, stay.

    Our default comes first, then the paper's.
    """
    plan = {"cem_popsize": 500, "num_cem_iters": 5, "plan_hor": 30}
    (tmp_path / "halfcheetah_default.json").write_text(json.dumps([plan] * 5))
    (tmp_path / "halfcheetah_a.json").write_text(json.dumps([{"model_train_epoch": 5}] * 5))
    (tmp_path / "reacher_a.json").write_text(json.dumps([plan] * 5))
    made = {name: schedule.pieces for name, schedule in schedules(tmp_path, 4)}
    assert made == {
        OURS: (Piece(0, 4, {}),),
        "halfcheetah_default": (Piece(0, 4, {"num_samples": 48, "num_iterations": 5, "plan_horizon": 30}),),
        "halfcheetah_a": (Piece(0, 4, {"num_epochs": 5}),),
    }


def test_what_a_file_does_not_set_costs_what_our_default_costs() -> None:
    """Iterations of 48, 38 and 30 samples (each 1.25 times fewer), 5 particles, horizon 15."""
    spec = spec_of(10, 5)
    for schedule in dict(schedules(FILES, 10)).values():
        assert network_evaluations(spec, schedule) == (48 + 38 + 30) * 5 * 15
    twice = Schedule((Piece(0, 5, {"plan_horizon": 15}), Piece(5, 10, {"plan_horizon": 45})))
    assert network_evaluations(spec, twice) == 2 * (48 + 38 + 30) * 5 * 15


def test_a_whole_benchmark_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row per schedule and seed, our default first; a second call runs nothing and says the same."""
    words = [str(FILES), "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "rows.csv")]
    words += ["--seeds", "2", "--episodes", "3", "--evaluations", "2"]
    main(words, Running(backend=SyntheticBackend()))
    told = capsys.readouterr().out
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [OURS, "halfcheetah_pbt_model_train_incumbent"]
    assert [(row["schedule"], row["seed"]) for row in rows] == [(name, seed) for name in names for seed in "01"]
    assert {row["training_episodes"] for row in rows} == {"3"}
    again = SyntheticBackend()
    main(words, Running(backend=again))
    assert capsys.readouterr().out == told
    assert not any(executor.submitted for executor in again.made)
    last = told.strip().split("\n\n")[-1].splitlines()
    assert len(last) == 4
    assert last[2].endswith("|  | 0 of 10 episodes |")


def test_an_agent_that_fails_has_no_returns(tmp_path: Path) -> None:
    """It is named in the table, and its seed is in no pair."""
    spec, schedule = spec_of(3, 2), Schedule((Piece(0, 3, {}),))
    rows = []
    for name, failures in ((OURS, {}), ("other", {"1.0": 2})):
        backend = SyntheticBackend(failures=failures)
        study = follow(tmp_path / name, "test", spec, schedule, [0, 1], Running(backend=backend))
        rows += list(rows_of(name, schedule, study.tables, 8700.0))
    assert [row["evaluation_return"] == "" for row in rows] == [False, False, False, True]
    assert ", failed)" in table(rows).splitlines()[-1]
    assert "(-inf to +inf)" in table(rows).splitlines()[-1]  # one pair is left, which says nothing
