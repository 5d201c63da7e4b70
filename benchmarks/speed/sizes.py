"""The sizes that are timed. The standard library is all that a peer's environment has, too."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """An agent on a task, planning by CEM: the published planner. Its networks are an ensemble of five."""

    name: str
    task: str
    num_layers: int
    width: int
    num_particles: int
    plan_horizon: int
    num_iterations: int
    num_samples: int
    num_networks: int = 5
    sample_chunk: int | None = None
    matmul_precision: str = "float32"

    def but(self, **changes: int | str) -> "Size":
        """The same with some numbers changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type] # of fields, by name

    @property
    def network_evaluations(self) -> int:
        """Per plan step."""
        return self.plan_horizon * self.num_iterations * self.num_samples * self.num_particles

    def about(self) -> str:
        """One line."""
        planner = f"CEM {self.num_iterations} x {self.num_samples}, horizon {self.plan_horizon}"
        return (
            f"{self.name}: {self.task}, {planner}, {self.num_particles} particles, "
            f"{self.num_networks} networks of {self.num_layers} x {self.width}"
        )


SIZES: Mapping[str, Size] = {
    size.name: size
    for size in (
        Size("cartpole", "cartpole-balance", 3, 200, 20, 15, 5, 350),
        Size("cheetah", "pets-halfcheetah", 4, 200, 20, 30, 5, 400),
        Size("middle", "pets-halfcheetah", 3, 128, 10, 15, 3, 100),
        Size("small", "cartpole-swingup", 2, 64, 5, 25, 3, 48),
    )
}
"""The first two are published (Chua et al. 2018, Pineda et al. 2021); the others are for a CPU."""
