"""The compiled functions of a cohort: an agent's, vectorised over lanes, for one device.

L lanes   R plans that are kept   H horizon (maximum)   A action
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.buffer import Buffer, host_transitions, row_shapes
from cartwheel.agents.pets.diagnostics import Experience
from cartwheel.agents.pets.hypers import PetsShape, hypers_from_configs
from cartwheel.agents.pets.planner import DEVICES, no_bounds
from cartwheel.agents.pets.propagation import World
from cartwheel.engines import whole_episodes as whole
from cartwheel.engines.rollouts import plans_shape
from cartwheel.envs.tasks import Task


@dataclass(frozen=True, slots=True)
class Programs:
    """The compiled functions of a cohort. Being compiled ahead, they refuse a call that would need recompiling.

    ``begin`` and ``act`` are an episode step by step. Where whole episodes are played, ``begin`` is that of
    ``whole_episodes``, and ``act`` its ``played``.
    """

    init: Callable[..., Any]
    begin: Callable[..., Any]
    load: Callable[..., Any]
    act: Callable[..., Any]
    learn: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Cohort:
    """An agent's functions over lanes; their types are those of ``agents.pets.agent``, with a lane axis in front."""

    task: Task
    shape: PetsShape
    num_lanes: int

    def init(self, keys: Array) -> PetsState:
        states: PetsState = over_lanes(self._init_one, self.num_lanes)(keys)
        return states

    def _init_one(self, key: Array) -> PetsState:
        return pets.init(self.task, self.shape, jax.random.wrap_key_data(key))

    def begin(self) -> Any:
        one = pets.begin_episode(self.task, self.shape)
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], self.num_lanes, axis=0), one)

    def load(self, states: PetsState, one: PetsState, lane: Array) -> Any:
        # a scatter, as `.at[lane].set` would be, takes XLA several times as long to compile
        return jax.tree.map(lambda all_, new: lax.dynamic_update_index_in_dim(all_, new, lane, 0), states, one)

    def act(
        self, models: Any, memory: Any, hypers: Any, bounds: Any, obs: Any, is_random: Any, keys: Any, t: Any
    ) -> Any:
        def one(model: Any, memory: Any, hypers: Any, obs: Any, is_random: Any, key: Any) -> Any:
            key = jax.random.fold_in(jax.random.wrap_key_data(key), t)
            return pets.act(self.task, self.shape, model, memory, hypers, bounds, obs, is_random, key)

        return over_lanes(one, self.num_lanes)(models, memory, hypers, obs, is_random, keys)

    def begin_whole(self) -> whole.Progress:
        plans = jnp.full(plans_shape(self.task, self.shape, self.num_lanes), jnp.nan, jnp.float32)
        return whole.begin(self.task, self.begin(), plans)

    def play(self, models: Any, now: Any, hypers: Any, bounds: Any, is_random: Any, keys: Any, stop: Any) -> Any:
        def act(memory: Any, obs: Any, t: Any) -> Any:
            return self.act(models, memory, hypers, bounds, obs, is_random, keys, t)

        return whole.played(self.task, act, now, stop)

    def learn(self, states: Any, experience: Any, learns: Any, hypers: Any, most_rows: Any, keys: Any) -> Any:
        def one(state: Any, experience: Any, learns: Any, hypers: Any, key: Any) -> Any:
            key = jax.random.wrap_key_data(key)
            num_epochs = jnp.where(learns, hypers.model.num_epochs, 0)  # nobody waits for what is not kept
            hypers = eqx.tree_at(lambda hypers: hypers.model.num_epochs, hypers, num_epochs)
            after, metrics = pets.learn(self.task, self.shape, state, experience, hypers, most_rows, key)
            return _chosen(learns, after, state), metrics

        return over_lanes(one, self.num_lanes)(states, experience, learns, hypers, keys)


def over_lanes(function: Callable[..., Any], num_lanes: int) -> Callable[..., Any]:
    """``jax.vmap``; but one lane is computed as the one agent that it is, whose loops end where they end."""
    if num_lanes > 1:
        return jax.vmap(function)

    def alone(*stacked: Any) -> Any:
        result = function(*jax.tree.map(lambda leaf: jnp.squeeze(leaf, 0), stacked))
        return jax.tree.map(lambda leaf: jnp.expand_dims(leaf, 0), result)

    return alone


