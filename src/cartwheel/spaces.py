"""Search spaces by name. A new one is one entry of ``SPACES``."""

from collections.abc import Mapping

from cartwheel.errors import did_you_mean
from cartwheel.space import Float, Int, Space

SMALL = Space(
    {
        "learning_rate": Float(1e-5, 1e-2, log=True, default=1e-3, group="model"),
        "weight_decay": Float(1e-7, 1e-2, log=True, default=1e-5, group="model"),
        "num_epochs": Int(1, 20, default=5, group="model"),
        "plan_horizon": Int(5, 40, default=25, group="planner"),
        "num_iterations": Int(2, 4, default=3, group="planner"),
        "num_samples": Int(16, 96, log=True, default=48, group="planner"),
        "elite_ratio": Float(0.05, 0.4, log=True, default=0.1, group="planner"),
        "alpha": Float(0.0, 0.4, default=0.1, group="planner"),
        "noise_exponent": Float(0.0, 4.0, default=2.0, group="planner"),
    }
)
"""For small planning budgets, as on a CPU: iCEM with 16 to 96 samples."""

SPACES: Mapping[str, Space] = {"small": SMALL}


def get_space(name: str) -> Space:
    """The space of that name. Raises ValueError with the closest name if there is none."""
    if name not in SPACES:
        raise ValueError(f"no space {name!r}: {did_you_mean(name, SPACES)}")
    return SPACES[name]
