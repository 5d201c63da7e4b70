"""Tasks of walking, running and swimming: the paper's two, Gymnasium's, and two walkers of our own.

Where the reward is a finite-difference velocity, the absolute position stays in the observation, out of the model's
input, and in its targets as a change: reward = (x' - x) / dt needs nothing else. In float32 that velocity is good to
about 1e-4 at x = 10 and dt = 0.008.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from cartwheel.envs.task import Action, Obs, Plausible, Scalar, States, Task, never, thrice


def _effort(action: Action, weight: float) -> Scalar:
    return weight * jnp.sum(jnp.square(action))


def _mean_speed(obs: Obs, next_obs: Obs, step_s: float) -> Scalar:
    """Forward velocity over the step, of observations that begin with x."""
    return (next_obs[0] - obs[0]) / step_s


def _clipped_velocities(before: States, qpos: States, qvel: States) -> States:
    return np.concatenate([qpos, np.clip(qvel, -10.0, 10.0)], axis=-1)


# --- The paper's cheetah and hopper (Chua et al. 2018, Zhang et al. 2021): obs = [v, qpos[1:], qvel] ------------------


def _all_but_first(obs: Obs) -> Array:
    return obs[1:]


def _speed_of(before: States, qpos: States, step_s: float) -> States:
    return (qpos[..., :1] - before[..., :1]) / step_s


def _pets_cheetah_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """v - 0.1 |a|^2."""
    return next_obs[0] - _effort(action, 0.1)


def _pets_cheetah_encode(obs: Obs) -> Array:
    return jnp.concatenate([obs[1:2], jnp.sin(obs[2:3]), jnp.cos(obs[2:3]), obs[3:]])


def _pets_cheetah_observe(before: States, qpos: States, qvel: States) -> States:
    return np.concatenate([_speed_of(before, qpos, 0.05), qpos[..., 1:], qvel], axis=-1)


_TRUNK = 2
"""The third entry of a cheetah's or hopper's ``qpos`` is the trunk's angle, which goes on when it turns over."""

_CHEETAH_PHYSICS = Plausible(
    speed_m_s=30.0,
    energy_j=12_600.0,
    penetration_m=0.2,
    reason="a cheetah runs 29 m/s, and learned agents of the literature return less than 20,000, that is 20 m/s; "
    "twice the 6,300 J of its 14 kg at 30 m/s, for limbs and turning; two limbs' thickness",
)

# a planning budget for CPUs: of those in docs/results/halfcheetah-budgets.md the one that learned most per minute;
# the weight decay is the paper's
PETS_HALFCHEETAH = Task(
    id="pets-halfcheetah",
    env_id="cartwheel/PetsHalfCheetah-v0",
    obs_size=18,
    action_low=(-1.0,) * 6,
    action_high=(1.0,) * 6,
    episode_length=1000,
    step_s=0.05,
    reward=_pets_cheetah_reward,
    reward_bound=40.0,
    terminated=never,
    state_bound=2000.0,
    plausible=_CHEETAH_PHYSICS,
    trunk_angle=_TRUNK,
    encode=_pets_cheetah_encode,
    absolute_targets=(0,),
    observe=_pets_cheetah_observe,
    # measured: docs/results/halfcheetah-budgets.md
    defaults={
        "num_layers": 3,
        "width": 128,
        "learning_rate": 2.5e-3,
        "num_epochs": 15,
        "plan_horizon": 15,
        "initial_std": 0.5,
        "noise_exponent": 0.25,
        "weight_decay": 7.5e-5,
    },
)


def _pets_hopper_planner_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """v - 0.001 |a|^2: the paper's planner does not know the bonus for being upright."""
    return next_obs[0] - _effort(action, 0.001)


def _pets_hopper_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """v - 0.001 |a|^2 + 1 if upright; nothing ends when it falls."""
    is_upright = jnp.all(jnp.abs(next_obs[2:]) < 100.0) & (next_obs[1] > 0.7) & (jnp.abs(next_obs[2]) < 0.2)
    return _pets_hopper_planner_reward(obs, action, next_obs) + jnp.where(is_upright, 1.0, 0.0)


def _pets_hopper_observe(before: States, qpos: States, qvel: States) -> States:
    return np.concatenate([_speed_of(before, qpos, 0.008), qpos[..., 1:], np.clip(qvel, -10.0, 10.0)], axis=-1)


PETS_HOPPER = Task(
    id="pets-hopper",
    env_id="cartwheel/PetsHopper-v0",
    obs_size=12,
    action_low=(-1.0,) * 3,
    action_high=(1.0,) * 3,
    episode_length=1000,
    step_s=0.008,
    reward=_pets_hopper_reward,
    reward_bound=20.0,
    terminated=never,
    state_bound=500.0,
    plausible=thrice(speed_m_s=5.638, energy_j=1090, penetration_m=0.11),
    trunk_angle=_TRUNK,
    planner_reward=_pets_hopper_planner_reward,
    encode=_all_but_first,
    absolute_targets=(0,),
    observe=_pets_hopper_observe,
    defaults={"plan_horizon": 30, "weight_decay": 7.5e-5},  # the paper's, which go with its budget
)


