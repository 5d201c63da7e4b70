"""Runs command lines of a document, one after the other, in the folder it is started in: ``sandbox.py < commands``.

Agents are synthetic ones, which learn in no time, in this process whatever executor is asked for; who reads one from a
checkpoint finds the weights of a new agent.
Whatever else a command does is what it does for a user. Ends with the first exit code that is not 0.
"""

import contextlib
import dataclasses
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.cli import app as cli
from cartwheel.records import CheckpointId, Config
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.study_agents import agent_setup
from synthetic_executor import SyntheticBackend, SyntheticExecutor, replace_agents

SHORTER = {
    r"--episodes \d{2,}": "--episodes 4",
    r"--tuner\.num-trials \d{2,}": "--tuner.num-trials 4",
    r"(--tuner pbt(-bt)? --tuner\.preset \S+)": r"\1 --tuner.population 6",
    r"--seeds \d{2,}": "--seeds 2",
}
"""What makes hours of seconds, and shows a user nothing else."""


class DocumentBackend(SyntheticBackend):
    """Remembers whose checkpoints lie where."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: dict[Path, tuple[StudySpec, Sequence[Config]]] = {}

    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Callable[[str], None]
    ) -> SyntheticExecutor:
        self.specs[checkpoints.folder.resolve()] = spec, reachable
        return super().make(spec, reachable, AsWritten(checkpoints.folder), say)

    def weights(self, folder: Path) -> Mapping[str, Any]:
        setup = agent_setup(*self.specs[folder.resolve()])
        state = pets.init(setup.task, dataclasses.replace(setup.shape, capacity=1), jax.random.key(0))
        return to_arrays(jax.device_get(state))


class AsWritten(CheckpointStore):
    """What the synthetic executor reads from: its own checkpoints."""

    read = CheckpointStore.read


def shorter(line: str) -> str:
    for pattern, replacement in SHORTER.items():
        line = re.sub(pattern, replacement, line)
    return line


def main() -> None:
    backend: Any = DocumentBackend()
    as_written = CheckpointStore.read

    def read(store: CheckpointStore, digest: CheckpointId) -> Any:
        arrays, manifest = as_written(store, digest)
        return {**arrays, **backend.weights(store.folder)}, manifest

    CheckpointStore.read = read  # type: ignore[method-assign]
    replace_agents(backend)
    with contextlib.suppress(ModuleNotFoundError):
        __import__("registered")  # the tuner of a guide, where the folder has it
    for line in sys.stdin.read().splitlines():
        print(f"$ {line}", flush=True)
        try:
            cli.main(shlex.split(shorter(line), comments=True)[1:])
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
