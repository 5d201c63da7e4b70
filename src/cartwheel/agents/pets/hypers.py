"""What can be tuned about PETS, and what fixes the shape of its program.

``ModelHypers`` and a planner's hypers (``CemHypers`` and its like) are pytrees of scalars: traced, one value per
member, free to change between any two segments without recompilation. ``PetsShape`` is frozen and hashable: it
decides array sizes, and holds the *maxima* of the hypers that act like sizes. One line per hyperparameter: default,
range, meaning, source.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Propagation = Literal["tsinf", "ts1", "e"]
PlannerName = Literal["icem", "cem", "mppi", "random-shooting"]
Executes = Literal["mean", "best"]
Activation = Literal["swish", "relu", "tanh", "sigmoid"]
OptimizerName = Literal["adam", "adadelta", "adagrad", "sgd", "rmsprop"]
LogvarBounds = Literal["learned", "fixed"]
Sampling = Literal["truncated", "clipped"]
LastSample = Literal["mean", "random"]
TemperatureUnit = Literal["spread", "return"]
MatmulPrecision = Literal["float32", "tf32", "bf16"]


@dataclass(frozen=True)
class Hyper:
    """One hyperparameter's line: its default, its legal range, what it is, and who says so."""

    default: float | int
    low: float
    high: float
    meaning: str

    @property
    def is_int(self) -> bool:
        return isinstance(self.default, int)


