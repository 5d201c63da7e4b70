"""Timing in turns, and what comes of it."""

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

Job = Callable[[], object]
Name = TypeVar("Name")


def in_turns(jobs: Mapping[Name, Job], repeats: int) -> dict[Name, list[float]]:
    """Seconds of every job, ``repeats`` times each, one after the other; each has been run once before."""
    for job in jobs.values():
        job()
    seconds: dict[Name, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of the ratios of runs that followed on one another."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(each), min(each), max(each)


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Of the logarithm of seconds over that of sizes, by least squares: 1 is proportional."""
    x, y = ([math.log(value) for value in values] for values in (sizes, seconds))
    return statistics.linear_regression(x, y).slope


def arguments(description: str | None, repeats: int, **choices: Sequence[str]) -> argparse.Namespace:
    """The options that every script has, and choices of its own by name, whose first value is the default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="times that everything is timed")
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0])
    parser.add_argument("--json", action="store_true", help="print one line of JSON in place of a table")
    return parser.parse_args()


def tell(rows: Sequence[Mapping[str, Any]], given: argparse.Namespace, about: Mapping[str, Any]) -> None:
    """Print what was found, numbers to three digits; ``about`` are versions and sizes."""
    machine = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "repeats": given.repeats,
    }
    if given.json:
        print(json.dumps({"about": {**machine, **about}, "rows": list(rows)}))
        return
    print("; ".join(f"{name} {value}" for name, value in {**machine, **about}.items()))
    print("| " + " | ".join(rows[0]) + " |")
    print("|---|" + "--:|" * (len(rows[0]) - 1))
    for row in rows:
        print(
            "| "
            + " | ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values())
            + " |"
        )