def compile_programs(
    task: Task, shape: PetsShape, num_lanes: int, device: Any, *, plays_whole: bool = False
) -> Programs:
    """For so many lanes of a device. Arrays of planning may lie on others as well (see ``planning_sharding``)."""
    sharding, planning = SingleDeviceSharding(device), planning_sharding(shape, device)
    cohort, scalar = Cohort(task, shape, num_lanes), np.asarray(0, np.int32)

    def struct(shape: tuple[int, ...], dtype: Any, sharding: Sharding = sharding) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    def abstract(tree: Any, sharding: Sharding = sharding) -> Any:
        return jax.tree.map(lambda leaf: struct(leaf.shape, leaf.dtype, sharding), tree)

    def compiled(function: Callable[..., Any], *arguments: Any, out: Sharding = sharding, **options: Any) -> Any:
        jitted = jax.jit(function, out_shardings=out, **options)
        return jitted.lower(*arguments).compile()

    keys = abstract(np.zeros((num_lanes, 2), np.uint32))
    states = abstract(jax.eval_shape(cohort.init, keys))
    hypers = abstract(hypers_from_configs([{}] * num_lanes, shape.planner))
    flags, counts = abstract(np.zeros(num_lanes, bool)), abstract(np.zeros(num_lanes, np.int32))
    columns = {name: (num_lanes, task.episode_length, *size) for name, size in row_shapes(task).items()}
    episode = host_transitions(**{name: struct(size, np.float32) for name, size in columns.items()})
    experience = Experience(episode, counts, struct(plans_shape(task, shape, num_lanes), np.float32))
    obs = abstract(np.zeros((num_lanes, task.obs_size), np.float32))
    one = jax.tree.map(lambda leaf: struct(leaf.shape[1:], leaf.dtype), states)
    models, bounds = World(states.weights, states.normaliser), no_bounds(shape)
    begin, act = (cohort.begin_whole, cohort.play) if plays_whole else (cohort.begin, cohort.act)
    seen = () if plays_whole else (obs,)  # whole episodes see for themselves
    planned = abstract((models, jax.eval_shape(begin), hypers, bounds, *seen, flags, keys), planning)
    return Programs(
        init=compiled(cohort.init, keys),
        begin=compiled(begin, out=planning),
        load=compiled(cohort.load, states, one, scalar, donate_argnums=0),
        act=compiled(spread(act, planning), *planned, scalar, out=planning, donate_argnums=1),
        learn=compiled(cohort.learn, states, experience, flags, hypers, scalar, keys, donate_argnums=0),
    )


def planning_sharding(shape: PetsShape, device: Any) -> Sharding:
    """Where planning has its arrays: on one device, or the same on as many as have chunks of samples to score.

    At least on two, if there are: bits are the same for any number but one.
    """
    if not shape.spreads_plans:
        return SingleDeviceSharding(device)
    devices = jax.local_devices()[: max(2, shape.padded_samples // shape.sample_chunk)]
    mesh = jax.make_mesh((len(devices),), (DEVICES,), (AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec())


def spread(act: Callable[..., Any], planning: Sharding) -> Callable[..., Any]:
    """The same program on every device of a mesh."""
    if not isinstance(planning, NamedSharding):
        return act
    everywhere = PartitionSpec()
    # what devices exchange makes their results alike, which the check cannot see
    return jax.shard_map(act, mesh=planning.mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)


def _chosen(learns: Array, after: PetsState, before: PetsState) -> PetsState:
    """The agent after it has learned, or before.

    Rows are not chosen, only how many there are: what lies behind the last one means nothing, and a choice would read
    the buffer whole.
    """

    def choose(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda new, old: jnp.where(learns, new, old), new, old)

    return PetsState(
        weights=choose(after.weights, before.weights),
        optimizer=choose(after.optimizer, before.optimizer),
        normaliser=choose(after.normaliser, before.normaliser),
        replay=Buffer(after.replay.rows, choose(after.replay.num_rows, before.replay.num_rows)),
    )