MODEL_HYPERS: dict[str, Hyper] = {
    "learning_rate": Hyper(2.5e-3, 0.0, 1.0, "step size of the optimiser, for Adam (Chua et al. 2018: 0.001)"),
    "weight_decay": Hyper(1e-5, 0.0, 1.0, "0.5 * decay * |W|^2, weights only; see layer_decays (Chua et al. 2018)"),
    "num_epochs": Hyper(20, 0, 1000, "passes over the buffer after every episode, at most (Chua et al. 2018: 5)"),
}
CEM_HYPERS: dict[str, Hyper] = {
    "plan_horizon": Hyper(25, 1, 1000, "environment steps that a plan looks ahead (Chua et al. 2018)"),
    "num_iterations": Hyper(5, 1, 100, "CEM iterations per environment step (Chua et al. 2018)"),
    "num_samples": Hyper(400, 2, 100_000, "plans sampled in the first iteration (Chua et al. 2018)"),
    "elite_ratio": Hyper(0.1, 0.0, 1.0, "elites = max(1, floor(ratio * num_samples)) (Chua et al. 2018)"),
    "alpha": Hyper(0.1, 0.0, 1.0, "share of the old mean and variance that is kept (Chua et al. 2018)"),
    "initial_std": Hyper(0.5, 1e-6, 10.0, "first standard deviation, in half action ranges (Chua et al. 2018)"),
    "min_variance": Hyper(1e-3, 0.0, 10.0, "CEM stops when no variance is larger (Chua et al. 2018)"),
    "warm_start_fraction": Hyper(1.0, 0.0, 1.0, "share of the last plan, shifted, that a search begins with (same)"),
    "tail_fraction": Hyper(0.0, 0.0, 1.0, "share of a plan's last action put behind it when it is shifted (same)"),
}
ICEM_HYPERS: dict[str, Hyper] = {
    "plan_horizon": Hyper(25, 1, 1000, "environment steps that a plan looks ahead (Pinneri et al. 2020)"),
    "num_iterations": Hyper(3, 1, 100, "CEM iterations per environment step (Pinneri et al. 2020)"),
    "num_samples": Hyper(48, 2, 100_000, "plans sampled in the first iteration (Pinneri et al. 2020)"),
    "elite_ratio": Hyper(0.1, 0.0, 1.0, "elites = max(1, floor(ratio * num_samples)) (Pinneri et al. 2020)"),
    "alpha": Hyper(0.1, 0.0, 1.0, "share of the old mean and deviation that is kept (Pinneri et al. 2020)"),
    "initial_std": Hyper(0.2, 1e-6, 10.0, "first standard deviation, in half action ranges (Pinneri et al.: 0.5)"),
    "noise_exponent": Hyper(0.5, 0.0, 10.0, "power of 1/frequency in the noise over time; 0 is white (same, by task)"),
    "sample_decay": Hyper(1.25, 1.0, 10.0, "samples shrink by this per iteration, not below 2x elites (same)"),
    "kept_elite_ratio": Hyper(0.3, 0.0, 1.0, "share of the elites that are samples of the next iteration (same)"),
    "shifted_elite_ratio": Hyper(0.3, 0.0, 1.0, "share of the last elites that are samples of the next step (same)"),
    "warm_start_fraction": Hyper(1.0, 0.0, 1.0, "share of the last plan, shifted, that a search begins with (same)"),
    "tail_fraction": Hyper(1.0, 0.0, 1.0, "share of a plan's last action put behind it when it is shifted (same)"),
}
MPPI_HYPERS: dict[str, Hyper] = {
    "plan_horizon": Hyper(25, 1, 1000, "environment steps that a plan looks ahead (Williams et al. 2017)"),
    "num_iterations": Hyper(3, 1, 100, "times that plans are sampled per environment step; published: 1 (same)"),
    "num_samples": Hyper(48, 2, 100_000, "plans sampled in every iteration (same)"),
    "temperature": Hyper(0.1, 1e-4, 1e4, "weight = exp((score - best) / (temperature * unit)) (same)"),
    "alpha": Hyper(0.0, 0.0, 1.0, "share of the old mean that is kept; published: 0 (same)"),
    "initial_std": Hyper(0.5, 1e-6, 10.0, "deviation of the noise of every step, in half action ranges (same)"),
    "noise_smoothing": Hyper(0.3, 0.0, 1.0, "weight of the last step in the noise; 0 is white (Nagabandi et al. 2019)"),
    "warm_start_fraction": Hyper(1.0, 0.0, 1.0, "share of the last plan, shifted, that a search begins with (same)"),
    "tail_fraction": Hyper(1.0, 0.0, 1.0, "share of a plan's last action put behind it when it is shifted (same)"),
}
RANDOM_SHOOTING_HYPERS: dict[str, Hyper] = {
    "plan_horizon": Hyper(25, 1, 1000, "environment steps that a plan looks ahead (Nagabandi et al. 2018)"),
    "num_samples": Hyper(128, 2, 100_000, "plans sampled per environment step (Nagabandi et al. 2018)"),
}
PLANNER_HYPERS: dict[PlannerName, dict[str, Hyper]] = {
    "cem": CEM_HYPERS,
    "icem": ICEM_HYPERS,
    "mppi": MPPI_HYPERS,
    "random-shooting": RANDOM_SHOOTING_HYPERS,
}
PLANNER_CHOICES: dict[PlannerName, frozenset[str]] = {
    "cem": frozenset({"executes", "sampling"}),
    "icem": frozenset({"executes", "last_sample"}),
    "mppi": frozenset({"executes", "temperature_unit"}),
    "random-shooting": frozenset(),
}
"""The choices of ``PetsShape`` that are a planner's own; another planner has no use for them."""

Real: TypeAlias = Float[Array, "..."]
Count: TypeAlias = Int[Array, "..."]
HostArray: TypeAlias = Any
"""A NumPy array where a JAX array is meant: on its way to a device. JAX takes both, type checkers do not."""


class ModelHypers(eqx.Module):
    """How the ensemble is fitted; each field a scalar, or [P] for a cohort."""

    learning_rate: Real
    weight_decay: Real
    num_epochs: Count


class CemHypers(eqx.Module):
    """The cross-entropy planner of PETS; each field a scalar, or [P] for a cohort."""

    plan_horizon: Count
    num_iterations: Count
    num_samples: Count
    elite_ratio: Real
    alpha: Real
    initial_std: Real
    min_variance: Real
    warm_start_fraction: Real
    tail_fraction: Real


class IcemHypers(eqx.Module):
    """The improved cross-entropy planner; each field a scalar, or [P] for a cohort."""

    plan_horizon: Count
    num_iterations: Count
    num_samples: Count
    elite_ratio: Real
    alpha: Real
    initial_std: Real
    noise_exponent: Real
    sample_decay: Real
    kept_elite_ratio: Real
    shifted_elite_ratio: Real
    warm_start_fraction: Real
    tail_fraction: Real


