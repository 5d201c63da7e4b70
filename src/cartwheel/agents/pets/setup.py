"""From names and numbers to an agent that can be built: a task, a shape, and the values that no tuner changes."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from cartwheel.agents.pets.hypers import (
    MODEL_HYPERS,
    PLANNER_CHOICES,
    Activation,
    Executes,
    LastSample,
    LogvarBounds,
    MatmulPrecision,
    OptimizerName,
    PetsShape,
    PlannerName,
    Propagation,
    Sampling,
    TemperatureUnit,
    check_config,
    default_config,
    hyper_lines,
    hypers_from_configs,
    samples_at,
)
from cartwheel.agents.pets.presets import with_preset
from cartwheel.envs.tasks import Task

_CHOICES = {
    "planner": PlannerName,
    "propagation": Propagation,
    "executes": Executes,
    "activation": Activation,
    "optimizer": OptimizerName,
    "logvar_bounds": LogvarBounds,
    "sampling": Sampling,
    "last_sample": LastSample,
    "temperature_unit": TemperatureUnit,
    "matmul_precision": MatmulPrecision,
}
_FLAGS = frozenset({"is_probabilistic", "spreads_plans"})
_OF_THE_STUDY = frozenset({"spreads_plans", "matmul_precision"})
"""How agents are computed. Two programs that each want all devices would wait for each other; and a precision would be
tuned for its returns, though it is chosen for its speed."""
_RATIOS = frozenset({"holdout_ratio"})
_LISTS = frozenset({"layer_decays"})
_SIZES = {"plan_horizon": "max_horizon", "num_iterations": "max_iterations", "num_samples": "max_samples"}
_ALL_HYPERS = frozenset(name for planner in get_args(PlannerName) for name in hyper_lines(planner))
_DERIVED = frozenset({"capacity", *_SIZES.values()})
MAX_BUFFER_BYTES = 2**34
"""One agent's buffer is never larger: such a budget is a typing error rather than a plan."""
SHAPE_SETTINGS = tuple(field.name for field in dataclasses.fields(PetsShape) if field.name not in _DERIVED)
"""What a user may choose about the shape; the rest follows from the budget and the space."""


@dataclass(frozen=True)
class AgentSetup:
    """``fixed`` holds values for some of the hyperparameters; the others have their defaults."""

    task: Task
    shape: PetsShape
    fixed: Mapping[str, Any]

    @property
    def base(self) -> dict[str, Any]:
        """The full config: a value for every hyperparameter of this planner."""
        defaults = default_config(self.shape.planner)
        return {**defaults, **{name: value for name, value in self.fixed.items() if name in defaults}}

    @property
    def own(self) -> dict[str, Any]:
        """What the agent has where nothing is tuned: hyperparameters, and choices of shape."""
        return {name: getattr(self.shape, name) for name in SHAPE_SETTINGS} | self.base

    @property
    def settings(self) -> dict[str, Any]:
        """The same as a study file could say it, for this planner."""
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in self.own.items()}
        planner = self.shape.planner
        return {name: value for name, value in said.items() if value is not None and not _is_foreign(name, planner)}

    @property
    def model_settings(self) -> dict[str, Any]:
        """Those of ``settings`` that no planner has to itself."""
        shared = [*MODEL_HYPERS, *(name for name in SHAPE_SETTINGS if not _owners(name))]
        return {name: value for name, value in self.settings.items() if name in shared}

    def under(self, tuned: Mapping[str, Any]) -> "AgentSetup":
        """The setup of one agent, with these values in place of its own: hyperparameters and choices of shape.

        Where the planner is among them, what only other planners have is left out: a space over planners has a value
        for all.
        Raises ValueError on an unknown name, an illegal value, or a size that the program does not cover.
        """
        planner = tuned.get("planner")
        if planner in PLANNER_CHOICES:
            tuned = {name: value for name, value in tuned.items() if not _is_foreign(name, planner)}
        choices = {name: value for name, value in tuned.items() if name in SHAPE_SETTINGS}
        for name in _OF_THE_STUDY & choices.keys():
            raise ValueError(f"agent.{name}: cannot be tuned; set it under [agent], for the whole study")
        _check_choices(choices)
        shape = _chosen(self.shape, choices)
        _check_planner_choices(choices, shape.planner)
        values = {name: value for name, value in tuned.items() if name not in choices}
        check_config(values, shape.planner)
        chosen = AgentSetup(self.task, shape, {**self.fixed, **values})
        for name, maximum in _SIZES.items():
            if chosen.base.get(name, 0) > getattr(shape, maximum):
                raise ValueError(
                    f"agent.{name}: {chosen.base[name]} exceeds this agent's maximum {getattr(shape, maximum)}"
                )
        return chosen

    def network_evaluations(self, tuned: Mapping[str, Any]) -> float:
        """Networks evaluated to plan one environment step: samples of all iterations x particles x plan horizon.

        One network moves a particle, but all of them move the one particle of propagation ``e``.
        """
        chosen = self.under(tuned)
        planner = hypers_from_configs([chosen.base], chosen.shape.planner).planner
        iterations = np.arange(int(planner.num_iterations[0]), dtype=np.int32)
        num_samples = sum(int(samples_at(planner, i, np)[0]) for i in iterations)
        shape = chosen.shape
        per_sample = shape.num_planning_networks if shape.propagation == "e" else shape.num_particles
        return float(num_samples * per_sample * int(planner.plan_horizon[0]))


