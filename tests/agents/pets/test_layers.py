"""The dense layer in its three precisions, beside NumPy in float64."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.hypers import MatmulPrecision
from cartwheel.agents.pets.layers import dense
from cartwheel.agents.pets.setup import make_setup
from cartwheel.envs.tasks import get_task
from hand_made import with_shape

RNG = np.random.default_rng(11)
INPUTS, WEIGHT, SLOPE = (RNG.normal(size=size).astype(np.float32) for size in ((2, 9, 33), (2, 33, 5), (2, 9, 5)))
BIAS = RNG.normal(size=(2, 1, 5)).astype(np.float32)
F32_ROUNDING = 1e-5  # of sums of 33 terms near 1


def exact(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def rounded(array: np.ndarray) -> np.ndarray:
    """To bf16 and back."""
    return array.astype(ml_dtypes.bfloat16).astype(np.float64)


def layer(precision: MatmulPrecision) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Its output, and the gradients that ``SLOPE`` becomes on the way back."""
    output, back = jax.vjp(lambda *given: dense(*given, precision), *map(jnp.asarray, (INPUTS, WEIGHT, BIAS)))
    return np.asarray(output), *map(np.asarray, back(jnp.asarray(SLOPE)))


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_only_operands_are_rounded(precision: MatmulPrecision) -> None:
    """Of the product and of both products of its gradient; sums are in float32. On a CPU only bf16 rounds."""
    of = rounded if precision == "bf16" else exact
    output, to_inputs, to_weight, to_bias = layer(precision)
    assert output.dtype == to_inputs.dtype == to_weight.dtype == np.float32
    np.testing.assert_allclose(output, of(INPUTS) @ of(WEIGHT) + exact(BIAS), atol=F32_ROUNDING)
    np.testing.assert_allclose(to_inputs, of(SLOPE) @ of(WEIGHT).swapaxes(1, 2), atol=F32_ROUNDING)
    np.testing.assert_allclose(to_weight, of(INPUTS).swapaxes(1, 2) @ of(SLOPE), atol=F32_ROUNDING)
    np.testing.assert_allclose(to_bias, exact(SLOPE).sum(axis=1, keepdims=True), atol=F32_ROUNDING)


def test_bf16_rounds_much_more_than_float32() -> None:
    """So the test above can tell one from the other."""
    assert np.abs(layer("bf16")[0] - layer("float32")[0]).max() > 100 * F32_ROUNDING


def test_on_a_cpu_tf32_is_float32_to_the_bit() -> None:
    for ours, theirs in zip(layer("tf32"), layer("float32"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_whole_agent_has_the_precision_of_its_shape() -> None:
    """Its parameters stay float32."""
    state = pets.init(get_task("line"), with_shape(matmul_precision="bf16"), jax.random.key(0))
    assert state.weights.matmul_precision == "bf16"
    assert {leaf.dtype for leaf in jax.tree.leaves((state.weights, state.optimizer))} <= {
        np.dtype(np.float32),
        np.dtype(np.int32),
    }


def test_precision_holds_for_a_whole_study() -> None:
    """It is chosen for its speed, so no tuner chooses it by returns."""
    setup = make_setup(get_task("line"), {"matmul_precision": "bf16"}, [], num_episodes=1)
    assert setup.under({"learning_rate": 1e-3}).shape.matmul_precision == "bf16"
    with pytest.raises(ValueError, match=r"agent\.matmul_precision: cannot be tuned"):
        setup.under({"matmul_precision": "tf32"})
    with pytest.raises(ValueError, match=r"agent\.matmul_precision: must be one of float32, tf32, bf16"):
        make_setup(get_task("line"), {"matmul_precision": "fp8"}, [], num_episodes=1)
