"""Runs every arm on every scenario and seed, and shows what came out.

A row is appended when a study ends; the same command again runs only what is missing.
"""

import argparse
from pathlib import Path

from benchmarks.synthetic_curves.arms import ARMS, AVAILABLE, ORACLES
from benchmarks.synthetic_curves.formula import NOISES
from benchmarks.synthetic_curves.gates import gates, needed
from benchmarks.synthetic_curves.publish import publish
from benchmarks.synthetic_curves.running import run_all
from benchmarks.synthetic_curves.summary import BASELINE, shown, summary
from benchmarks.synthetic_curves.table import NUM_SEEDS, all_jobs, read_table

ROOT = Path(__file__).parents[2]


def main() -> None:
    options = _options()
    options.raw.parent.mkdir(parents=True, exist_ok=True)
    before = read_table(options.raw)
    arms = dict.fromkeys([*ORACLES, BASELINE, *options.arms])
    jobs = [job for job in all_jobs(arms, options.seeds) if job not in before]
    run_all(jobs, options.raw, options.jobs)
    table = read_table(options.raw)
    lines = list(summary(table))
    known = [noise for noise in NOISES if all(table.seeds(scenario, arm) for scenario, arm in needed(noise))]
    found = [gate for noise in known for gate in gates(table, noise)]
    print(*map(shown, lines), *found, sep="\n")
    if options.publish:
        publish(lines, found, ROOT / "docs")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_curves", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--raw", type=Path, default=ROOT / "runs/synthetic-curves.csv", help="where the rows are kept")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=AVAILABLE, metavar="ARM")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="at most so many")
    parser.add_argument("--publish", action="store_true", help="write what docs/choosing.md shows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
