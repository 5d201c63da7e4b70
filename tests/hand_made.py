"""Tasks, worlds and programs made by hand, small enough to know every answer."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cartwheel.agents.pets.hypers import PetsShape, PlannerHypers, hypers_from_configs
from cartwheel.agents.pets.model import Ensemble, Normaliser, init_normaliser
from cartwheel.agents.pets.propagation import World
from cartwheel.envs.tasks import Task, never

POSITION = Task(
    id="position",
    env_id="none",
    obs_size=1,
    action_low=(-1.0,),
    action_high=(1.0,),
    episode_length=10,
    step_s=1.0,
    reward=lambda obs, action, next_obs: next_obs[0],
    reward_bound=1e6,
    terminated=never,
)
"""One number that the action (or whatever a hand-made world says) is added to; the reward is where it lands."""

TINY = PetsShape(
    num_networks=2,
    num_layers=1,
    width=8,
    num_particles=2,
    batch_size=4,
    capacity=48,
    max_horizon=5,
    max_iterations=3,
    max_samples=16,
    sample_chunk=4,
)
"""A program that compiles in seconds."""

CHANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-3, 1e-2),
    "weight_decay": (1e-5, 0.5),
    "num_epochs": (4, 5),
    "plan_horizon": (4, 5),
    "num_iterations": (2, 3),
    "num_samples": (12, 16),
    "elite_ratio": (0.25, 0.5),
    "alpha": (0.1, 0.4),
    "initial_std": (0.5, 0.7),
    "min_variance": (1e-3, 0.24),
    "noise_exponent": (2.0, 0.5),
    "sample_decay": (1.25, 2.0),
    "kept_elite_ratio": (0.4, 0.0),
    "shifted_elite_ratio": (0.4, 0.0),
    "warm_start_fraction": (1.0, 0.5),
    "tail_fraction": (1.0, 0.0),
    "temperature": (0.1, 0.5),
    "noise_smoothing": (0.3, 0.6),
}
"""Two values of every hyperparameter, the first in use while another one changes. A new one needs its line."""


def planner_hypers(planner: Any, **values: Any) -> PlannerHypers:
    """One member's planner hypers, as arrays."""
    hypers = hypers_from_configs([values], planner).planner
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), hypers)


def linear_world(shape: PetsShape, matrix: Any, log_std: float = -30.0) -> World:
    """Every network predicts inputs @ matrix, exactly: swish(z) - swish(-z) = z."""
    matrix = np.asarray(matrix, np.float32)  # [I, D]
    num_inputs, num_targets = matrix.shape
    first = np.zeros((shape.num_networks, num_inputs, shape.width), np.float32)
    first[:, :, :num_targets], first[:, :, num_targets : 2 * num_targets] = matrix, -matrix
    last = np.zeros((shape.num_networks, shape.width, 2 * num_targets), np.float32)
    for d in range(num_targets):
        last[:, d, d], last[:, num_targets + d, d] = 1.0, -1.0
    return World(_ensemble(shape, first, last, np.zeros(num_targets), log_std), init_normaliser(num_inputs))


def constant_world(shape: PetsShape, means: Any, num_inputs: int = 2, log_std: float = -30.0) -> World:
    """Network e predicts ``means[e]`` [D] whatever it sees."""
    means = np.asarray(means, np.float32)  # [E, D]
    first = np.zeros((shape.num_networks, num_inputs, shape.width), np.float32)
    last = np.zeros((shape.num_networks, shape.width, 2 * means.shape[1]), np.float32)
    return World(_ensemble(shape, first, last, means, log_std), init_normaliser(num_inputs))


def _ensemble(shape: PetsShape, first: Any, last: Any, means: Any, log_std: float) -> Ensemble:
    num_targets = last.shape[2] // 2
    bias = np.zeros((shape.num_networks, 1, 2 * num_targets), np.float32)
    bias[:, 0, :num_targets] = means
    bias[:, 0, num_targets:] = 2.0 * log_std
    # bounds so far off that they leave the log-variance as it is
    high, low = np.full(num_targets, 100.0, np.float32), np.full(num_targets, -100.0, np.float32)
    hidden_bias = np.zeros((shape.num_networks, 1, shape.width), np.float32)
    return jax.tree.map(jnp.asarray, Ensemble((first, last), (hidden_bias, bias), high, low))


def random_normaliser(rng: np.random.Generator, num_inputs: int) -> Normaliser:
    """Some offsets and scales."""
    mean, std = rng.normal(size=num_inputs), rng.uniform(0.5, 2.0, num_inputs)
    return Normaliser(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))


def with_shape(**changes: Any) -> PetsShape:
    """TINY, but."""
    return dataclasses.replace(TINY, **changes)
