"""What share of the rate of the machine's own matrix products a plan step reaches, alone and with eight members.

    python -m benchmarks.speed.peak [--repeats 7] [--json]

The rate is that of the better of OpenBLAS and XLA on products of 2,048 x 2,048, all cores at work, measured in turns
with the plan steps; only the multiplications and additions of the networks' layers count.
"""

import jax

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES
from benchmarks.speed.timing import Job, arguments, in_turns, tell
from cartwheel.executors.devices import num_cores, prepare_jax


def main() -> None:
    given = arguments(__doc__, repeats=7)
    prepare_jax(None)
    devices = jax.local_devices()
    peaks = programs.peak_jobs()
    jobs: dict[str, Job] = dict(peaks)
    for name in ("cartpole", "cheetah", "middle", "small"):
        jobs[f"{name} 1"] = programs.plan_step(SIZES[name])
        jobs[f"{name} 1, spread"] = programs.plan_step(
            SIZES[name], shape=programs.shape_of(SIZES[name], 100, spreads_plans=True)
        )
        lanes = 8 // len(devices)
        each = [programs.plan_step(SIZES[name], lanes, device) for device in devices]
        jobs[f"{name} 8"] = programs.side_by_side(each)
    seconds = in_turns(jobs, given.repeats)
    rows = []
    for name in [name for name in jobs if name not in peaks]:
        size, members = SIZES[name.split()[0]], int(name.split()[1].rstrip(","))
        work = members * programs.flops(size)
        shares = sorted(
            (work / taken) / max(programs.PEAK_FLOPS / seconds[peak][i] for peak in peaks)
            for i, taken in enumerate(seconds[name])
        )
        best = min(seconds[name])
        rows.append(
            {
                "size": size.name,
                "members": name.split(maxsplit=1)[1],
                "share of peak": shares[len(shares) // 2],
                "lowest": shares[0],
                "highest": shares[-1],
                "GFLOP": work / 1e9,
                "ms": 1e3 * sorted(seconds[name])[len(shares) // 2],
                "best ms": 1e3 * best,
            }
        )
    rates = {f"{peak} GFLOP/s": round(programs.PEAK_FLOPS / min(seconds[peak]) / 1e9) for peak in peaks}
    tell(rows, given, {"jax": jax.__version__, "devices": len(devices), "cores used": num_cores(), **rates})


if __name__ == "__main__":
    main()