class MppiHypers(eqx.Module):
    """Model-predictive path integral control; each field a scalar, or [P] for a cohort."""

    plan_horizon: Count
    num_iterations: Count
    num_samples: Count
    temperature: Real
    alpha: Real
    initial_std: Real
    noise_smoothing: Real
    warm_start_fraction: Real
    tail_fraction: Real


class RandomShootingHypers(eqx.Module):
    """Random shooting; each field a scalar, or [P] for a cohort."""

    plan_horizon: Count
    num_samples: Count

    @property
    def num_iterations(self) -> Count:
        """One: nothing is refined."""
        return 0 * self.num_samples + 1


PlannerHypers: TypeAlias = CemHypers | IcemHypers | MppiHypers | RandomShootingHypers
_KINDS: dict[PlannerName, type[PlannerHypers]] = {
    "cem": CemHypers,
    "icem": IcemHypers,
    "mppi": MppiHypers,
    "random-shooting": RandomShootingHypers,
}


class PetsHypers(eqx.Module):
    """Everything that may change between two segments."""

    model: ModelHypers
    planner: PlannerHypers


MAX_HOLDOUT_RATIO = 0.5
"""More than half of the data held out is a typing error."""
_COUNTS = (
    "num_networks", "num_layers", "width", "patience", "num_particles", "batch_size", "capacity", "max_horizon",
)  # fmt: skip


