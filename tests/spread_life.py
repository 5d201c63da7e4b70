"""An agent's life with its planning spread: ``python tests/spread_life.py`` prints what came of it, as digests.

A process of its own, because the number of devices is settled when JAX is first used.
"""

import contextlib
import dataclasses
import hashlib

import jax

import fragile
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.engines.engine import Engine, EpisodeJob
from hand_made import TINY

CONFIG = {**fragile.CONFIG, "plan_horizon": 5, "num_iterations": 3, "num_samples": 23, "num_epochs": 3}
"""23 samples in chunks of 4: the last chunk is not full, and the chunks are no multiple of two or three devices."""
SHAPE = dataclasses.replace(TINY, spreads_plans=True, max_samples=24)


def life(engine: Engine) -> tuple[dict[str, str], list[float]]:
    """Digests of what the agent knows after three episodes, and their returns."""
    engine.load(0, engine.fresh(("test", "a")))
    jobs = [EpisodeJob(CONFIG, ("test", "a"), index, is_random=index == 0) for index in range(3)]
    returns = [engine.run_episode({0: one})[0].episode.return_ for one in jobs]
    arrays = to_arrays(engine.snapshot([0])[0])
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}, returns


if __name__ == "__main__":
    with contextlib.closing(Engine(fragile.TASK, SHAPE, 1)) as engine:
        print(jax.local_device_count(), *life(engine))
