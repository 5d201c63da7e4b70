"""Our side: a plan step and a pass over the data, compiled as the engine compiles them, on made-up transitions."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from benchmarks.speed.sizes import Size
from benchmarks.speed.timing import Job
from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.fit import fit
from cartwheel.agents.pets.hypers import MatmulPrecision, PetsHypers, PetsShape, hypers_from_configs
from cartwheel.agents.pets.planner import plan_bounds
from cartwheel.agents.pets.propagation import World
from cartwheel.engines.programs import over_lanes, planning_sharding, spread
from cartwheel.envs.tasks import get_task

CHUNKS = {"cartpole": 25, "cheetah": 25, "middle": 50, "small": 16}
"""Samples evaluated at a time, as the presets of these sizes would have them."""


def shape_of(size: Size, capacity: int = 6000, batch_size: int = 32, spreads_plans: bool = False) -> PetsShape:
    """The agent's shape; its maxima are what it uses."""
    return PetsShape(
        num_networks=size.num_networks,
        num_layers=size.num_layers,
        width=size.width,
        num_particles=size.num_particles,
        planner="cem",
        batch_size=batch_size,
        capacity=capacity,
        max_horizon=size.plan_horizon,
        max_iterations=size.num_iterations,
        max_samples=size.num_samples,
        sample_chunk=size.sample_chunk or CHUNKS[size.name],
        spreads_plans=spreads_plans,
        matmul_precision=cast(MatmulPrecision, size.matmul_precision),
    )


def hypers_of(size: Size, num_members: int, **changes: int) -> PetsHypers:
    """What it uses. No variance is small enough to end a search early."""
    names = ("plan_horizon", "num_iterations", "num_samples")
    config = {**{name: getattr(size, name) for name in names}, "min_variance": 0.0, **changes}
    return hypers_from_configs([config] * num_members, "cem")


def agents(size: Size, shape: PetsShape, num_members: int, num_rows: int) -> pets.PetsState:
    """Fresh agents with so many made-up rows."""
    task, rng = get_task(size.task), np.random.default_rng(0)
    init = jax.jit(jax.vmap(functools.partial(pets.init, task, shape)))
    states = init(jax.random.split(jax.random.key(0), num_members))
    made_up = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), states.replay.rows)
    replay = dataclasses.replace(states.replay, rows=made_up, num_rows=jnp.full(num_members, num_rows, jnp.int32))
    made: pets.PetsState = dataclasses.replace(states, replay=replay)
    return made


def plan_step(size: Size, num_members: int = 1, device: Any = None, shape: PetsShape | None = None) -> Job:
    """One plan of every member. The program is ``shape``'s where one is given: other sizes, the same compilation.

    Where that shape spreads plans, all devices have a part in it.
    """
    task, shape = get_task(size.task), shape or shape_of(size, capacity=100)
    hypers = hypers_of(size, num_members)
    bounds = plan_bounds(jax.tree.map(np.asarray, hypers.planner), shape)
    states, obs = agents(size, shape, num_members, 100), np.zeros((num_members, task.obs_size), np.float32)
    memory = jax.vmap(lambda _: pets.begin_episode(task, shape))(jnp.arange(num_members))
    keys, flags = jax.random.split(jax.random.key(1), num_members), np.zeros(num_members, bool)
    place = planning_sharding(shape, device or jax.local_devices()[0])
    models = World(states.weights, states.normaliser)
    given = jax.device_put((models, memory, hypers, obs, flags, keys), place)
    program, bounds = _plan_program(size.task, shape, num_members, place), jax.device_put(bounds, place)
    return lambda: jax.block_until_ready(program(bounds, *given))


@functools.cache
def _plan_program(task_id: str, shape: PetsShape, num_members: int, place: Sharding) -> Callable[..., Any]:
    task = get_task(task_id)

    def act(bounds: Any, *given: Any) -> Any:
        def one(model: Any, memory: Any, hypers: Any, obs: Any, is_random: Any, key: Any) -> Any:
            return pets.act(task, shape, model, memory, hypers, bounds, obs, is_random, key)

        return over_lanes(one, num_members)(*given)

    return jax.jit(spread(act, place))


def epoch(  # one for every number that a script varies
    size: Size,
    batch_size: int,
    num_rows: int,
    capacity: int | None = None,
    num_members: int = 1,
    num_epochs: int = 1,
    device: Any = None,
) -> Job:
    """Passes over so many rows of every member."""
    shape = shape_of(size, capacity or num_rows, batch_size)
    states, hypers = agents(size, shape, num_members, num_rows), hypers_of(size, num_members, num_epochs=num_epochs)
    most_rows, keys = np.asarray(num_rows, np.int32), jax.random.split(jax.random.key(1), num_members)
    given = jax.device_put((states.weights, states.optimizer, states.replay, hypers.model), device)
    most_rows, keys = jax.device_put((most_rows, keys), device)
    program = _fit_program(size.task, shape, num_members)
    return lambda: jax.block_until_ready(program(most_rows, *given, keys))


@functools.cache
def _fit_program(task_id: str, shape: PetsShape, num_members: int) -> Callable[..., Any]:
    task = get_task(task_id)

    def fit_all(most_rows: Any, *given: Any) -> Any:
        def one(ensemble: Any, optimizer: Any, buffer: Any, hypers: Any, key: Any) -> Any:
            return fit(task, shape, ensemble, optimizer, buffer, hypers, most_rows, key)

        return over_lanes(one, num_members)(*given)

    return jax.jit(fit_all)


def side_by_side(jobs: Sequence[Job]) -> Job:
    """All at once, a thread each: one per device."""

    def run() -> None:
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run


def flops(size: Size) -> float:
    """Of the matrix products of a plan step: two per weight and network evaluation."""
    task = get_task(size.task)
    num_encoded: int = jax.eval_shape(task.encode, jnp.zeros(task.obs_size, jnp.float32)).shape[0]
    inputs, outputs = num_encoded + task.action_size, 2 * task.obs_size
    weights = inputs * size.width + (size.num_layers - 1) * size.width**2 + size.width * outputs
    return 2.0 * weights * size.network_evaluations


SIDE = 2048


def peak_jobs() -> dict[str, Job]:
    """Square products by OpenBLAS (NumPy's) and by XLA, all cores at work: the better one is the machine's rate."""
    host = np.ones((SIDE, SIDE), np.float32)
    device, multiply = jnp.asarray(host), jax.jit(jnp.matmul)
    return {"openblas": lambda: host @ host, "xla": lambda: jax.block_until_ready(multiply(device, device))}


PEAK_FLOPS = 2.0 * SIDE**3
