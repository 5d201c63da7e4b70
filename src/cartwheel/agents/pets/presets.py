"""The choices of published codes, each under one word: ``[agent] preset = "handful-of-trials"``.

A preset is settings as ``[agent]`` has them: those of every task, and what differs by task. What the user sets himself
goes before. ``docs/presets.md`` shows them as tables, made from these mappings, and says what is not reproduced.

    handful-of-trials   PETS itself (Chua et al. 2018): github.com/kchua/handful-of-trials, dmbrl/config/*.py
    aistats2021         Zhang et al. 2021: github.com/automl/HPO_for_RL, config_space/config_space.py, its defaults
    mbrl-lib            Pineda et al. 2021: github.com/facebookresearch/mbrl-lib, mbrl/examples/conf
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Settings: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """``everywhere`` holds for all tasks, and also for those that a code has no file for; ``tasks`` overrides it."""

    everywhere: Settings = field(default_factory=dict)
    tasks: Mapping[str, Settings] = field(default_factory=dict)

    def of(self, task_id: str) -> dict[str, Any]:
        """The settings for a task."""
        return {**self.everywhere, **self.tasks.get(task_id, {})}


_PETS: Settings = {
    "num_networks": 5,
    "num_layers": 4,
    "width": 200,
    "activation": "swish",
    "logvar_bounds": "learned",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 32,
    "num_epochs": 5,
    "propagation": "tsinf",
    "num_particles": 20,
    "planner": "cem",
    "sampling": "truncated",
    "executes": "mean",
    "plan_horizon": 30,
    "num_iterations": 5,
    "num_samples": 500,
    "elite_ratio": 0.1,
    "alpha": 0.1,
    "initial_std": 0.5,
    "min_variance": 1e-3,
}
"""The original code with the sizes of its HalfCheetah."""

_CARTPOLE_SIZES: Settings = {"num_layers": 3, "width": 500, "plan_horizon": 25, "num_samples": 400}
_REACHER_SIZES: Settings = {"learning_rate": 7.5e-4, "plan_horizon": 25, "num_samples": 400}
_PUSHER_SIZES: Settings = {"num_layers": 3, "plan_horizon": 25}

_HANDFUL_OF_TRIALS = Preset(
    everywhere={**_PETS, "weight_decay": 2.5e-5, "layer_decays": (1.0, 2.0, 3.0, 3.0, 4.0)},
    tasks={
        "cartpole-swingup": {**_CARTPOLE_SIZES, "weight_decay": 1e-4, "layer_decays": (1.0, 2.5, 2.5, 5.0)},
        "pets-reacher3d": {**_REACHER_SIZES, "weight_decay": 2.5e-4, "layer_decays": (1.0, 2.0, 2.0, 2.0, 3.0)},
        "pets-pusher": {**_PUSHER_SIZES, "weight_decay": 2.5e-4, "layer_decays": (1.0, 2.0, 2.0, 3.0)},
    },
)

_AISTATS2021 = Preset(
    everywhere={**_PETS, "weight_decay": 7.5e-5},
    tasks={
        "cartpole-swingup": {**_CARTPOLE_SIZES, "weight_decay": 2.5e-4},
        "pets-reacher3d": {**_REACHER_SIZES, "weight_decay": 5e-4},
        "pets-pusher": {**_PUSHER_SIZES, "weight_decay": 5e-4},
    },
)

_MBRL_LIB = Preset(
    everywhere={
        **_PETS,
        "num_networks": 7,
        "num_best_networks": 5,
        "logvar_bounds": "fixed",
        "learning_rate": 2e-4,
        "weight_decay": 3e-5,
        "num_epochs": 25,
        "patience": 25,
        "propagation": "ts1",
        "num_samples": 350,
        "min_variance": 0.0,
    },
    tasks={
        "cartpole-swingup": {"learning_rate": 1e-4, "batch_size": 256, "num_samples": 500},
        "pets-reacher3d": {
            "learning_rate": 4e-4,
            "weight_decay": 1.7e-4,
            "holdout_ratio": 0.05,
            "plan_horizon": 15,
        },
        "pets-pusher": {"learning_rate": 1e-5, "weight_decay": 5e-4, "plan_horizon": 25},
        "InvertedPendulum-v5": {
            "learning_rate": 1.43e-3,  # its file has 00143, which YAML reads as 99
            "weight_decay": 3.3e-5,
            "batch_size": 256,
            "holdout_ratio": 0.2,
            "num_epochs": 31,
            "patience": 50,
            "plan_horizon": 45,
            "num_samples": 480,
            "elite_ratio": 0.078,
            "alpha": 0.134484,
        },
    },
)

PRESETS: Mapping[str, Preset] = {
    "default": Preset(),
    "handful-of-trials": _HANDFUL_OF_TRIALS,
    "aistats2021": _AISTATS2021,
    "mbrl-lib": _MBRL_LIB,
}


def with_preset(settings: Settings, task_id: str) -> dict[str, Any]:
    """``settings`` behind those of the preset that they name under ``preset``, if any.

    Raises ValueError on an unknown preset, and where own layers meet a preset's decay for every layer.
    """
    name = settings.get("preset", "default")
    if name not in PRESETS:
        raise ValueError(f"agent.preset: must be one of {', '.join(PRESETS)}, got {name!r}")
    own = {key: value for key, value in settings.items() if key != "preset"}
    preset = PRESETS[name].of(task_id)
    if "num_layers" in own and "layer_decays" not in own and preset.get("layer_decays"):
        raise ValueError(
            f"agent.num_layers: the preset {name} gives every layer a weight decay of its own; "
            f"set layer_decays too ([] for the same everywhere)"
        )
    return {**preset, **own}
