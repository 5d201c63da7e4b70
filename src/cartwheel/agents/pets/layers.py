"""The dense layer of a network, and the precision of its matrix product: for planning and for fitting alike.

    float32   full precision everywhere, also on a GPU, where JAX would otherwise take tf32
    tf32      operands are rounded to 10 bits of mantissa on GPUs that can (NVIDIA Ampere and later); a CPU cannot, and
              computes the same bits as under float32
    bf16      operands are rounded to 7 bits of mantissa, in the product and in both products of its gradient

Sums are in float32 always, and so are weights, biases, activations and what the optimiser keeps: only what enters a
product is rounded, which is what mixed precision means (Micikevicius et al. 2018).

    E networks   B rows   I inputs   O outputs
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from cartwheel.agents.pets.hypers import MatmulPrecision


def dense(
    inputs: Float[Array, "E B I"],
    weight: Float[Array, "E I O"],
    bias: Float[Array, "E 1 O"],
    precision: MatmulPrecision,
) -> Float[Array, "E B O"]:
    """``inputs @ weight + bias``, by every network for its own rows."""
    if precision == "bf16":
        return _bf16_product(inputs, weight) + bias
    exactness = lax.Precision.HIGHEST if precision == "float32" else lax.Precision.HIGH
    return jnp.einsum("ebi,eio->ebo", inputs, weight, precision=exactness) + bias


def _rounded(equation: str, left: Array, right: Array) -> Array:
    """A product of operands rounded to bf16, summed in float32."""
    operands = (left.astype(jnp.bfloat16), right.astype(jnp.bfloat16))
    return jnp.einsum(equation, *operands, preferred_element_type=jnp.float32)


# a derivative of its own: JAX's would multiply the rounded operands with a gradient that is not rounded, in float32
@jax.custom_vjp
def _bf16_product(inputs: Array, weight: Array) -> Array:
    return _rounded("ebi,eio->ebo", inputs, weight)


def _forward(inputs: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    return _bf16_product(inputs, weight), (inputs, weight)


def _backward(saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    inputs, weight = saved
    return _rounded("ebo,eio->ebi", slope, weight), _rounded("ebi,ebo->eio", inputs, slope)


_bf16_product.defvjp(_forward, _backward)
