"""One GPU: plan steps of populations, their share of the GPU's matrix products, a fit, and a whole episode.

    python -m benchmarks.speed.gpu [--repeats 5] [--sizes cheetah] [--json]

At the published cheetah sizes, in one program for all members, in float32, tf32 and bf16. The share is that of the
layers' multiplications and additions over the rate of square products in the same precision. The episode is one of the
task's length, in its environment on the host: planned from a model of one random episode, then fitted. A GPU is needed,
but for ``--sizes tiny``, which only shows that everything runs. What XLA was told (``XLA_FLAGS``) is printed: loops
whose every step is launched from the host may gain from ``--xla_gpu_enable_command_buffer=+WHILE``.
"""

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import jax
import jax.numpy as jnp

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES, Size
from benchmarks.speed.timing import Job, arguments, in_turns, tell
from cartwheel.agents.pets.hypers import MatmulPrecision
from cartwheel.agents.pets.layers import dense
from cartwheel.engines.engine import Engine, EpisodeJob
from cartwheel.envs.lookup import find_task
from cartwheel.executors.devices import prepare_jax

PRECISIONS: tuple[MatmulPrecision, ...] = get_args(MatmulPrecision)
BATCHES = (32, 256)
NUM_EPOCHS = 5
"""Of the fit after an episode: the published number."""


@dataclass(frozen=True)
class Scale:
    """How large everything is: members, rows of a fit, env steps (None: the task's), side of the square products."""

    size: Size
    members: tuple[int, ...]
    episode_members: tuple[int, ...]
    num_rows: int
    episode_length: int | None
    side: int


SCALES: Mapping[str, Scale] = {
    # a GPU has room for all samples at once
    "cheetah": Scale(SIZES["cheetah"].but(sample_chunk=400), (1, 4, 16, 40), (1, 16), 100_000, None, 8192),
    "tiny": Scale(Size("tiny", "cartpole-swingup", 1, 8, 5, 3, 2, 10, sample_chunk=5), (2,), (2,), 64, 4, 64),
}


def square_product(side: int, precision: MatmulPrecision) -> Job:
    """Of two ``side`` x ``side`` matrices, as a layer computes it."""
    ones, bias = jnp.ones((1, side, side), jnp.float32), jnp.zeros((1, 1, side), jnp.float32)
    multiply = jax.jit(lambda left, right: dense(left, right, bias, precision))
    return lambda: jax.block_until_ready(multiply(ones, ones))


def plan_rows(scale: Scale, repeats: int) -> list[dict[str, Any]]:
    """Plan steps of every number of members, in every precision."""
    rows = []
    for precision in PRECISIONS:
        size = scale.size.but(matmul_precision=precision)
        jobs = {"peak": square_product(scale.side, precision)}
        jobs |= {f"{members}": programs.plan_step(size, members) for members in scale.members}
        seconds = {name: sorted(each)[repeats // 2] for name, each in in_turns(jobs, repeats).items()}
        peak = 2.0 * scale.side**3 / seconds["peak"]
        for members in scale.members:
            taken = seconds[f"{members}"]
            share = members * programs.flops(size) / taken / peak
            rows.append({**_row("plan step", precision, members, taken), "share of peak": share})
    return rows


def fit_rows(scale: Scale, repeats: int) -> list[dict[str, Any]]:
    """A pass over many rows, by one member."""
    rows = []
    for precision in PRECISIONS:
        size = scale.size.but(matmul_precision=precision)
        jobs = {f"{batch}": programs.epoch(size, batch, scale.num_rows) for batch in BATCHES}
        for batch, seconds in in_turns(jobs, repeats).items():
            what = f"epoch, {scale.num_rows} rows, batch {batch}"
            rows.append(_row(what, precision, 1, sorted(seconds)[repeats // 2]))
    return rows


def episode_rows(scale: Scale) -> list[dict[str, Any]]:
    """A planned episode and the fit after it, of so many members at once; the random one before it is not counted."""
    rows = []
    for precision in PRECISIONS:
        for members in scale.episode_members:
            seconds, length = _episode_s(scale, precision, members)
            rows.append(_row(f"episode of {length} steps", precision, members, seconds))
    return rows


def _episode_s(scale: Scale, precision: MatmulPrecision, members: int) -> tuple[float, int]:
    """Wall time of it, and the most steps that a member made."""
    size, task = scale.size, find_task(scale.size.task, scale.episode_length)
    shape = programs.shape_of(size.but(matmul_precision=precision), 2 * task.episode_length)
    config = {name: getattr(size, name) for name in ("plan_horizon", "num_iterations", "num_samples")}
    config |= {"min_variance": 0.0, "num_epochs": NUM_EPOCHS}
    with contextlib.closing(Engine(task, shape, members)) as engine:
        for index in range(2):
            jobs = {m: EpisodeJob(config, ("gpu", m), index, is_random=index == 0) for m in range(members)}
            for m in jobs if index == 0 else ():
                engine.load(m, engine.fresh(jobs[m].seed))
            started = time.perf_counter()
            results = engine.run_episode(jobs)
            seconds = time.perf_counter() - started
    return seconds, max(result.episode.length for result in results.values())


def _row(what: str, precision: str, members: int, seconds: float) -> dict[str, Any]:
    times = {"ms": 1e3 * seconds, "ms per member": 1e3 * seconds / members}
    return {"what": what, "precision": precision, "members": members, **times, "share of peak": ""}


def main() -> None:
    given = arguments(__doc__, repeats=5, sizes=tuple(SCALES))
    prepare_jax(None)
    device = jax.local_devices()[0]
    if device.platform != "gpu" and given.sizes != "tiny":
        sys.exit(f"there is no GPU that JAX can use here, only {device.platform}: nothing was measured")
    scale = SCALES[given.sizes]
    rows = [*plan_rows(scale, given.repeats), *fit_rows(scale, given.repeats), *episode_rows(scale)]
    about = {"jax": jax.__version__, "device": device.device_kind, "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}
    tell(rows, given, {**about, "sizes": scale.size.about(), "side": scale.side, "epochs after an episode": NUM_EPOCHS})


if __name__ == "__main__":
    main()
