"""A plan step, and a pass over 5,000 rows, beside mbrl-lib's: the same sizes, float32, CPU.

    python -m benchmarks.speed.peers [--repeats 5] [--precision bf16] [--json]

Two processes take turns. mbrl-lib's runs with one thread and with one per core, and the better median counts. Ours has
all cores. What differs between the two is listed in docs/results/peers.md; mbrl-lib's plan steps pay a reward of its
cartpole on both tasks, which is cheaper than the cheetah's, and nothing ends. A reduced precision is ours alone, and
is to be reported apart.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import jax

from benchmarks.peers.__main__ import ROOT, peers_python
from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES
from benchmarks.speed.timing import Job, arguments, in_turns, ratios, tell
from cartwheel.agents.pets.hypers import MatmulPrecision
from cartwheel.envs.tasks import get_task
from cartwheel.executors.devices import num_cores, prepare_jax

NUM_ROWS = 5000


class Peer:
    """mbrl-lib in a process of its own."""

    def __init__(self, python: Path) -> None:
        command = [str(python), "-m", "benchmarks.speed.mbrl_server"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, request: Mapping[str, Any]) -> float:
        """Of one run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("mbrl-lib's process has ended: see its message above")
        return float(answer)


def main() -> None:
    given = arguments(__doc__, repeats=5, precision=get_args(MatmulPrecision))
    prepare_jax(None)
    peer = Peer(peers_python(ROOT / ".venv-peers"))
    rows = []
    for name in ("cartpole", "cheetah"):
        size, task = SIZES[name].but(matmul_precision=given.precision), get_task(SIZES[name].task)
        about = {"size": dataclasses.asdict(size), "obs_size": task.obs_size, "action_size": task.action_size}
        planning = programs.plan_step(size, shape=programs.shape_of(size, 100, spreads_plans=True))
        cases: dict[str, tuple[Job, dict[str, Any]]] = {"plan step": (planning, {"what": "plan"})}
        for batch in (256, 32):
            job = programs.epoch(size, batch, NUM_ROWS)
            cases[f"epoch, batch {batch}"] = (job, {"what": "epoch", "batch": batch, "rows": NUM_ROWS})
        for what, (ours, request) in cases.items():
            theirs: dict[int, list[float]] = {threads: [] for threads in (1, num_cores())}
            mine: list[float] = []
            for _ in range(given.repeats):
                mine += in_turns({"ours": ours}, 1)["ours"]
                for threads, each in theirs.items():
                    each.append(peer.seconds({**about, **request, "threads": threads}))
            threads = min(theirs, key=lambda threads: sorted(theirs[threads])[given.repeats // 2])
            median, low, high = ratios(theirs[threads], mine)
            rows.append(
                {
                    "size": name,
                    "what": what,
                    "times faster": f"{median:.2f} ({low:.2f} to {high:.2f})",
                    "ours, ms": 1e3 * sorted(mine)[given.repeats // 2],
                    "mbrl-lib, ms": 1e3 * sorted(theirs[threads])[given.repeats // 2],
                    "its threads": threads,
                }
            )
    sizes = "; ".join(SIZES[name].about() for name in ("cartpole", "cheetah"))
    tell(
        rows,
        given,
        {
            "jax": jax.__version__,
            "mbrl": "0.2.0",
            "torch": "2.13.0",
            "rows": NUM_ROWS,
            "sizes": sizes,
            "precision": given.precision,
        },
    )


if __name__ == "__main__":
    main()
