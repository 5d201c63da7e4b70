"""What runs in a child: the command line with the synthetic agent, writing down what it began and what it was told."""

import os
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cartwheel.executors.work import Outcome
from cartwheel.records import Evaluation, Segment
from faults.steps import Fault, Steps, install
from synthetic_executor import Lane, SyntheticBackend, SyntheticExecutor, replace_agents

TOLD, ERRORS, RAN, STEPS = "told.jsonl", "errors.txt", "ran.txt", "steps.txt"
"""Left beside the run folder: standard output and error, episodes that were begun, names of the steps on disk."""

NOBODY = 65534


@dataclass(frozen=True)
class Settings:
    """``pause_s`` lengthens every episode; ``has_steps``: the steps on disk are written down; ``max_file_bytes``: no
    file may grow beyond that; ``is_unprivileged``: what root may, the child may not."""

    pause_s: float = 0.0
    has_steps: bool = False
    fault: Fault | None = None
    max_file_bytes: int | None = None
    is_unprivileged: bool = False


def run_command(folder: Path, words: Sequence[str], settings: Settings) -> int:
    """Run ``cartwheel WORDS`` in this process for ever after; the exit code, 1 after a traceback."""
    from cartwheel.cli import app as cli

    os.chdir(folder)
    for name, descriptor in ((TOLD, 1), (ERRORS, 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    _use_synthetic_agents(os.open(RAN, os.O_WRONLY | os.O_CREAT | os.O_APPEND), settings.pause_s)
    if settings.max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (settings.max_file_bytes, resource.RLIM_INFINITY))
    if settings.is_unprivileged and os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    steps = install(settings.fault) if settings.has_steps or settings.fault else Steps(None)
    try:
        cli.main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    with open(STEPS, "w") as file:
        file.writelines(f"{name}\n" for name in steps.names)
    return code


def _use_synthetic_agents(ran: int, pause_s: float) -> None:
    """Every episode is written down in the file ``ran`` as it begins."""

    class Recording(SyntheticExecutor):
        def _advance(self, lane: Lane) -> list[Outcome]:
            os.write(ran, f"{name_of(lane.work.item)} {lane.next_episode}\n".encode())
            time.sleep(pause_s)
            return super()._advance(lane)

    backend = SyntheticBackend()
    backend.executor_class = Recording
    replace_agents(backend)


def name_of(item: Segment | Evaluation) -> str:
    """One word for what an episode belongs to."""
    return item.id if isinstance(item, Segment) else f"validation-of-{item.segment}"
