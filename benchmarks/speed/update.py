"""What an update of a fit is made of: its parts alone, and a whole epoch's share of one.

    python -m benchmarks.speed.update [--repeats 7] [--json]

Batches of 32 and 256 rows. Each part is a compiled loop of its own over made-up batches: the networks forwards, their
gradient, the gradient with Adam, and ``fit`` itself over 5,000 rows, which also draws, gathers and encodes the rows.
The last column is the rate of the products of forward and backward passes in that time.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax, random

from benchmarks.speed import programs
from benchmarks.speed.sizes import SIZES, Size
from benchmarks.speed.timing import Job, arguments, in_turns, tell
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.model import Ensemble, fit_loss, init_ensemble, predict
from cartwheel.agents.pets.optimizers import init_optimizer, step
from cartwheel.envs.tasks import get_task
from cartwheel.executors.devices import prepare_jax

NUM_UPDATES, NUM_ROWS = 50, 5000


def forward(shape: PetsShape, ensemble: Ensemble, _optimizer: Any, inputs: Array, _targets: Array) -> Array:
    """The means, summed, so that none is left out."""

    def go_on(i: Array, total: Array) -> Array:
        # the next pass begins when this one has ended
        return total + jnp.sum(predict(ensemble, inputs[i] + 1e-9 * total).mean)

    found: Array = lax.fori_loop(0, NUM_UPDATES, go_on, jnp.zeros(()))
    return found


def gradient(shape: PetsShape, ensemble: Ensemble, _optimizer: Any, inputs: Array, targets: Array) -> Array:
    """Every product of the backward pass; of the gradient little is read."""

    def go_on(i: Array, total: Array) -> Array:
        slope = _slope(shape, ensemble, inputs[i] + 1e-9 * total, targets[i])
        return total + sum(jnp.sum(weight[:, :1, :1]) for weight in slope.weights)

    found: Array = lax.fori_loop(0, NUM_UPDATES, go_on, jnp.zeros(()))
    return found


def with_adam(shape: PetsShape, ensemble: Ensemble, optimizer: Any, inputs: Array, targets: Array) -> Any:
    """The updated ensemble and its moments."""

    def go_on(i: Array, now: tuple[Ensemble, Any]) -> tuple[Ensemble, Any]:
        return step("adam", now[0], _slope(shape, now[0], inputs[i], targets[i]), now[1], jnp.float32(1e-3))

    return lax.fori_loop(0, NUM_UPDATES, go_on, (ensemble, optimizer))


def _slope(shape: PetsShape, ensemble: Ensemble, inputs: Array, targets: Array) -> Ensemble:
    everyone = jnp.ones(shape.batch_size)
    slope: Ensemble = eqx.filter_grad(fit_loss, has_aux=True)(
        ensemble, inputs, targets, everyone, jnp.float32(1e-5), shape.layer_decays
    )[0]
    return slope


def job(part: Callable[..., Any], size: Size, batch_size: int) -> Job:
    """So many updates, or parts of them."""
    task, shape = get_task(size.task), programs.shape_of(size, batch_size=batch_size)
    num_inputs = jax.eval_shape(task.encode, jnp.zeros(task.obs_size)).shape[0] + task.action_size
    ensemble = init_ensemble(random.key(0), num_inputs, task.obs_size, shape)
    batches = (NUM_UPDATES, shape.num_networks, batch_size)
    inputs, targets = (random.normal(random.key(i), (*batches, n)) for i, n in enumerate((num_inputs, task.obs_size)))
    given = (ensemble, init_optimizer("adam", ensemble), inputs, targets)
    program = jax.jit(functools.partial(part, shape))
    return lambda: jax.block_until_ready(program(*given))


def flops(size: Size, batch_size: int) -> float:
    """Of the products: forwards, and twice as many backwards."""
    task = get_task(size.task)
    num_inputs = int(jax.eval_shape(task.encode, jnp.zeros(task.obs_size)).shape[0]) + task.action_size
    widths = (num_inputs, *(size.width,) * size.num_layers, 2 * task.obs_size)
    num_weights = sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(widths))
    return 6.0 * size.num_networks * batch_size * num_weights


def main() -> None:
    given = arguments(__doc__, repeats=7)
    prepare_jax(None)
    rows = []
    for name in ("cartpole", "cheetah"):
        for batch_size in (32, 256):
            size = SIZES[name]
            parts = {"forward": forward, "gradient": gradient, "with Adam": with_adam}
            jobs = {part: job(function, size, batch_size) for part, function in parts.items()}
            seconds = in_turns({**jobs, "fit": programs.epoch(size, batch_size, NUM_ROWS)}, given.repeats)
            counts = {**dict.fromkeys(jobs, NUM_UPDATES), "fit": -(-NUM_ROWS // batch_size)}
            ms = {part: 1e3 * sorted(each)[given.repeats // 2] / counts[part] for part, each in seconds.items()}
            rate = flops(size, batch_size) / ms["fit"] / 1e6
            rows.append({"size": name, "batch": batch_size, **{f"{p}, ms": t for p, t in ms.items()}, "GFLOP/s": rate})
    peaks = in_turns(programs.peak_jobs(), given.repeats)
    best = {f"{peak} GFLOP/s": round(programs.PEAK_FLOPS / min(each) / 1e9) for peak, each in peaks.items()}
    tell(rows, given, {"jax": jax.__version__, "rows": NUM_ROWS, **best})


if __name__ == "__main__":
    main()
