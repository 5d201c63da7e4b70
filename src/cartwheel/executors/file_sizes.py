"""How large an agent's files will be, before there is an agent: nothing is compiled, and no file is written."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from cartwheel.agents.pets.agent import init
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.agents.pets.buffer import row_shapes
from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.envs.tasks import Task
from cartwheel.records import Config, FileSizes
from cartwheel.store.checkpoints import encode

_PLACE = {"segment": "0.0", "episode": 0}


def file_sizes(setup: AgentSetup, reachable: Sequence[Config]) -> FileSizes:
    """Of the largest agent among those of these configs, and of an episode of full length."""
    shapes = {setup.under(config).shape for config in reachable}
    largest = max(checkpoint_size(setup.task, shape) for shape in shapes)
    return FileSizes(largest, episode_size(setup.task, setup.task.episode_length))


def checkpoint_size(task: Task, shape: PetsShape) -> int:
    """Of an agent's checkpoint that lists no episodes."""
    # the buffer is no part of a checkpoint
    template = jax.eval_shape(lambda: init(task, dataclasses.replace(shape, capacity=1), jax.random.key(0)))
    arrays = to_arrays(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template))
    return len(encode(arrays, {**_PLACE, "replay": []}))


def episode_size(task: Task, num_steps: int) -> int:
    """Of what is kept of an episode."""
    return _size_of({name: (num_steps, *shape) for name, shape in row_shapes(task).items()})


def simulator_file_sizes(setup: AgentSetup) -> FileSizes:
    """Who plans with the true dynamics keeps its actions."""
    bare = len(encode({}, {**_PLACE, "replay": []}))
    return FileSizes(bare, simulator_episode_size(setup.task, setup.task.episode_length))


def simulator_episode_size(task: Task, num_steps: int) -> int:
    """Of what it keeps of an episode."""
    return _size_of({"action": (num_steps, task.action_size)})


def _size_of(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return len(encode({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, _PLACE))
