"""What a task is: reward, termination, encodings, limits, defaults. Pure functions, no environment.

A model of the environment predicts a *target* from an encoded observation and an action; the planner scores
imagined transitions with the task's own reward. So a task is three formulas and a table of numbers:

    reward(obs, action, next_obs)      what the environment pays
    terminated(next_obs)               whether the episode ends there
    encode(obs)                        what the model sees of an observation

A reward or a termination that is not given is learned from data, beside the dynamics. ``target`` and ``next_obs`` say
what the model predicts and how an observation follows from it: unless given, changes, but for the dimensions in
``absolute_targets``, which are predicted as they will be. All functions work on single vectors, ``obs`` [O], ``action``
[A], in the environment's own units, are written with ``jax.numpy`` and are vectorised by their callers. ``observe``
alone works on the host, with NumPy and any leading axes: it says how observations follow from MuJoCo's states, so that
the true dynamics can be a planner's model.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

Obs = Float[Array, " O"]
Action = Float[Array, " A"]
Scalar = Float[Array, ""]
States = NDArray[np.float64]
"""MuJoCo's ``qpos`` [..., Q] or ``qvel`` [..., V]."""


def _unchanged(obs: Obs) -> Obs:
    return obs


@dataclass(frozen=True)
class _Target:
    """Changes, but for the dimensions that are predicted as they will be."""

    absolute: tuple[int, ...] = ()

    def __call__(self, obs: Obs, next_obs: Obs) -> Obs:
        change = next_obs - obs
        return jnp.where(_among(self.absolute, obs), next_obs, change) if self.absolute else change


@dataclass(frozen=True)
class _NextObs:
    """The inverse of a target with the same absolute dimensions."""

    absolute: tuple[int, ...] = ()

    def __call__(self, obs: Obs, prediction: Obs) -> Obs:
        moved = obs + prediction
        return jnp.where(_among(self.absolute, obs), prediction, moved) if self.absolute else moved


def _among(dimensions: tuple[int, ...], obs: Obs) -> Bool[Array, " O"]:
    return jnp.asarray(np.isin(np.arange(obs.shape[0]), dimensions))


def never(next_obs: Obs) -> Bool[Array, ""]:
    """The termination of episodes that only their length ends."""
    return jnp.zeros((), bool) & (next_obs[0] != next_obs[0])


def _positions_and_velocities(before: States, qpos: States, qvel: States) -> States:
    return np.concatenate([qpos, qvel], axis=-1)


@dataclass(frozen=True)
class Plausible:
    """The most that working physics comes to in a task: more of any is a simulation that broke. Infinite: not judged.

    ``speed_m_s``: of the centre of mass, over one environment step. ``energy_j``: mechanical energy, kinetic and
    potential, gained since the episode began. ``penetration_m``: how deep bodies are in each other. ``reason`` says
    where the numbers come from, and is shown beside what they caught.
    """

    speed_m_s: float = math.inf
    energy_j: float = math.inf
    penetration_m: float = math.inf
    reason: str = ""


def thrice(speed_m_s: float, energy_j: float, penetration_m: float) -> Plausible:
    """What a task declares of which it was measured how much working physics comes to. Where nothing can touch: 0."""
    reason = "thrice the most that random, extreme and planned play came to (docs/results/plausible-ranges.md)"
    return Plausible(3.0 * speed_m_s, 3.0 * energy_j, 3.0 * penetration_m, reason)


@dataclass(frozen=True)
class Task:
    """One task. ``id`` is ours, ``env_id`` Gymnasium's, which is made with ``env_kwargs``.

    ``action_low`` and ``action_high`` are in the environment's units; ``step_s`` is the duration of one environment
    step, None where it is not known. ``reward`` and ``terminated`` are learned where they are None; ``terminated`` is
    ``never`` where nothing but the episode's length ends it. ``planner_reward`` is what the planner maximises where
    that is declared to differ from ``reward``.
    ``reward_bound`` is the largest |reward| that working physics can pay in one step, ``state_bound`` the largest
    entry of a state that it can reach: of MuJoCo's ``qpos`` and ``qvel``, elsewhere of an observation. ``plausible`` is
    what else is known of working physics, in MuJoCo tasks. ``trunk_angle`` is the entry of ``qpos`` that counts, as it
    grows without end, how often the trunk has turned over; None where there is none, or where the trunk is free in
    space, which is found without it (``envs/turning.py``).
    ``equations(obs, action, xp)`` are the environment itself, where the next observation is a formula of these two
    (``envs/equations.py``): [..., O] and [..., A] of NumPy's or of ``jax.numpy``'s, whichever ``xp`` is.
    ``observe(before, qpos, qvel)`` is the observation of a MuJoCo state, ``before`` the ``qpos`` of one environment
    step earlier. ``defaults`` are agent settings, hyperparameters and choices of shape, that hold where neither the
    user nor a preset says otherwise.
    """

    id: str
    env_id: str
    obs_size: int
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    episode_length: int
    step_s: float | None = None
    reward: Callable[[Obs, Action, Obs], Scalar] | None = None
    reward_bound: float = math.inf
    state_bound: float = math.inf
    plausible: Plausible = Plausible()
    trunk_angle: int | None = None
    terminated: Callable[[Obs], Bool[Array, ""]] | None = None
    planner_reward: Callable[[Obs, Action, Obs], Scalar] | None = None
    encode: Callable[[Obs], Array] = _unchanged
    absolute_targets: tuple[int, ...] = ()
    target: Callable[[Obs, Obs], Array] = _Target()
    next_obs: Callable[[Obs, Array], Obs] = _NextObs()
    equations: Callable[[Any, Any, Any], Any] | None = None
    observe: Callable[[States, States, States], States] = _positions_and_velocities
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, float | int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(0 <= dimension < self.obs_size for dimension in self.absolute_targets):
            raise ValueError(f"task {self.id!r}: absolute_targets are numbers of dimensions below {self.obs_size}")
        has_own = not (isinstance(self.target, _Target) and isinstance(self.next_obs, _NextObs))
        if has_own and self.absolute_targets:
            raise ValueError(f"task {self.id!r}: give absolute_targets, or a target and next_obs of your own, not both")
        if not has_own:
            object.__setattr__(self, "target", _Target(self.absolute_targets))
            object.__setattr__(self, "next_obs", _NextObs(self.absolute_targets))

    @property
    def action_size(self) -> int:
        return len(self.action_low)

    @property
    def imagined_reward(self) -> Callable[[Obs, Action, Obs], Scalar] | None:
        """The reward that plans are scored with; None where it is learned."""
        return self.reward if self.planner_reward is None else self.planner_reward

    @property
    def learns_reward(self) -> bool:
        """Whether the model predicts what a step pays."""
        return self.imagined_reward is None

    @property
    def learns_termination(self) -> bool:
        """Whether the model predicts that a step ends the episode."""
        return self.terminated is None

    @property
    def is_formula(self) -> bool:
        """Whether an episode needs no environment but for where it begins."""
        return not (self.equations is None or self.reward is None or self.terminated is None)

    @property
    def learned(self) -> str:
        """What is learned beside the dynamics, in words; empty if nothing is."""
        names = ("reward",) * self.learns_reward + ("termination",) * self.learns_termination
        return " and ".join(names)

    @property
    def has_termination(self) -> bool:
        """Whether anything but its length can end an episode."""
        return self.terminated is not never
