"""How time grows with what is used: slopes of log time over log size, of which 1 is proportional.

    python -m benchmarks.speed.growth [--repeats 5] [--json]

One program for all values of a row: they change between calls, and nothing is compiled anew. Plan steps are those of a
middle-sized agent, epochs those of a small one, for whom everything around the matrix products weighs most. Capacity is
not used: its slope should be 0.
"""

from collections.abc import Callable, Mapping

import jax

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES
from benchmarks.speed.timing import Job, arguments, in_turns, slope, tell
from cartwheel.executors.devices import prepare_jax

MIDDLE, SMALL = SIZES["middle"], SIZES["small"]
LARGEST = MIDDLE.but(plan_horizon=40, num_iterations=8, num_samples=400)


def planning(**changes: int) -> Job:
    """A plan step in the program of the largest."""
    return programs.plan_step(MIDDLE.but(**changes), shape=programs.shape_of(LARGEST, capacity=100))


GROWTHS: Mapping[str, tuple[tuple[int, ...], Callable[[int], Job]]] = {
    "plan horizon": ((5, 10, 20, 40), lambda n: planning(plan_horizon=n)),
    "iterations": ((1, 2, 4, 8), lambda n: planning(num_iterations=n)),
    "samples": ((50, 100, 200, 400), lambda n: planning(num_samples=n)),
    "rows": ((500, 1000, 2000, 4000, 8000), lambda n: programs.epoch(SMALL, 32, n, 8000)),
    "epochs": ((1, 2, 4, 8), lambda n: programs.epoch(SMALL, 32, 500, 8000, num_epochs=n)),
    "capacity, 500 rows": ((500, 2000, 8000, 32000), lambda n: programs.epoch(SMALL, 32, 500, n)),
}


def main() -> None:
    given = arguments(__doc__, repeats=5)
    prepare_jax(None, num_devices=1)
    rows = []
    for name, (values, make) in GROWTHS.items():
        seconds = in_turns({str(value): make(value) for value in values}, given.repeats)
        medians = [sorted(each)[len(each) // 2] for each in seconds.values()]
        times = ", ".join(f"{value}: {1e3 * taken:.3g}" for value, taken in zip(values, medians, strict=True))
        rows.append({"what grows": name, "slope": round(slope(values, medians), 2), "ms": times})
    tell(rows, given, {"jax": jax.__version__, "plan": LARGEST.about(), "epoch": SMALL.about(), "batch": 32})


if __name__ == "__main__":
    main()
