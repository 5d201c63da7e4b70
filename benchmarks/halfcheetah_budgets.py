"""Which small planning budget learns HalfCheetah best per minute of CPU, and how is its model best fitted?

    python -m benchmarks.halfcheetah_budgets --seeds 1 --out docs/results/halfcheetah-budgets.csv
    python -m benchmarks.halfcheetah_budgets --budgets NAME --seeds 1 2 3 --episodes 20 --out ...

One agent per budget and seed, one after another on one core; an agent whose rows are in the file is skipped. Returns
are those of the training episodes, CPU seconds those of the process.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.rows import append, read
from benchmarks.training import train_agent

TASK = "pets-halfcheetah"


@dataclass(frozen=True)
class Budget:
    """What planning one step costs, and what decides what it is worth: networks, noise, and how they are fitted."""

    num_samples: int
    num_iterations: int
    plan_horizon: int
    num_particles: int
    num_layers: int
    width: int
    noise_exponent: float
    learning_rate: float = 1e-3
    num_epochs: int = 5

    @property
    def name(self) -> str:
        model = f"{self.num_layers}x{self.width}"
        name = (
            f"{self.num_samples}x{self.num_iterations}-h{self.plan_horizon}-p{self.num_particles}-{model}"
            f"-e{self.noise_exponent:g}"
        )
        fitting = (self.learning_rate, self.num_epochs)
        return name if fitting == (1e-3, 5) else f"{name}-l{self.learning_rate:g}-n{self.num_epochs}"


CHOSEN = Budget(48, 3, 15, 5, 3, 128, 0.25)
"""From what the others of planning showed: short plans, white noise."""
BUDGETS = [
    Budget(48, 3, 30, 5, 3, 128, 1.0),
    Budget(100, 3, 30, 5, 2, 64, 1.0),
    Budget(48, 3, 15, 5, 3, 128, 1.0),
    Budget(48, 3, 30, 5, 3, 128, 0.25),
    Budget(100, 3, 15, 5, 3, 128, 1.0),
    Budget(100, 3, 30, 5, 3, 128, 1.0),
    CHOSEN,
    *(replace(CHOSEN, learning_rate=rate, num_epochs=num) for rate, num in ((2.5e-3, 5), (1e-3, 15), (2.5e-3, 15))),
]
TUNED = ("num_samples", "num_iterations", "plan_horizon", "noise_exponent", "learning_rate", "num_epochs")


def rows_of(budget: Budget, seed: int, num_episodes: int) -> Iterator[dict[str, object]]:
    """One row per episode."""
    fields = asdict(budget)
    tuned = {name: fields.pop(name) for name in TUNED}
    settings = {
        "env_id": TASK,
        "num_episodes": num_episodes,
        "seed": seed,
        "agent": {**fields, **tuned},
        "validation": {"num_episodes": 0},
    }
    with tempfile.TemporaryDirectory() as folder:
        for row in train_agent(Path(folder) / "run", settings, {}):
            yield {"budget": budget.name, "seed": seed, **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", nargs="*", choices=[budget.name for budget in BUDGETS], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    done = {(row["budget"], int(row["seed"])) for row in read(given.out)}
    for seed in given.seeds:
        for budget in BUDGETS:
            if (budget.name, seed) in done or (given.budgets and budget.name not in given.budgets):
                continue
            rows = list(rows_of(budget, seed, given.episodes))
            append(given.out, rows)
            print(budget.name, seed, [row["return"] for row in rows], flush=True)


if __name__ == "__main__":
    main()
