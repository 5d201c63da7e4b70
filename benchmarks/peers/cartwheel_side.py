"""Our side: ``python -m benchmarks.peers.cartwheel_side CASE SEED OUT.json`` trains as ``cartwheel train`` does."""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from benchmarks.peers.cases import Case, Episode, case_of
from cartwheel import records
from cartwheel.observer import Observer
from cartwheel.records import Evaluation, Segment
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import parse_spec
from cartwheel.tuning import Running, train


def settings(case: Case, seed: int) -> dict[str, Any]:
    """Of the study: the choices are those of mbrl-lib's examples."""
    sizes = case.sizes
    return {
        "env_id": case.task,
        "num_episodes": case.num_episodes,
        "episode_length": case.episode_length,
        "seed": seed,
        "space": {"name": "small-cem"},
        "validation": {"num_episodes": 0},
        "agent": {
            "planner": "cem",
            "propagation": "tsinf",
            "logvar_bounds": "fixed",
            "num_networks": sizes.num_networks,
            "num_layers": sizes.num_layers,
            "width": sizes.width,
            "num_particles": sizes.num_particles,
            "batch_size": sizes.batch_size,
        },
    }


def config(case: Case) -> dict[str, float | int]:
    """The hyperparameters. mbrl-lib's CEM has no variance at which it stops early."""
    sizes = case.sizes
    planner = ("plan_horizon", "num_iterations", "num_samples", "elite_ratio", "alpha")
    model = ("num_epochs", "learning_rate", "weight_decay")
    return {**{name: getattr(sizes, name) for name in (*planner, *model)}, "min_variance": 0.0}


class Clock(Observer):
    """What every episode cost."""

    def __init__(self, case: Case) -> None:
        self.case, self.episodes, self.num_rows, self.since = case, list[Episode](), 0, time.process_time()

    def on_episode(self, item: Segment | Evaluation, episode: records.Episode) -> None:  # noqa: ARG002
        now, sizes = time.process_time(), self.case.sizes
        self.num_rows += episode.length
        num_updates = sizes.num_epochs * -(-self.num_rows // sizes.batch_size)
        plan_s, fit_s, env_s = (episode.seconds[name] for name in ("plan", "fit", "env"))
        counts = episode.index, episode.return_, episode.length, num_updates
        self.episodes.append(Episode(*counts, plan_s, fit_s, env_s, now - self.since))
        self.since = now


def main() -> None:
    case, seed, out = case_of(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    spec = parse_spec(settings(case, seed), {}, "the benchmark")
    clock = Clock(case)  # type: ignore[abstract] # of a protocol: what it is not told, it does not need
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        schedule = Schedule((Piece(0, spec.num_episodes, config(case)),))
        train(spec, schedule, Path(folder) / "run", Running(observers=[clock]))
    wall_s = time.perf_counter() - started
    episodes = [asdict(episode) for episode in clock.episodes]
    setup_s = wall_s - sum(episode[name] for episode in episodes for name in ("plan_s", "fit_s", "env_s"))
    about = {"jax": jax.__version__, "jax devices": jax.device_count()}
    out.write_text(json.dumps({"episodes": episodes, "setup_s": setup_s, "about": about}))


if __name__ == "__main__":
    main()
