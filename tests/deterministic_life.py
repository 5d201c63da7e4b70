"""A study that is to be deterministic: ``python tests/deterministic_life.py FOLDER EXECUTOR`` prints what came of it.

A process of its own, because XLA is told so before JAX starts. Prints its JAX platform, the run folder's record of
``XLA_FLAGS``, and digests of its checkpoints.
"""

import json
import sys
from pathlib import Path

from cartwheel.backend import AgentBackend
from cartwheel.spec import StudySpec
from cartwheel.task_files import load_task_file
from cartwheel.tuning import Running, tune

AGENT = {
    "num_networks": 2, "num_layers": 1, "width": 8, "num_particles": 2, "batch_size": 4, "sample_chunk": 4,
    "plan_horizon": 3, "num_iterations": 2, "num_samples": 12, "num_epochs": 4,
}  # fmt: skip
TASK = """
import os
import pathlib
import sys

import cartwheel

task = cartwheel.task_for("cartwheel/Line-v0", id="my-line", episode_length=6)
told = pathlib.Path(__file__).parent / f"flags-{os.getpid()}"
told.write_text(os.environ.get("XLA_FLAGS", ""))
"""
"""It runs wherever agents run, and says what that process was told."""


def main(folder: Path, executor: str) -> None:
    own = folder / "my_task.py"
    own.write_text(TASK)
    loaded = load_task_file(own)
    spec = StudySpec.model_validate(
        {
            "env_id": loaded.task.id,
            "num_episodes": 2,
            "tuner": {"name": "random-search", "num_trials": 2},
            "space": {"tune": "model"},
            "agent": AGENT,
            "engine": {"deterministic": True},
            "validation": {"num_episodes": 1},
            "task_file": {"path": str(own), "sha256": loaded.sha256},
        }
    )
    backend = AgentBackend(has_compile_cache=False, executor=executor, workers=None if executor == "inline" else 1)
    tune(spec, folder / "run", Running(backend=backend))
    import jax

    environment = json.loads((folder / "run" / "environment.json").read_text())
    digests = sorted(path.name for path in (folder / "run" / "checkpoints").iterdir())
    print(json.dumps([jax.default_backend(), environment["XLA_FLAGS"], digests]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
