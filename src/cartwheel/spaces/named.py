"""Search spaces by name. A new one is one entry of ``SPACES``."""

from collections.abc import Mapping

from cartwheel.errors import did_you_mean
from cartwheel.spaces.space import Choice, Float, Int, Space

SMALL = Space(
    {
        "learning_rate": Float(1e-5, 1e-2, log=True, default=2.5e-3, group="model"),
        "weight_decay": Float(1e-7, 1e-2, log=True, default=1e-5, group="model"),
        "num_epochs": Int(1, 20, default=20, group="model"),
        "plan_horizon": Int(5, 40, default=25, group="planner"),
        "num_iterations": Int(2, 4, default=3, group="planner"),
        "num_samples": Int(16, 96, log=True, default=48, group="planner"),
        "elite_ratio": Float(0.05, 0.4, log=True, default=0.1, group="planner"),
        "alpha": Float(0.0, 0.4, default=0.1, group="planner"),
        "noise_exponent": Float(0.0, 4.0, default=0.5, group="planner"),
    }
)
"""For small planning budgets, as on a CPU: iCEM with 16 to 96 samples."""

SMALL_CEM = SMALL.only(name for name in SMALL.names if name != "noise_exponent")
"""The same for CEM."""

SMALL_MPPI = Space(
    {
        **SMALL.only(("learning_rate", "weight_decay", "num_epochs", "plan_horizon")).parameters,
        "num_iterations": Int(1, 4, default=3, group="planner"),
        "num_samples": SMALL.parameters["num_samples"],
        "temperature": Float(0.01, 1.0, log=True, default=0.1, group="planner"),
        "initial_std": Float(0.1, 1.0, log=True, default=0.5, group="planner"),
        "noise_smoothing": Float(0.0, 0.9, default=0.3, group="planner"),
    }
)
"""The same for MPPI."""

SMALL_RANDOM_SHOOTING = Space(
    {
        **SMALL.only(("learning_rate", "weight_decay", "num_epochs", "plan_horizon")).parameters,
        "num_samples": Int(16, 384, log=True, default=128, group="planner"),
    }
)
"""The same for random shooting, which has one iteration where the others have several."""

HALFCHEETAH = Space(
    {
        "learning_rate": Float(1e-5, 4e-2, log=True, default=1e-3, group="model"),
        "weight_decay": Float(1e-7, 1e-1, log=True, default=7.5e-5, group="model"),
        "num_epochs": Int(3, 20, default=5, group="model"),
        "plan_horizon": Int(5, 60, default=30, group="planner"),
        "num_iterations": Int(3, 8, default=5, group="planner"),
        "num_samples": Int(200, 700, log=True, default=500, group="planner"),
        "elite_ratio": Float(0.04, 0.5, log=True, default=0.1, group="planner"),
        "alpha": Float(0.05, 0.2, default=0.1, group="planner"),
    }
)
"""That of Zhang et al. 2021 (released code), for HalfCheetah and Hopper. Its planner is CEM: use ``planner = "cem"``.

The paper tuned either group; its budgets are for a GPU. The default weight decay is that of the code; the released
schedule of defaults for HalfCheetah has ten times as much.
"""

CARTPOLE = Space(
    {
        **HALFCHEETAH.parameters,
        "weight_decay": Float(1e-7, 1e-1, log=True, default=2.5e-4, group="model"),
        "num_epochs": Int(3, 15, default=5, group="model"),
        "plan_horizon": Int(5, 40, default=25, group="planner"),
        "num_iterations": Int(4, 6, default=5, group="planner"),
        "num_samples": Int(200, 700, log=True, default=400, group="planner"),
    }
)

REACHER = Space(
    {
        **CARTPOLE.parameters,
        "learning_rate": Float(1e-5, 4e-2, log=True, default=7.5e-4, group="model"),
        "weight_decay": Float(1e-7, 1e-1, log=True, default=5e-4, group="model"),
        "num_epochs": Int(3, 20, default=5, group="model"),
        "alpha": Float(0.05, 0.4, default=0.1, group="planner"),
    }
)

PUSHER = Space(
    {
        **REACHER.parameters,
        "learning_rate": Float(3e-5, 3e-3, log=True, default=1e-3, group="model"),
        "num_iterations": Int(3, 10, default=5, group="planner"),
        "num_samples": Int(100, 700, log=True, default=500, group="planner"),
        "alpha": Float(0.01, 0.5, default=0.1, group="planner"),
    }
)


def with_shape(space: Space, min_layers: int, default_layers: int, default_width: int) -> Space:
    """The space with what the paper varied of the networks as well: only static tuners and ``num_shapes`` search it."""
    activations, optimizers = ("relu", "tanh", "sigmoid", "swish"), ("adam", "adadelta", "adagrad", "sgd", "rmsprop")
    return Space(
        {
            **space.parameters,
            "num_layers": Int(min_layers, 8, default=default_layers, group="model", is_static=True),
            "width": Int(100, 600, default=default_width, group="model", is_static=True),
            "activation": Choice(activations, default="swish", group="model", is_static=True),
            "optimizer": Choice(optimizers, default="adam", group="model", is_static=True),
        }
    )


SPACES: Mapping[str, Space] = {
    "small": SMALL,
    "small-cem": SMALL_CEM,
    "small-mppi": SMALL_MPPI,
    "small-random-shooting": SMALL_RANDOM_SHOOTING,
    "aistats2021-halfcheetah": HALFCHEETAH,
    "aistats2021-cartpole": CARTPOLE,
    "aistats2021-reacher": REACHER,
    "aistats2021-pusher": PUSHER,
    "aistats2021-halfcheetah-shape": with_shape(HALFCHEETAH, 2, 4, 200),
    "aistats2021-cartpole-shape": with_shape(CARTPOLE, 2, 3, 500),
    "aistats2021-reacher-shape": with_shape(REACHER, 3, 4, 200),
    "aistats2021-pusher-shape": with_shape(PUSHER, 3, 3, 200),
}


def small_space_of(planner: object) -> str:
    """The name of a planner's space for small budgets; an unknown planner is somebody else's to report."""
    name = f"small-{planner}"
    return name if name in SPACES else "small"


def get_space(name: str) -> Space:
    """The space of that name. Raises ValueError with the closest name if there is none."""
    if name not in SPACES:
        raise ValueError(f"no space {name!r}: {did_you_mean(name, SPACES)}")
    return SPACES[name]
