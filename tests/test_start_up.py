"""A second run waits for no compiler."""

from collections import Counter
from pathlib import Path

import jax

import one_program
from cartwheel.backend import AgentBackend
from cartwheel.tuning import Running, tune

REQUESTS = "/jax/compilation_cache/compile_requests_use_cache"
HITS = "/jax/compilation_cache/cache_hits"


def test_another_study_of_the_same_sizes_compiles_nothing(tmp_path: Path) -> None:
    """Whatever it tunes, from whatever seed: every program that it asks for is in the cache, as JAX itself counts."""
    counted: Counter[str] = Counter()

    def count(event: str, **_: str | int) -> None:
        counted[event] += 1

    def run(name: str, **changes: object) -> None:
        changes = {"num_episodes": 1, "episode_length": 6, **changes}
        tune(one_program.spec("line", **changes), tmp_path / name, Running(backend=AgentBackend(False)))

    run("first")
    jax.clear_caches()  # as in a new process
    jax.monitoring.register_event_listener(count)
    try:
        run("second", seed=7, tuner={"name": "pbt", "population": 2, "interval_episodes": 1})
    finally:
        jax.monitoring.unregister_event_listener(count)
    assert counted[REQUESTS] >= 5
    assert counted[HITS] == counted[REQUESTS]
