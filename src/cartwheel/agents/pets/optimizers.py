"""The optimisers that fit the ensemble, each with the settings that Optax documents as its defaults.

An optimiser here turns gradients into directions; the step is the learning rate times the direction, and the learning
rate may differ from one agent of a cohort to the next.

    adam       first moment 0.9, second 0.999, epsilon 1e-8 (Kingma & Ba 2015)
    adadelta   decay 0.9, epsilon 1e-6; its directions carry their own scale: a learning rate of 1 (Zeiler 2012)
    adagrad    sum of squares from 0.1, epsilon 1e-7 (Duchi et al. 2011)
    sgd        the gradient itself, without momentum
    rmsprop    decay 0.9, epsilon 1e-8, without momentum (Hinton 2012)
"""

from collections.abc import Callable, Mapping

import jax
import optax
from jax import Array
from jaxtyping import Float

from cartwheel.agents.pets.hypers import OptimizerName
from cartwheel.agents.pets.model import Ensemble

DIRECTIONS: Mapping[OptimizerName, Callable[[], optax.GradientTransformation]] = {
    "adam": optax.scale_by_adam,
    "adadelta": optax.scale_by_adadelta,
    "adagrad": optax.scale_by_rss,
    "sgd": optax.identity,
    "rmsprop": optax.scale_by_rms,
}


def init_optimizer(name: OptimizerName, ensemble: Ensemble) -> optax.OptState:
    """The optimiser's memory before its first step. Its arrays, and how many there are, depend on the optimiser."""
    return DIRECTIONS[name]().init(ensemble)


def step(
    name: OptimizerName,
    ensemble: Ensemble,
    slope: Ensemble,
    optimizer: optax.OptState,
    learning_rate: Float[Array, ""],
) -> tuple[Ensemble, optax.OptState]:
    """The ensemble and the optimiser after one step against the gradient ``slope``."""
    with jax.numpy_dtype_promotion("standard"):  # optax raises a Python float to an integer power
        direction, optimizer = DIRECTIONS[name]().update(slope, optimizer)
    return jax.tree.map(lambda w, d: w - learning_rate * d, ensemble, direction), optimizer
