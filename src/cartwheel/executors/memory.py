"""Whether an agent's programs fit into memory: asked before their arrays are made, and refused in one sentence.

An operating system ends a process that takes too much, or lets it crawl; a GPU fails in the middle of a program.
"""

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax

from cartwheel.agents.pets.agent import init
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.analysis.wording import data_size
from cartwheel.envs.tasks import Task
from cartwheel.errors import ConfigError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


class DoesNotFit(ConfigError):
    """There is not as much memory as a program needs."""


def available_bytes(device: Any) -> int | None:
    """What a JAX device could still allocate: of its own memory, or of this machine's; None where nobody says."""
    stats = device.memory_stats()
    if stats is not None:
        return int(stats["bytes_limit"] - stats["bytes_in_use"])
    return min(filter(None, (_of_machine(), _of_container())), default=None)


def _of_machine() -> int | None:
    if not _MEMINFO.is_file():
        return None
    rows = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    return 1024 * int(rows["MemAvailable"].split()[0])


def _of_container() -> int | None:
    """What a container's limit (cgroup v2) leaves. Pages of files count as used there, but are given up on demand."""
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if not limit.is_file() or (most := limit.read_text().strip()) == "max":
        return None
    stats = _CGROUP / "memory.stat"
    rows = dict(line.split() for line in stats.read_text().splitlines()) if stats.is_file() else {}
    files = sum(int(rows.get(kind, 0)) for kind in ("inactive_file", "active_file"))
    return max(1, int(most) - int(used.read_text()) + files)


def needed_bytes(task: Task, shape: PetsShape, num_lanes: int) -> int:
    """What an engine allocates at most, beside the code of its programs; nothing is compiled to know it.

    An agent's weights, optimizer and buffer are there three times when a new one is made: in the lanes, among as many
    new ones, and on the way to the host. A fit has its inputs, targets and the order of rows beside the buffer; a plan
    has all hidden units of a chunk of samples twice, and all the samples.
    """
    agent = jax.eval_shape(lambda: init(task, shape, jax.random.key(0)))
    num_inputs, num_outputs = agent.weights.weights[0].shape[1], agent.weights.weights[-1].shape[2]
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(agent))
    fit = 4 * shape.capacity * (num_inputs + num_outputs + 3 * shape.num_networks)
    units = max(shape.width, num_inputs, num_outputs)
    plan = 4 * (
        2 * shape.sample_chunk * shape.num_particles * units
        + 3 * shape.padded_samples * shape.max_horizon * task.action_size
    )
    num_bytes: int = num_lanes * (3 * state + fit + plan)
    return num_bytes


def _pool(device: Any) -> Hashable:
    """What shares one memory."""
    return "machine" if device.platform == "cpu" else (device.platform, device.id)


class MemoryPlan:
    """What the programs of some devices may take together. Devices of the machine itself share its memory.

    An array that has been promised is not yet in use, so promises are counted from what was available at first.
    """

    def __init__(self, available: Callable[[Any], int | None] = available_bytes) -> None:
        self._available = available
        self._lock = threading.Lock()
        self._at_first: dict[Hashable, int | None] = {}
        self._promised: dict[Hashable, int] = {}

    def promise(self, device: Any, num_bytes: int) -> None:
        """Raises DoesNotFit if a program that needs so much does not fit beside those that were promised before."""
        pool = _pool(device)
        with self._lock:
            if pool not in self._at_first:
                self._at_first[pool] = self._available(device)
            free, promised = self._at_first[pool], self._promised.get(pool, 0)
            if free is not None and promised + num_bytes > free:
                raise DoesNotFit(
                    f"agents need {data_size(num_bytes)} of memory on {device.platform} device {device.id}, and "
                    f"{data_size(max(0, free - promised))} of {data_size(free)} are left for them",
                    "engine.lanes, agent, num_episodes",
                    "use fewer lanes, fewer or shorter episodes (the buffer holds them all), or smaller networks",
                )
            self._promised[pool] = promised + num_bytes

    def release(self, device: Any, num_bytes: int) -> None:
        """The arrays of a program are gone."""
        pool = _pool(device)
        with self._lock:
            self._promised[pool] -= num_bytes


PLAN = MemoryPlan()
"""Of this process."""
