"""Runs studies side by side and keeps a row of each.

Not in ``__main__``: a process that is started afresh does not import that of a package, so it would not find the work.
"""

import csv
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from benchmarks.synthetic_curves.arms import run_arm
from benchmarks.synthetic_curves.study import Result
from benchmarks.synthetic_curves.table import RAW_COLUMNS, Job, row, whole_lines


def run_all(jobs: Sequence[Job], path: Path, num_processes: int) -> None:
    """Append the row of every job to the file as it ends."""
    path.write_text("".join(whole_lines(path)) or ",".join(RAW_COLUMNS) + "\n")
    # not by fork, which a process whose libraries have threads may not survive
    with path.open("a", newline="", buffering=1) as file, get_context("spawn").Pool(num_processes) as pool:
        writer = csv.writer(file, lineterminator="\n")
        for job, result in pool.imap_unordered(_result, jobs, chunksize=1):
            writer.writerow(row(job, result))


def _result(job: Job) -> tuple[Job, Result]:
    return job, run_arm(job.arm, job.scenario, job.seed)
