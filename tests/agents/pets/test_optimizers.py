"""The optimisers against their formulas written out, and their memory in checkpoints."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets import arrays, optimizers
from cartwheel.agents.pets.hypers import OptimizerName
from cartwheel.agents.pets.model import Ensemble
from hand_made import POSITION, with_shape

NAMES = get_args(OptimizerName)
GRADIENTS = np.random.default_rng(5).normal(0.0, 2.0, (4, 3))
LEARNING_RATE = 0.03


def adam(gradients: np.ndarray) -> Iterator[np.ndarray]:
    first, second = np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, start=1):
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        yield first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)


def adadelta(gradients: np.ndarray) -> Iterator[np.ndarray]:
    slopes, steps = np.zeros(3), np.zeros(3)
    for g in gradients:
        slopes = 0.9 * slopes + 0.1 * g**2
        direction = np.sqrt(steps + 1e-6) / np.sqrt(slopes + 1e-6) * g
        steps = 0.9 * steps + 0.1 * direction**2
        yield direction


def adagrad(gradients: np.ndarray) -> Iterator[np.ndarray]:
    total = np.full(3, 0.1)
    for g in gradients:
        total = total + g**2
        yield g / np.sqrt(total + 1e-7)


def sgd(gradients: np.ndarray) -> Iterator[np.ndarray]:
    yield from gradients


def rmsprop(gradients: np.ndarray) -> Iterator[np.ndarray]:
    second = np.zeros(3)
    for g in gradients:
        second = 0.9 * second + 0.1 * g**2
        yield g / np.sqrt(second + 1e-8)


WRITTEN_OUT: dict[str, Callable[[np.ndarray], Iterator[np.ndarray]]] = {
    one.__name__: one for one in (adam, adadelta, adagrad, sgd, rmsprop)
}


def ensemble_of(values: Any) -> Ensemble:
    """Three numbers as an ensemble of one layer."""
    nothing = jnp.zeros((1,), jnp.float32)
    return Ensemble((jnp.asarray(values, jnp.float32)[None, None],), (nothing[None, None],), nothing, nothing)


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_the_formula(name: OptimizerName) -> None:
    """Four steps from the same start, each optimiser with its documented settings."""
    expected = np.ones(3)
    found = ensemble_of(expected)
    memory = optimizers.init_optimizer(name, found)
    step = jax.jit(optimizers.step, static_argnums=0)
    for gradient, direction in zip(GRADIENTS, WRITTEN_OUT[name](GRADIENTS), strict=True):
        found, memory = step(name, found, ensemble_of(gradient), memory, jnp.float32(LEARNING_RATE))
        expected = expected - LEARNING_RATE * direction
        np.testing.assert_allclose(found.weights[0][0, 0], expected, rtol=1e-5)
    assert not np.any(found.biases[0])  # no gradient, no step


def state_with(name: OptimizerName) -> Any:
    return jax.device_get(pets.init(POSITION, with_shape(optimizer=name), jax.random.key(0)))


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_hold_every_memory(name: OptimizerName) -> None:
    """Whatever arrays an optimiser remembers, they come back from a checkpoint."""
    state = state_with(name)
    marked = jax.tree.map(lambda leaf: leaf + np.ones((), leaf.dtype), state)
    back = arrays.part_from_arrays(state, "optimizer", arrays.to_arrays(marked))
    assert jax.tree.structure(back) == jax.tree.structure(state.optimizer)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(marked.optimizer), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "adam"])
def test_one_memory_is_not_anothers(name: OptimizerName) -> None:
    """A checkpoint of Adam is refused by any other optimiser, also where its arrays would do."""
    with pytest.raises(ValueError, match="the checkpoint does not fit the agent: optimizer/"):
        arrays.part_from_arrays(state_with(name), "optimizer", arrays.to_arrays(state_with("adam")))
