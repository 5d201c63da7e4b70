"""Fifty environments that break their promises: a recorded failure each, or a finished study; never a dead one."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hostile import HOSTILE, LIMIT, Hostile
from one_program import run, share_program


@pytest.fixture(autouse=True)
def _one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    share_program(monkeypatch)


_NOT_FINITE = [
    f"{what}-{how}" for what, hows in (("obs", ()), ("reward", ("none",)))  # NumPy makes NaN of None
    for how in ("nan", "infinite", "beyond-float32", *hows)
]  # fmt: skip
KINDS = {**dict.fromkeys(_NOT_FINITE, "unstable_physics"), "out-of-memory": "out_of_memory"}
"""What a failure of these is called; of all others: an environment error."""


def test_there_are_fifty() -> None:
    assert len(HOSTILE) == 50


@pytest.mark.parametrize("name", HOSTILE)
def test_a_study_outlives_its_environment(name: str, tmp_path: Path) -> None:
    """It ends. What broke is on record with its reason on one line, and with the env steps that it cost."""
    kind, must_fail = HOSTILE[name]
    study = run(kind, tmp_path / "run")
    assert study.is_done
    reports = list(study.tables.reports.values())
    assert len(reports) == 2
    assert (study.num_failed > 0) == must_fail
    for report in reports:
        if report.status == "done":
            assert len(report.episodes) == 3
            assert np.isfinite([episode.return_ for episode in report.episodes]).all()
            continue
        assert report.kind == KINDS.get(name.partition("-at-")[0], "environment_error")
        assert report.reason
        assert "\n" not in report.reason
        assert report.broken is not None
        assert report.broken.length == max(0, kind.moment - 1) < LIMIT


def test_siblings_of_a_broken_trial_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that breaks for one reset seed of all takes one trial with it, and its steps are counted."""
    kind, _ = HOSTILE["raises-at-4"]
    seen: list[int] = []
    honest = Hostile.reset

    def reset(self: Any, *, seed: int | None = None, options: Any = None) -> Any:
        seen.append(seed or 0)
        self.moment = 4 if len(seen) == 1 else LIMIT + 1
        return honest(self, seed=seed, options=options)

    monkeypatch.setattr(Hostile, "reset", reset)
    study = run(type("OnceBroken", (kind,), {}), tmp_path / "run", failures={"environment_error": 0})
    statuses = sorted(report.status for report in study.tables.reports.values())
    assert statuses == ["done", "failed"]
    (broken,) = (report.broken for report in study.tables.reports.values() if report.broken is not None)
    assert dataclasses.asdict(broken)["length"] == 3
    from cartwheel.analysis.tables import counts

    assert counts(study.tables).env_steps == 3 + 3 * LIMIT