@dataclass(frozen=True)
class PetsShape:
    """Everything that fixes the program: sizes, choices, and the maxima of the hypers that act like sizes.

    ``capacity`` counts transitions in the buffer. ``sample_chunk`` samples are evaluated at a time, so cost follows
    ``num_samples`` in steps of it; ``max_samples`` is rounded up to a multiple. ``num_particles`` must be a multiple
    of the networks that plan for the trajectory-sampling propagations. With ``spreads_plans`` the chunks of an
    iteration are shared out over several devices, which is for one large agent at a time. ``matmul_precision`` is that
    of the products of the networks' layers, in planning and in fitting (``layers.py``).

    Choices about the model: ``layer_decays`` multiply the weight decay, one for every layer from the input to the
    output (none: 1 everywhere). ``logvar_bounds`` are learned or stay as initialised. Without ``is_probabilistic`` the
    networks predict means only, fitted by squared error. A share ``holdout_ratio`` of all rows is never trained on;
    with it, a fit ends early when ``patience`` epochs brought no better held-out loss. ``num_best_networks`` of the
    ensemble plan, all of them if None.


    Choices about planning (``PLANNER_CHOICES`` says whose): ``executes`` the statistic's mean or the best sample seen;
    ``sampling`` from a truncated normal with capped variance or from a clipped normal; ``last_sample`` of the last
    iteration is the mean or as random as the others; ``temperature_unit`` is the lead of the best plan over the median
    one, or a unit of return.
    """

    num_networks: int = 5
    num_layers: int = 2
    width: int = 64
    activation: Activation = "swish"
    is_probabilistic: bool = True
    logvar_bounds: LogvarBounds = "learned"
    optimizer: OptimizerName = "adam"
    layer_decays: tuple[float, ...] = ()
    holdout_ratio: float = 0.0
    patience: int = 5
    num_best_networks: int | None = None
    num_particles: int = 5
    propagation: Propagation = "tsinf"
    planner: PlannerName = "icem"
    executes: Executes = "mean"
    sampling: Sampling = "truncated"
    last_sample: LastSample = "mean"
    temperature_unit: TemperatureUnit = "spread"
    batch_size: int = 32
    capacity: int = 4000
    max_horizon: int = 40
    max_iterations: int = 4
    max_samples: int = 96
    sample_chunk: int = 16
    spreads_plans: bool = False
    matmul_precision: MatmulPrecision = "float32"

    def __post_init__(self) -> None:
        # a list, as files have it, would not hash
        object.__setattr__(self, "layer_decays", tuple(self.layer_decays))
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"agent.{name}: must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.holdout_ratio <= MAX_HOLDOUT_RATIO:
            raise ValueError(f"agent.holdout_ratio: must be in [0, {MAX_HOLDOUT_RATIO}], got {self.holdout_ratio}")
        if len(self.layer_decays) not in (0, self.num_layers + 1) or min(self.layer_decays, default=0.0) < 0.0:
            raise ValueError(
                f"agent.layer_decays: must be {self.num_layers + 1} numbers, none negative, one for every hidden layer "
                f"and the output, got {list(self.layer_decays)}"
            )
        if not 1 <= self.num_planning_networks <= self.num_networks:
            raise ValueError(
                f"agent.num_best_networks: must be in [1, num_networks = {self.num_networks}], "
                f"got {self.num_best_networks}"
            )
        if self.propagation != "e" and self.num_particles % self.num_planning_networks:
            raise ValueError(
                f"agent.num_particles: {self.propagation} gives every network the same number of particles, "
                f"so {self.num_particles} must be a multiple of {self.num_planning_networks}, "
                f"the number of networks that plan"
            )

    @property
    def num_planning_networks(self) -> int:
        """So many networks of the ensemble plan: the best ones, or all."""
        return self.num_networks if self.num_best_networks is None else self.num_best_networks

    @property
    def padded_samples(self) -> int:
        """``max_samples`` rounded up to whole chunks."""
        return -(-self.max_samples // self.sample_chunk) * self.sample_chunk


def hyper_lines(planner: PlannerName) -> dict[str, Hyper]:
    """Every hyperparameter of an agent with this planner, by name."""
    return {**MODEL_HYPERS, **PLANNER_HYPERS[planner]}


def default_config(planner: PlannerName) -> dict[str, float | int]:
    """The default value of every hyperparameter of an agent with this planner."""
    return {name: line.default for name, line in hyper_lines(planner).items()}


def check_config(config: dict[str, Any], planner: PlannerName) -> None:
    """Raises ValueError, naming the hyperparameter, on an unknown name or a value out of its legal range."""
    lines = hyper_lines(planner)
    for name, value in config.items():
        line = lines.get(name)
        if line is None:
            raise ValueError(
                f"agent.{name}: no hyperparameter of PETS with planner {planner!r}; known: {', '.join(lines)}"
            )
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not line.low <= value <= line.high or (line.is_int and value != int(value)):
            kind = "an integer" if line.is_int else "a number"
            raise ValueError(f"agent.{name}: must be {kind} in [{line.low:g}, {line.high:g}], got {value!r}")


def hypers_from_configs(configs: list[dict[str, Any]], planner: PlannerName) -> PetsHypers:
    """The hypers [P] of a cohort of P configs; names that a config leaves out take their defaults."""
    full = [{**default_config(planner), **config} for config in configs]

    def column(name: str, line: Hyper) -> HostArray:
        return np.asarray([config[name] for config in full], np.int32 if line.is_int else np.float32)

    model = ModelHypers(**{name: column(name, line) for name, line in MODEL_HYPERS.items()})
    lines = PLANNER_HYPERS[planner]
    return PetsHypers(model, _KINDS[planner](**{name: column(name, line) for name, line in lines.items()}))


def num_elites(planner: CemHypers | IcemHypers, xp: Any = jnp) -> Count:
    """max(1, floor(elite_ratio * num_samples)); the small constant undoes float32's 0.1 * 30 = 2.9999998."""
    product = planner.elite_ratio * planner.num_samples.astype(xp.float32)
    elites: Count = xp.maximum(1, xp.floor(product + 1e-4).astype(xp.int32))
    return elites


def samples_at(planner: PlannerHypers, iteration: Any, xp: Any = jnp) -> Count:
    """Samples of an iteration: for iCEM num_samples / decay^i, floored, at least 2x elites; else constant.

    ``xp`` is the array library: ``jax.numpy`` inside a program, ``numpy`` for bounds and costs on the host.
    """
    if not isinstance(planner, IcemHypers):
        return planner.num_samples
    shrunk = planner.num_samples.astype(xp.float32) * planner.sample_decay ** (-iteration.astype(xp.float32))
    floor = xp.minimum(planner.num_samples, 2 * num_elites(planner, xp))
    samples: Count = xp.maximum(floor, xp.floor(shrunk + 1e-4).astype(xp.int32))
    return samples