def make_setup(
    task: Task, settings: Mapping[str, Any], reachable: Sequence[Mapping[str, Any]], num_episodes: int
) -> AgentSetup:
    """The agent of a study.

    ``settings`` mixes fixed hyperparameter values, shape choices and perhaps a preset, as a study file's ``[agent]``
    does. ``reachable`` are configs whose sizes the program must cover: the corners of a space, or the configs of a
    schedule. ``num_episodes`` model-driven episodes and the random one must fit the buffer. Raises ValueError naming
    the setting.
    """
    _check_formulas(task)
    settings = _with_defaults(settings, task)
    choices = {name: value for name, value in settings.items() if name in SHAPE_SETTINGS}
    _check_choices(choices)
    capacity = (num_episodes + 1) * task.episode_length
    num_bytes = 4 * capacity * (2 * task.obs_size + task.action_size + task.learns_reward + task.learns_termination)
    if num_bytes > MAX_BUFFER_BYTES:
        raise ValueError(
            f"num_episodes x episode_length: {capacity} transitions need a buffer of {num_bytes / 2**30:.0f} GiB, "
            f"more than {MAX_BUFFER_BYTES // 2**30}"
        )
    shape = _chosen(PetsShape(capacity=capacity), choices)
    _check_planner_choices(choices, shape.planner)
    fixed = {name: value for name, value in settings.items() if name not in SHAPE_SETTINGS}
    known = hyper_lines(shape.planner)
    for name in fixed:
        if name not in known:
            raise ValueError(f"agent.{name}: unknown; known: {', '.join(sorted((*known, *SHAPE_SETTINGS, 'preset')))}")
    setup = AgentSetup(task, shape, fixed)
    check_config(setup.base, shape.planner)
    return dataclasses.replace(setup, shape=_covering(setup, reachable))


def _check_formulas(task: Task) -> None:
    """Trace a task's formulas once, so that a mistake in one is named before anything runs."""
    obs = jax.ShapeDtypeStruct((task.obs_size,), jnp.float32)
    action = jax.ShapeDtypeStruct((task.action_size,), jnp.float32)
    target = _traced(task, "target", task.target, obs, obs)
    _traced(task, "encode", task.encode, obs)
    arguments = {
        "next_obs": (obs, target),
        "reward": (obs, action, obs),
        "planner_reward": (obs, action, obs),
        "terminated": (obs,),
        "equations": (obs, action),
    }
    for name, values in arguments.items():
        formula, shape = getattr(task, name), (task.obs_size,) if name in ("next_obs", "equations") else ()
        if name == "equations" and formula is not None:
            formula = partial(formula, xp=jnp)
        if formula is None:
            continue
        result = _traced(task, name, formula, *values)
        if getattr(result, "shape", None) != shape:
            raise ValueError(
                f"task {task.id!r}: {name} must give shape {shape}, not {getattr(result, 'shape', result)}"
            )


