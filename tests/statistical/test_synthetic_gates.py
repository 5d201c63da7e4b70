"""Do PBT and PBT-BT show what they must on synthetic learning curves? The gates were fixed before any tuner ran.

docs/decisions/0003-synthetic-learning-curves.md has the formula, the gates and their reasons.
"""

import pytest

from benchmarks.synthetic_curves.arms import run_arm
from benchmarks.synthetic_curves.formula import Noise
from benchmarks.synthetic_curves.gates import gates, needed
from benchmarks.synthetic_curves.table import NUM_SEEDS, Job, Table


def run(noise: Noise, num_seeds: int) -> Table:
    table = Table()
    for scenario, arm in needed(noise):
        for seed in range(num_seeds):
            table.add(Job(scenario, arm, seed), run_arm(arm, scenario, seed))
    return table


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["low", "high"])
def test_gates(noise: Noise) -> None:
    """All gates hold over 100 seeds."""
    found = gates(run(noise, NUM_SEEDS), noise)
    print("", *found, sep="\n")
    assert [str(gate) for gate in found if not gate.is_met] == []


def test_gates_in_small() -> None:
    """All gates at low noise hold over 5 seeds.

    Of 1,000 draws of 5 among the 100 seeds that the gates were measured on, 1.5% failed one: so often is a change to
    blame that only changed the random numbers.
    """
    assert [str(gate) for gate in gates(run("low", 5), "low") if not gate.is_met] == []
