"""Would a native library multiply faster? The products of a layer: XLA's on a CPU beside those of oneDNN, in torch.

    python -m benchmarks.speed.products [--repeats 9] [--json]

Five networks at once, as an ensemble has them, 20 layers one after the other and nothing between them. Rows are those
of a chunk of plans. Torch runs in mbrl-lib's environment, with one thread and with one per core; the better counts.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.peers.__main__ import ROOT, peers_python
from benchmarks.speed.peers import Peer
from benchmarks.speed.timing import Job, arguments, in_turns, ratios, tell
from cartwheel.agents.pets.hypers import MatmulPrecision
from cartwheel.agents.pets.layers import dense
from cartwheel.executors.devices import num_cores, prepare_jax

NUM_NETWORKS, NUM_LAYERS = 5, 20
SHAPES = {"small": (16, 64), "middle": (100, 128), "published": (100, 200), "published, large chunks": (400, 200)}
"""Rows of a network, width."""
DTYPES: dict[MatmulPrecision, str] = {"float32": "float32", "bf16": "bfloat16"}
"""Ours to torch's."""


def products(rows: int, width: int, precision: MatmulPrecision) -> Job:
    """Ours, compiled."""
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(NUM_NETWORKS, rows, width)), jnp.float32)
    weight = jnp.asarray(rng.normal(size=(NUM_NETWORKS, width, width)) / width**0.5, jnp.float32)
    bias = jnp.zeros((NUM_NETWORKS, 1, width), jnp.float32)

    @jax.jit
    def run(hidden: Array, weight: Array) -> Array:
        result: Array = lax.fori_loop(
            0, NUM_LAYERS, lambda _, hidden: dense(hidden, weight, bias, precision), hidden, unroll=True
        )
        return result

    return lambda: run(hidden, weight).block_until_ready()


def main() -> None:
    given = arguments(__doc__, repeats=9)
    prepare_jax(None)
    peer, threads = Peer(peers_python(ROOT / ".venv-peers")), sorted({1, num_cores()})
    rows = []
    for name, (num_rows, width) in SHAPES.items():
        for precision, dtype in DTYPES.items():
            about = {"what": "products", "shape": [NUM_NETWORKS, num_rows, width], "count": NUM_LAYERS, "dtype": dtype}
            jobs: dict[str, Job] = {"ours": products(num_rows, width, precision)}
            theirs: dict[int, list[float]] = {number: [] for number in threads}
            mine: list[float] = []
            for _ in range(given.repeats):
                mine += in_turns(jobs, 1)["ours"]
                for number, each in theirs.items():
                    each.append(peer.seconds({**about, "threads": number}))
            best = min(theirs.values(), key=lambda each: sorted(each)[given.repeats // 2])
            median, low, high = ratios(mine, best)
            flops = 2 * NUM_LAYERS * NUM_NETWORKS * num_rows * width**2
            rows.append(
                {
                    "products": f"{name}: {NUM_NETWORKS} x ({num_rows} x {width}) ({width} x {width})",
                    "precision": precision,
                    "oneDNN times faster": f"{median:.2f} ({low:.2f} to {high:.2f})",
                    "XLA, GFLOP/s": flops / sorted(mine)[given.repeats // 2] / 1e9,
                    "oneDNN, GFLOP/s": flops / sorted(best)[given.repeats // 2] / 1e9,
                }
            )
    tell(rows, given, {"jax": jax.__version__, "torch": "2.13.0", "sizes": json.dumps(SHAPES)})


if __name__ == "__main__":
    main()
