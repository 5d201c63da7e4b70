"""The benchmark of a GPU runs, though only a GPU gives its numbers a meaning."""

import json
import sys

import pytest

from benchmarks.speed import gpu, programs
from benchmarks.speed.timing import Job


@pytest.fixture(autouse=True)
def _leave_jax_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has started in this process."""
    monkeypatch.setattr(gpu, "prepare_jax", lambda _: None)


def test_without_a_gpu_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit, match="no GPU that JAX can use here, only cpu: nothing was measured"):
        gpu.main()


@pytest.mark.slow  # compiling
def test_at_tiny_sizes_everything_runs_and_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plan steps, epochs and an episode; in one precision."""
    monkeypatch.setattr(gpu, "PRECISIONS", ("bf16",))
    monkeypatch.setattr(gpu, "BATCHES", (8,))
    monkeypatch.setattr(sys, "argv", ["gpu", "--sizes", "tiny", "--repeats", "1", "--json"])
    gpu.main()
    told = json.loads(capsys.readouterr().out)
    rows = [(row["what"].split(",")[0], row["precision"], row["members"]) for row in told["rows"]]
    assert rows == [("plan step", "bf16", 2), ("epoch", "bf16", 1), ("episode of 4 steps", "bf16", 2)]
    assert all(row["ms"] > 0 and row["ms per member"] == row["ms"] / row["members"] for row in told["rows"])
    assert "tiny: cartpole-swingup" in told["about"]["sizes"]


def test_a_share_is_work_over_what_the_peak_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Square products that take 1 s, a plan step that takes 2 s: by the operations of both."""
    scale = gpu.SCALES["tiny"]

    def seconds(jobs: dict[str, Job], repeats: int) -> dict[str, list[float]]:
        return {name: [1.0 if name == "peak" else 2.0] * repeats for name in jobs}

    monkeypatch.setattr(gpu, "in_turns", seconds)
    monkeypatch.setattr(programs, "plan_step", lambda *_: None)
    row, *_ = gpu.plan_rows(scale, 3)
    assert row["members"] == 2
    assert row["share of peak"] == pytest.approx(2 * programs.flops(scale.size) / 2.0 / (2.0 * scale.side**3))
