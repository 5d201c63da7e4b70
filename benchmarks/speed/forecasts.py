"""What ``tune --dry-run`` says that a study takes, beside what it then takes: wall time, memory and disk.

    python -m benchmarks.speed.forecasts [--repeats 1] [--json]

Four studies, each foreseen and run in a process of its own; the ratio is measured over predicted. Starting Python is
part of the time, a few seconds. Disk is what lies in ``checkpoints/`` in the end.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax

from benchmarks.speed.timing import arguments, tell

STUDIES = {
    "swing-up, PBT": "--env-id cartpole-swingup --tuner.name pbt --tuner.population 6 --episodes 6",
    "Pendulum, Random Search": "--env-id Pendulum-v1 --tuner.name random-search --tuner.num-trials 6 --episodes 5",
    "Pusher, Hyperband": "--env-id pets-pusher --tuner.name hyperband --tuner.flavour hpbandster --episodes 3",
    "HalfCheetah, PBT-BT": "--env-id pets-halfcheetah --episode-length 300 --tuner.name pbt-bt --tuner.population 3 "
    "--episodes 2",
}
SHARED = "--validation.num-episodes 2 --seed 1 --quiet --json"


def tune(options: str, run_dir: Path, *more: str) -> tuple[str, float, int]:
    """What it printed; seconds; bytes of memory at most."""
    words = [sys.executable, "-m", "cartwheel", "tune", *options.split(), *SHARED.split(), "--run-dir", str(run_dir)]
    started = time.perf_counter()
    with subprocess.Popen([*words, *more], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}")
    return printed, time.perf_counter() - started, 1024 * usage.ru_maxrss


def compared(name: str, repeats: int) -> dict[str, Any]:
    """One row; of repeats the medians."""
    found: list[tuple[float, ...]] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            printed, _, _ = tune(STUDIES[name], Path(folder) / "run", "--dry-run")
            foreseen = json.loads(printed.splitlines()[-1])
            _, wall_s, memory = tune(STUDIES[name], Path(folder) / "run")
            disk = sum(path.stat().st_size for path in (Path(folder) / "run" / "checkpoints").iterdir())
            predicted = [foreseen[what] for what in ("wall_s", "memory_bytes", "disk_bytes", "max_disk_bytes")]
            found.append((*predicted, wall_s, memory, disk))
    wall, memory, disk, most, wall_s, memory_bytes, disk_bytes = map(statistics.median, zip(*found, strict=True))
    return {
        "study": name,
        "time: ratio": wall_s / wall,
        "time: predicted, s": wall,
        "time: measured, s": wall_s,
        "memory: ratio": memory_bytes / memory,
        "memory: predicted, MB": memory / 1e6,
        "memory: measured, MB": memory_bytes / 1e6,
        "disk: ratio": disk_bytes / disk,
        "disk: predicted, MB": disk / 1e6,
        "disk: at most, MB": most / 1e6,
        "disk: measured, MB": disk_bytes / 1e6,
    }


def main() -> None:
    given = arguments(__doc__, repeats=1)
    rows = [compared(name, given.repeats) for name in STUDIES]
    tell(rows, given, {"jax": jax.__version__, **STUDIES, "all": SHARED})


if __name__ == "__main__":
    main()
