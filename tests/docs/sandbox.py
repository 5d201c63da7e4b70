"""Runs command lines of a document, one after the other, in the folder it is started in: ``sandbox.py < commands``.

Agents are synthetic ones, which learn in no time; their checkpoints hold the weights of new agents, so that what reads
agents has some. Whatever else a command does is what it does for a user. Ends with the first exit code that is not 0.
"""

import contextlib
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.backend import InlineBackend, agent_setup
from cartwheel.cli import app as cli
from cartwheel.records import Config, StoredFile
from cartwheel.spec import StudySpec
from cartwheel.store.checkpoints import CheckpointStore
from synthetic_executor import SyntheticBackend, SyntheticExecutor

LONG = re.compile(r"--episodes \d{2,}")
SHORT = "--episodes 6"


class WithWeights(CheckpointStore):
    """Adds weights to every checkpoint of an agent."""

    def __init__(self, folder: Path, weights: Mapping[str, Any]) -> None:
        super().__init__(folder)
        self.weights = weights

    def write(self, arrays: Mapping[str, Any], manifest: Mapping[str, Any]) -> StoredFile:
        return super().write({**arrays, **(self.weights if "state" in arrays else {})}, manifest)


class DocumentBackend(SyntheticBackend):
    def make(
        self, spec: StudySpec, reachable: Sequence[Config], checkpoints: CheckpointStore, say: Callable[[str], None]
    ) -> SyntheticExecutor:
        setup = agent_setup(spec, reachable)
        state = jax.device_get(pets.init(setup.task, setup.shape, jax.random.key(0)))
        return super().make(spec, reachable, WithWeights(checkpoints.folder, to_arrays(state)), say)


def main() -> None:
    backend: Any = DocumentBackend()
    for name in ("check", "make"):
        setattr(InlineBackend, name, lambda _, *arguments, name=name: getattr(backend, name)(*arguments))
    with contextlib.suppress(ModuleNotFoundError):
        __import__("registered")  # the tuner of a guide, where the folder has it
    for line in sys.stdin.read().splitlines():
        print(f"$ {line}", flush=True)
        try:
            cli.main(shlex.split(LONG.sub(SHORT, line), comments=True)[1:])
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