# --- Gymnasium's: obs = [x, ...], built with exclude_current_positions_from_observation=False -----------------------

_SEES_POSITION = {"exclude_current_positions_from_observation": False}


def _cheetah_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """Mean velocity - 0.1 |a|^2."""
    return _mean_speed(obs, next_obs, 0.05) - _effort(action, 0.1)


HALFCHEETAH = Task(
    id="HalfCheetah-v5",
    env_id="HalfCheetah-v5",
    obs_size=18,
    action_low=(-1.0,) * 6,
    action_high=(1.0,) * 6,
    episode_length=1000,
    step_s=0.05,
    reward=_cheetah_reward,
    reward_bound=40.0,
    terminated=never,
    state_bound=2000.0,
    plausible=_CHEETAH_PHYSICS,
    trunk_angle=_TRUNK,
    encode=_pets_cheetah_encode,  # the same numbers: only what stands in the first place differs
    env_kwargs=_SEES_POSITION,
)


def _hopper_terminated(next_obs: Obs) -> Bool[Array, ""]:
    """Unless 0.7 < z, |pitch| < 0.2 and all else < 100. Velocities are seen clipped, so only angles can tell."""
    z, pitch = next_obs[1], next_obs[2]
    return ~((z > 0.7) & (jnp.abs(pitch) < 0.2) & jnp.all(jnp.abs(next_obs[2:]) < 100.0))


def _walker_terminated(next_obs: Obs) -> Bool[Array, ""]:
    """Unless 0.8 < z < 2 and |pitch| < 1."""
    z, pitch = next_obs[1], next_obs[2]
    return ~((z > 0.8) & (z < 2.0) & (jnp.abs(pitch) < 1.0))


def _upright_reward(terminated: Callable[[Obs], Bool[Array, ""]]) -> Callable[[Obs, Action, Obs], Scalar]:
    def reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
        """Mean velocity - 0.001 |a|^2, and 1 unless it fell."""
        is_alive = jnp.where(terminated(next_obs), 0.0, 1.0)
        return _mean_speed(obs, next_obs, 0.008) - _effort(action, 0.001) + is_alive

    return reward


HOPPER = Task(
    id="Hopper-v5",
    env_id="Hopper-v5",
    obs_size=12,
    action_low=(-1.0,) * 3,
    action_high=(1.0,) * 3,
    episode_length=1000,
    step_s=0.008,
    reward=_upright_reward(_hopper_terminated),
    reward_bound=20.0,
    state_bound=500.0,
    plausible=thrice(speed_m_s=5.638, energy_j=1090, penetration_m=0.11),
    trunk_angle=_TRUNK,
    terminated=_hopper_terminated,
    encode=_all_but_first,
    observe=_clipped_velocities,
    env_kwargs=_SEES_POSITION,
)

WALKER2D = Task(
    id="Walker2d-v5",
    env_id="Walker2d-v5",
    obs_size=18,
    action_low=(-1.0,) * 6,
    action_high=(1.0,) * 6,
    episode_length=1000,
    step_s=0.008,
    reward=_upright_reward(_walker_terminated),
    reward_bound=20.0,
    state_bound=500.0,
    plausible=thrice(speed_m_s=6.062, energy_j=1740, penetration_m=0.1532),
    trunk_angle=_TRUNK,
    terminated=_walker_terminated,
    encode=_all_but_first,
    observe=_clipped_velocities,
    env_kwargs=_SEES_POSITION,
)


def _swimmer_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """Mean velocity - 0.0001 |a|^2."""
    return _mean_speed(obs, next_obs, 0.04) - _effort(action, 1e-4)


def _swimmer_encode(obs: Obs) -> Array:
    """Without x and y; the heading may turn and turn."""
    return jnp.concatenate([jnp.sin(obs[2:3]), jnp.cos(obs[2:3]), obs[3:]])


SWIMMER = Task(
    id="Swimmer-v5",
    env_id="Swimmer-v5",
    obs_size=10,
    action_low=(-1.0,) * 2,
    action_high=(1.0,) * 2,
    episode_length=1000,
    step_s=0.04,
    reward=_swimmer_reward,
    reward_bound=20.0,
    terminated=never,
    state_bound=500.0,
    plausible=thrice(speed_m_s=0.29, energy_j=112, penetration_m=0),
    encode=_swimmer_encode,
    env_kwargs=_SEES_POSITION,
)
