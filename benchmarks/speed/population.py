"""Time per member of a population that plans and fits, for 1 to 32 members, over all cores.

    python -m benchmarks.speed.population [--repeats 5] [--json]

As the product runs them: a device per core, a thread each; a single member has one device to itself. Members that one
device holds are vectorised over its lanes.
"""

import jax

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES
from benchmarks.speed.timing import Job, arguments, in_turns, ratios, tell
from cartwheel.executors.devices import prepare_jax

MEMBERS = (1, 2, 4, 8, 16, 32)
NUM_ROWS = 1000
"""In every member's buffer, for the epoch."""


def shared_out(num_members: int) -> list[int]:
    """Members by device."""
    devices = min(num_members, len(jax.local_devices()))
    return [num_members // devices + (i < num_members % devices) for i in range(devices)]


def main() -> None:
    given = arguments(__doc__, repeats=5)
    prepare_jax(None)
    devices = jax.local_devices()
    rows = []
    for name in ("small", "middle"):
        size = SIZES[name]
        jobs: dict[str, Job] = {}
        for members in MEMBERS:
            shares = list(zip(shared_out(members), devices, strict=False))
            jobs[f"plan {members}"] = programs.side_by_side(
                [programs.plan_step(size, lanes, device) for lanes, device in shares]
            )
            jobs[f"epoch {members}"] = programs.side_by_side(
                [programs.epoch(size, 32, NUM_ROWS, num_members=lanes, device=device) for lanes, device in shares]
            )
        seconds = in_turns(jobs, given.repeats)
        for members in MEMBERS:
            row: dict[str, object] = {"size": name, "members": members}
            for what in ("plan", "epoch"):
                each = seconds[f"{what} {members}"]
                faster, low, high = ratios([members * alone for alone in seconds[f"{what} 1"]], each)
                row |= {f"{what}: times faster per member": f"{faster:.2f} ({low:.2f} to {high:.2f})"}
                row |= {f"{what}, ms per member": 1e3 * sorted(each)[len(each) // 2] / members}
            rows.append(row)
    sizes = "; ".join(SIZES[name].about() for name in ("small", "middle"))
    tell(rows, given, {"jax": jax.__version__, "devices": len(devices), "rows": NUM_ROWS, "batch": 32, "sizes": sizes})


if __name__ == "__main__":
    main()
