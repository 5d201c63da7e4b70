"""What physics did in one episode: how fast, how much energy, how deep, how many turns, and where it stopped being
plausible.

MuJoCo's warning counters are not enough: a simulation can be driven to a speed of 2,000 m/s without one. So every step
is also held against what its task declares: bounds of reward and state, and ``Plausible``. Turning over breaks nothing
and is counted apart.

What is recorded, by name (among an episode's metrics; the last three and ``first_step_*`` only if something was
implausible):

    top_speed_m_s  top_energy_j  top_penetration_m  turns
    first_step_KIND     the step, from 1, at which that kind of warning first came
    plausible_return    of the steps before the first implausible one
    capped_return       from the first implausible step on, a step counts for at most the mean of those before it
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from cartwheel.envs.task import Task
from cartwheel.envs.turning import Turns, turns_of

_ABOUT_PICTURES = frozenset({"VGEOMFULL"})
"""MuJoCo's warnings that say nothing about physics."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)
"""Rewards are learned from in float32, as observations are."""


def simulator_of(env: Any) -> tuple[Any, Any] | None:
    """MuJoCo's model and data: of Gymnasium's environments, or of dm_control's behind an adapter; else None."""
    inner = env.unwrapped
    physics = getattr(inner, "physics", None)
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    if data is None and physics is not None:
        model, data = physics.model.ptr, physics.data.ptr
    return (model, data) if isinstance(data, mujoco.MjData) else None


@dataclass(slots=True)
class _Tops:
    """The most that was seen so far, by the name under which it is recorded."""

    top_speed_m_s: float = 0.0
    top_energy_j: float = 0.0
    top_penetration_m: float = 0.0


@dataclass(slots=True)
class _Before:
    """What the simulator's state is compared with: at the episode's beginning, and after the step before."""

    energy_j: float
    time_s: float
    centre: NDArray[np.float64]  # of mass, [3]


@dataclass(slots=True)
class PhysicsAudit:
    """Watches one episode: made at its reset, then told of every step.

    ``warnings`` counts MuJoCo's own by name, ``simulator_reset`` where time does not go on, ``not_finite``, and
    ``X_out_of_bounds`` for steps whose reward, state, speed, energy or penetration no working physics comes to.
    ``speed_m_s`` is that of the last step, where it can be measured.
    """

    task: Task
    simulator: tuple[Any, Any] | None
    warnings: Counter[str] = field(default_factory=Counter)
    speed_m_s: float | None = None
    _first_steps: dict[str, int] = field(default_factory=dict)
    _turns: Turns | None = None
    _tops: _Tops = field(default_factory=_Tops)
    _before: _Before | None = None
    _plausible_return: float = 0.0
    _capped_return: float = 0.0

    def see(self, step: int, obs: NDArray[np.float32], reward: float) -> None:
        """The outcome of a step, from 1; step 0 is the reset, which pays nothing."""
        state: NDArray[Any] = obs
        if self.simulator is not None:
            _, data = self.simulator
            self._read_counters(data)
            self._measure()
            state = np.concatenate([data.qpos, data.qvel])  # observations may clip velocities, or leave places out
        if not abs(reward) <= _FLOAT32_MAX or not np.all(np.isfinite(obs)):
            self.warnings["not_finite"] += 1
        self._hold("reward", abs(reward), self.task.reward_bound)
        self._hold("state", float(np.max(np.abs(state), initial=0.0)), self.task.state_bound)
        self._pay(step, reward)

    @property
    def num_turns(self) -> int | None:
        """Full turns of the trunk so far; None where there is none."""
        return None if self._turns is None else self._turns.num_turns

    @property
    def metrics(self) -> dict[str, float]:
        """What is recorded of the episode so far."""
        found: dict[str, float] = {}
        if self.simulator is not None:
            found = {name: getattr(self._tops, name) for name in _Tops.__slots__}
        if self.num_turns is not None:
            found["turns"] = float(self.num_turns)
        if self._first_steps:
            found |= {f"first_step_{kind}": float(step) for kind, step in self._first_steps.items()}
            found |= {"plausible_return": self._plausible_return, "capped_return": self._capped_return}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _measure(self) -> None:
        """Speed, energy, penetration and turns of the state that the simulator is in."""
        assert self.simulator is not None
        model, data = self.simulator
        mujoco.mj_energyPos(model, data)
        mujoco.mj_energyVel(model, data)
        energy_j, centre = float(data.energy.sum()), data.subtree_com[0].copy()
        before = self._before
        if before is None:
            self._before = _Before(energy_j, data.time, centre)
            self._turns = turns_of(model, data.qpos, self.task.trunk_angle)
            return
        if data.time > before.time_s:
            self.speed_m_s = float(np.linalg.norm(centre - before.centre)) / (data.time - before.time_s)
            self._top("speed", "top_speed_m_s", self.speed_m_s, self.task.plausible.speed_m_s)
        else:
            self.warnings["simulator_reset"] += 1
        depth_m = -float(data.contact.dist.min()) if data.ncon else 0.0
        self._top("energy", "top_energy_j", energy_j - before.energy_j, self.task.plausible.energy_j)
        self._top("penetration", "top_penetration_m", depth_m, self.task.plausible.penetration_m)
        if self._turns is not None:
            self._turns.see(data.qpos)
        before.time_s, before.centre = data.time, centre

    def _top(self, what: str, name: str, value: float, bound: float) -> None:
        setattr(self._tops, name, max(getattr(self._tops, name), value))
        self._hold(what, value, bound)

    def _hold(self, what: str, value: float, bound: float) -> None:
        if not value <= bound:  # so that NaN, too, is out of bounds
            self.warnings[f"{what}_out_of_bounds"] += 1

    def _read_counters(self, data: Any) -> None:
        for kind in mujoco.mjtWarning.__members__.values():
            name = kind.name.removeprefix("mjWARN_")
            is_counter = kind != mujoco.mjtWarning.mjNWARNING and name not in _ABOUT_PICTURES
            if is_counter and data.warning[kind].number:
                self.warnings[name] = int(data.warning[kind].number)

    def _pay(self, step: int, reward: float) -> None:
        """Note when what first came, and count the reward where it is still to be trusted."""
        for kind in self.warnings.keys() - self._first_steps.keys():
            self._first_steps[kind] = step
        if not self._first_steps:
            self._plausible_return += reward
            self._capped_return += reward
            return
        # an episode that is implausible from its beginning has nothing to hold its rewards against
        num_plausible = min(self._first_steps.values()) - 1
        limit = self._plausible_return / num_plausible if num_plausible > 0 else -math.inf
        self._capped_return += min(reward, limit)
