"""The benchmark of forecasts puts what was foreseen beside what came: of a made-up command line that is all known."""

import json
import resource
import sys
from pathlib import Path

import pytest

from benchmarks.speed import forecasts

COMMAND = f"""#!{sys.executable}
import json, pathlib, sys, time
words = sys.argv[1:]
assert words[:3] == ["-m", "cartwheel", "tune"]
assert "--json" in words
run = pathlib.Path(words[words.index("--run-dir") + 1])
if "--fails" in words:
    sys.exit(3)
if "--dry-run" in words:
    print("some words")
    print(json.dumps(dict(wall_s=0.1, memory_bytes=1e6, disk_bytes=2e6, max_disk_bytes=4e6)))
else:
    (run / "checkpoints").mkdir(parents=True)
    (run / "study.db").write_bytes(bytes(777))
    for name, size in (("a", 1_000_000), ("b", 500_000)):
        (run / "checkpoints" / name).write_bytes(bytes(size))
    held = bytearray(64_000_000)
    time.sleep(0.2)
"""


@pytest.fixture(autouse=True)
def _made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "python"
    command.write_text(COMMAND)
    command.chmod(0o700)
    monkeypatch.setattr(forecasts.sys, "executable", str(command))


def test_measured_is_divided_by_predicted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Time is all that the command takes, memory its peak, and disk its checkpoints alone."""
    monkeypatch.setattr(forecasts, "STUDIES", {"made up": "--env-id line"})
    monkeypatch.setattr(sys, "argv", ["forecasts", "--repeats", "1", "--json"])
    forecasts.main()
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["study"] == "made up"
    assert (row["disk: predicted, MB"], row["disk: at most, MB"], row["disk: measured, MB"]) == (2.0, 4.0, 1.5)
    assert row["disk: ratio"] == 0.75
    assert (row["time: predicted, s"], row["memory: predicted, MB"]) == (0.1, 1.0)
    assert 0.2 < row["time: measured, s"] < 60
    assert row["time: ratio"] == pytest.approx(row["time: measured, s"] / 0.1)
    # a process begins with the peak of the one that started it, which here has run many tests
    own_mb = 1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 64 < row["memory: measured, MB"] < max(1000, 1.01 * own_mb)
    assert row["memory: ratio"] == pytest.approx(row["memory: measured, MB"])


def test_a_study_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        forecasts.tune("--fails", tmp_path / "run")
