"""A study on however many devices JAX shows: ``python tests/devices_study.py FOLDER LANES`` prints what came of it.

A process of its own, because the number of devices is settled when JAX is first used. Prints how many there were, on
how many of them agents ran, and digests of the checkpoints.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

import fragile
from cartwheel.executors import lanes
from cartwheel.executors.inline import InlineExecutor
from cartwheel.executors.lanes import AgentLanes, lanes_of_devices
from cartwheel.executors.work import Outcome, Place, Work
from cartwheel.store.checkpoints import CheckpointStore
from executor_contract import run, segment, work

NUM_AGENTS, PATIENCE_S = 8, 280.0
_used: set[int] = set()


class Noted(AgentLanes):
    """Says on which device an agent begins."""

    def __init__(self, setup: Any, place: Place, device: Any, *others: Any) -> None:
        super().__init__(setup, place, device, *others)
        self._number = device.id

    def begin(self, work: Work) -> Sequence[Outcome]:
        _used.add(self._number)
        return super().begin(work)


def main(folder: Path, num_lanes: int) -> None:
    num_devices = jax.local_device_count()
    lanes.AgentLanes = Noted  # type: ignore[misc] # what the executor makes is told of
    store = CheckpointStore(folder)
    executor = InlineExecutor(lambda place: lanes_of_devices(fragile.setup(), place), store, num_lanes)
    try:
        assert executor.num_free == num_devices * num_lanes
        run(executor, [work(segment(trial, stop=1)) for trial in range(NUM_AGENTS)], patience_s=PATIENCE_S)
    finally:
        executor.close()
    print(json.dumps([num_devices, sorted(_used), sorted(store.digests())]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