def _traced(task: Task, name: str, formula: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return jax.eval_shape(formula, *arguments)
    except Exception as error:  # whatever a user's formula raises is the user's to know
        reason = str(error).split("\n")[0]
        raise ValueError(f"task {task.id!r}: {name} cannot be computed with jax.numpy: {reason}") from error


def _chosen(shape: PetsShape, choices: Mapping[str, Any]) -> PetsShape:
    """``shape`` with these choices. Particles that are not chosen follow the networks: rounded up to a multiple."""
    if "num_particles" in choices or not {"num_networks", "num_best_networks"} & choices.keys():
        return dataclasses.replace(shape, **choices)
    num_best = choices.get("num_best_networks", shape.num_best_networks)
    networks = num_best or choices.get("num_networks", shape.num_networks)
    num_particles = networks * -(-shape.num_particles // networks)
    return dataclasses.replace(shape, **choices, num_particles=num_particles)


def _check_choices(choices: Mapping[str, Any]) -> None:
    for name, value in choices.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in _CHOICES:
            allowed = get_args(_CHOICES[name])
            is_legal, kind = value in allowed, f"one of {', '.join(allowed)}"
        elif name in _FLAGS:
            is_legal, kind = isinstance(value, bool), "true or false"
        elif name in _LISTS:
            is_legal, kind = _is_list_of_numbers(value), "a list of numbers"
        elif name in _RATIOS:
            is_legal, kind = is_number, "a number"
        else:
            is_legal, kind = is_number and isinstance(value, int) and value >= 1, "a positive integer"
        if not is_legal:
            raise ValueError(f"agent.{name}: must be {kind}, got {value!r}")


def _is_list_of_numbers(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple))
    return is_list and all(isinstance(entry, (int, float)) and not isinstance(entry, bool) for entry in value)


def _check_planner_choices(choices: Mapping[str, Any], planner: PlannerName) -> None:
    for name in choices:
        owners = _owners(name)
        if owners and planner not in owners:
            raise ValueError(f"agent.{name}: not for planner {planner!r}, only for {', '.join(owners)}; leave it out")


def _with_defaults(settings: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """``settings`` behind those of the preset they name, or else the task's; what another planner needs is left out."""
    is_own = settings.get("preset", "default") == "default"
    merged = {**(task.defaults if is_own else {}), **with_preset(settings, task.id)}
    planner = merged.get("planner", PetsShape.planner)
    if planner not in PLANNER_CHOICES:
        return merged
    return {name: value for name, value in merged.items() if name in settings or not _is_foreign(name, planner)}


def _is_foreign(name: str, planner: PlannerName) -> bool:
    """Whether only other planners have such a hyperparameter or choice."""
    owners = _owners(name)
    is_choice, is_hyper = bool(owners), name in _ALL_HYPERS
    return (is_choice and planner not in owners) or (is_hyper and name not in hyper_lines(planner))


def _owners(name: str) -> list[PlannerName]:
    """The planners whose own choice of shape that is; none if it is no planner's."""
    return [owner for owner, own in PLANNER_CHOICES.items() if name in own]


def _covering(setup: AgentSetup, reachable: Sequence[Mapping[str, Any]]) -> PetsShape:
    """The shape whose maxima cover the agent's own config and all of these; a size that nobody has is 1."""
    unbounded = dataclasses.replace(setup, shape=_sized(setup.shape, dict.fromkeys(_SIZES, sys.maxsize)))
    configs = [setup.base, *(unbounded.under(config).base for config in reachable)]
    return _sized(setup.shape, {name: max(int(config.get(name, 1)) for config in configs) for name in _SIZES})


def _sized(shape: PetsShape, sizes: Mapping[str, int]) -> PetsShape:
    maxima: dict[str, Any] = {_SIZES[name]: size for name, size in sizes.items()}
    return dataclasses.replace(shape, **maxima)
