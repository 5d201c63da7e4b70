"""From names and numbers to an agent that can be built: a task, a shape, and the values that no tuner changes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from cartwheel.agents.pets.hypers import (
    PLANNER_CHOICES,
    Activation,
    Executes,
    LastSample,
    LogvarBounds,
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
}
_FLAGS = frozenset({"is_probabilistic"})
_RATIOS = frozenset({"holdout_ratio"})
_LISTS = frozenset({"layer_decays"})
_SIZES = {"plan_horizon": "max_horizon", "num_iterations": "max_iterations", "num_samples": "max_samples"}
_DERIVED = frozenset({"capacity", *_SIZES.values()})
MAX_BUFFER_BYTES = 2**34
"""One agent's buffer is never larger: such a budget is a typing error rather than a plan."""
SHAPE_SETTINGS = tuple(field.name for field in dataclasses.fields(PetsShape) if field.name not in _DERIVED)
"""What a user may choose about the shape; the rest follows from the budget and the space."""


@dataclass(frozen=True)
class AgentSetup:
    """``base`` holds a value for every hyperparameter; a segment's config overrides some of them."""

    task: Task
    shape: PetsShape
    base: Mapping[str, Any]

    def config(self, tuned: Mapping[str, Any]) -> dict[str, Any]:
        """The full config under these tuned values.

        Raises ValueError on an unknown name, an illegal value, or a size that the program does not cover.
        """
        check_config(dict(tuned), self.shape.planner)
        full = {**self.base, **tuned}
        for name, maximum in _SIZES.items():
            if full.get(name, 1) > getattr(self.shape, maximum):
                raise ValueError(
                    f"agent.{name}: {full[name]} exceeds this agent's maximum {getattr(self.shape, maximum)}"
                )
        return full

    def network_evaluations(self, tuned: Mapping[str, Any]) -> float:
        """Networks evaluated to plan one environment step: samples of all iterations x particles x plan horizon.

        One network moves a particle, but all of them move the one particle of propagation ``e``.
        """
        planner = hypers_from_configs([self.config(tuned)], self.shape.planner).planner
        iterations = np.arange(int(planner.num_iterations[0]), dtype=np.int32)
        num_samples = sum(int(samples_at(planner, i, np)[0]) for i in iterations)
        per_sample = self.shape.num_planning_networks if self.shape.propagation == "e" else self.shape.num_particles
        return float(num_samples * per_sample * int(planner.plan_horizon[0]))


def make_setup(
    task: Task, settings: Mapping[str, Any], reachable: Sequence[Mapping[str, Any]], num_episodes: int
) -> AgentSetup:
    """The agent of a study.

    ``settings`` mixes fixed hyperparameter values and shape choices, as a study file's ``[agent]`` does. ``reachable``
    are configs whose sizes the program must cover: the corners of a space, or the configs of a schedule.
    ``num_episodes`` model-driven episodes and the random one must fit the buffer. Raises ValueError naming the setting.
    """
    _check_formulas(task)
    choices = {name: value for name, value in settings.items() if name in SHAPE_SETTINGS}
    _check_choices(choices)
    capacity = (num_episodes + 1) * task.episode_length
    num_bytes = 4 * capacity * (2 * task.obs_size + task.action_size)
    if num_bytes > MAX_BUFFER_BYTES:
        raise ValueError(
            f"num_episodes x episode_length: {capacity} transitions need a buffer of {num_bytes / 2**30:.0f} GiB, "
            f"more than {MAX_BUFFER_BYTES // 2**30}"
        )
    shape = PetsShape(**{"capacity": capacity, "num_particles": default_particles(choices), **choices})
    _check_planner_choices(choices, shape.planner)
    fixed = {name: value for name, value in settings.items() if name not in SHAPE_SETTINGS}
    known = hyper_lines(shape.planner)
    for name in fixed:
        if name not in known:
            raise ValueError(f"agent.{name}: unknown; known: {', '.join(sorted((*known, *SHAPE_SETTINGS)))}")
    defaults = {name: value for name, value in task.defaults.items() if name in known}
    base = {**default_config(shape.planner), **defaults, **fixed}
    check_config(base, shape.planner)
    for config in reachable:
        check_config(dict(config), shape.planner)
    return AgentSetup(task, _covering(shape, [base, *({**base, **config} for config in reachable)]), base)


def _check_formulas(task: Task) -> None:
    """Trace a task's formulas once, so that a mistake in one is named before anything runs."""
    if task.learns_reward or task.learns_termination:
        raise ValueError(f"task {task.id!r}: needs a reward and a termination")
    obs = jax.ShapeDtypeStruct((task.obs_size,), jnp.float32)
    action = jax.ShapeDtypeStruct((task.action_size,), jnp.float32)
    target = _traced(task, "target", task.target, obs, obs)
    _traced(task, "encode", task.encode, obs)
    arguments = {
        "next_obs": (obs, target),
        "reward": (obs, action, obs),
        "planner_reward": (obs, action, obs),
        "terminated": (obs,),
    }
    for name, values in arguments.items():
        formula, shape = getattr(task, name), (task.obs_size,) if name == "next_obs" else ()
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


def default_particles(choices: Mapping[str, Any]) -> int:
    """As many particles as the default shape has, rounded up to a multiple of the networks that plan."""
    networks = choices.get("num_best_networks", choices.get("num_networks", PetsShape.num_networks))
    multiple: int = networks * -(-PetsShape.num_particles // networks)
    return multiple


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
        owners = [owner for owner, own in PLANNER_CHOICES.items() if name in own]
        if owners and planner not in owners:
            raise ValueError(f"agent.{name}: not for planner {planner!r}, only for {', '.join(owners)}; leave it out")


def _covering(shape: PetsShape, configs: Sequence[Mapping[str, Any]]) -> PetsShape:
    """The shape whose maxima cover all these full configs; a size that a planner does not have is 1."""

    def largest(name: str) -> int:
        return max(int(config.get(name, 1)) for config in configs)

    return dataclasses.replace(
        shape,
        max_horizon=largest("plan_horizon"),
        max_iterations=largest("num_iterations"),
        max_samples=largest("num_samples"),
    )
