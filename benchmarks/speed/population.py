"""Time per member of a population that plans and fits, for 1 to 32 members, over all cores.

    python -m benchmarks.speed.population [--repeats 5] [--json]

As the product runs them: a device per core, a thread each; a single member has one device to itself. The members of a
device take turns, one lane a device, as is the default on a CPU; or they are vectorised over its lanes.
"""

from collections.abc import Callable
from typing import Any

import jax

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES, Size
from benchmarks.speed.timing import Job, arguments, in_turns, ratios, tell
from cartwheel.executors.devices import prepare_jax

MEMBERS = (1, 2, 4, 8, 16, 32)
NUM_ROWS = 1000
"""In every member's buffer, for the epoch."""


def shared_out(num_members: int) -> list[int]:
    """Members by device."""
    devices = min(num_members, len(jax.local_devices()))
    return [num_members // devices + (i < num_members % devices) for i in range(devices)]


def times_over(job: Job, times: int) -> Job:
    """One after the other."""

    def run() -> None:
        for _ in range(times):
            job()

    return run


def jobs_of(size: Size) -> dict[tuple[str, str, int], Job]:
    """Of every number of members, by what they do and how."""
    parts: dict[str, Callable[[int, Any], Job]] = {
        "plan": lambda members, device: programs.plan_step(size, members, device),
        "epoch": lambda members, device: programs.epoch(size, 32, NUM_ROWS, num_members=members, device=device),
    }
    jobs: dict[tuple[str, str, int], Job] = {}
    for what, make in parts.items():
        one = {device: make(1, device) for device in jax.local_devices()}
        for members in MEMBERS:
            shares = list(zip(shared_out(members), one, strict=False))
            one_by_one = [times_over(one[device], share) for share, device in shares]
            jobs[what, "in turns", members] = programs.side_by_side(one_by_one)
            if members > len(one):
                vectorised = [make(share, device) for share, device in shares]
                jobs[what, "vectorised", members] = programs.side_by_side(vectorised)
    return jobs


def main() -> None:
    given = arguments(__doc__, repeats=5)
    prepare_jax(None)
    rows = []
    for name in ("small", "middle"):
        seconds = in_turns(jobs_of(SIZES[name]), given.repeats)
        for what, how, members in seconds:
            each = seconds[what, how, members]
            faster, low, high = ratios([members * alone for alone in seconds[what, "in turns", 1]], each)
            rows.append(
                {
                    "size": name,
                    "what": what,
                    "members": members,
                    "how": how,
                    "times faster per member": f"{faster:.2f} ({low:.2f} to {high:.2f})",
                    "ms per member": 1e3 * sorted(each)[len(each) // 2] / members,
                }
            )
    sizes = "; ".join(SIZES[name].about() for name in ("small", "middle"))
    about = {"devices": len(jax.local_devices()), "rows": NUM_ROWS, "batch": 32, "sizes": sizes}
    tell(rows, given, {"jax": jax.__version__, **about})


if __name__ == "__main__":
    main()
