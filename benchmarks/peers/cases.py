"""What both sides run: tasks, lengths, sizes. The standard library is all that both environments have."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of the agent. ``elite_ratio`` times ``num_samples`` is a whole number: one side rounds up, the other down."""

    num_networks: int = 5
    num_layers: int = 2
    width: int = 64
    num_particles: int = 5
    plan_horizon: int = 15
    num_iterations: int = 3
    num_samples: int = 64
    elite_ratio: float = 0.125
    alpha: float = 0.1
    num_epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5


@dataclass(frozen=True)
class Case:
    """One random episode, then ``num_episodes`` that the model drives; the model is fitted after each."""

    name: str
    task: str
    episode_length: int
    num_episodes: int
    sizes: Sizes


PUBLISHED = Sizes(
    num_layers=3, width=200, num_particles=20, num_iterations=5, num_samples=350, elite_ratio=0.1, num_epochs=5
)
"""The planner of mbrl-lib's own study of this cartpole, on networks of 3 x 200: for a few steps, only to time them."""

CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("line", "line", 30, 5, Sizes(num_epochs=100)),
        Case("cartpole", "cartpole-balance", 200, 8, Sizes()),
        Case("cartpole-published", "cartpole-balance", 8, 1, PUBLISHED),
    )
}
TINY = Case("tiny", "line", 5, 2, Sizes(width=8, num_iterations=2, num_samples=16, num_epochs=2, plan_horizon=3))
"""To see that everything runs."""


@dataclass(frozen=True)
class Episode:
    """What one episode returned and cost, the fit after it included. ``cpu_s`` counts all threads of the process."""

    episode: int
    return_: float
    env_steps: int
    num_updates: int
    plan_s: float
    fit_s: float
    env_s: float
    cpu_s: float


def case_of(name: str) -> Case:
    """The case of that name."""
    return TINY if name == TINY.name else CASES[name]
