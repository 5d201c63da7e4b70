"""Tasks of robots that stand on their legs in space: obs = [x, y, z, quaternion, joints, velocities].

``quadruped`` and ``hexapod`` are ours: they stand in the place of the two robots of Zhang et al. 2021 whose
environments were never released, and share nothing with them but the number of legs.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from cartwheel.envs.task import Action, Obs, Plausible, Scalar, Task, never, thrice


def _without_place(obs: Obs) -> Array:
    """Everything but x and y."""
    return obs[2:]


def _add_and_normalise(obs: Obs, prediction: Array) -> Obs:
    """Changes are added; the quaternion is put back on its unit sphere, so that it stays a rotation."""
    total = obs + prediction
    quaternion = total[3:7]
    norm = jnp.sqrt(jnp.sum(jnp.square(quaternion)) + 1e-12)
    return jnp.concatenate([total[:3], quaternion / norm, total[7:]])


def _ant_terminated(next_obs: Obs) -> Bool[Array, ""]:
    """Unless 0.2 <= z <= 1 and everything is finite."""
    return ~(jnp.all(jnp.isfinite(next_obs)) & (next_obs[2] >= 0.2) & (next_obs[2] <= 1.0))


def _ant_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """Mean velocity - 0.5 |a|^2, and 1 unless the episode ended."""
    is_alive = jnp.where(_ant_terminated(next_obs), 0.0, 1.0)
    return (next_obs[0] - obs[0]) / 0.05 - 0.5 * jnp.sum(jnp.square(action)) + is_alive


ANT = Task(
    id="Ant-v5",
    env_id="cartwheel/Ant-v5",
    obs_size=29,
    action_low=(-1.0,) * 8,
    action_high=(1.0,) * 8,
    episode_length=1000,
    step_s=0.05,
    reward=_ant_reward,
    reward_bound=30.0,
    state_bound=1000.0,
    plausible=thrice(speed_m_s=7.657, energy_j=736.6, penetration_m=0.05844),
    terminated=_ant_terminated,
    encode=_without_place,
    next_obs=_add_and_normalise,
    # contact forces are no function of what is observed: neither seen nor paid for (Gymnasium's defaults do both)
    env_kwargs={
        "exclude_current_positions_from_observation": False,
        "include_cfrc_ext_in_observation": False,
        "contact_cost_weight": 0.0,
    },
)


def _walk_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """Mean velocity - 0.02 |a|^2."""
    return (next_obs[0] - obs[0]) / 0.05 - 0.02 * jnp.sum(jnp.square(action))


def _walker(name: str, num_legs: int, plausible: Plausible) -> Task:
    """Two servos a leg, commanded by angles."""
    num_joints = 2 * num_legs
    return Task(
        id=name,
        env_id=f"cartwheel/{name.capitalize()}-v0",
        obs_size=13 + 2 * num_joints,
        action_low=(-0.6,) * num_joints,
        action_high=(0.6,) * num_joints,
        episode_length=500,
        step_s=0.05,
        reward=_walk_reward,
        reward_bound=20.0,
        terminated=never,
        state_bound=500.0,
        plausible=plausible,
        encode=_without_place,
        next_obs=_add_and_normalise,
    )


QUADRUPED = _walker("quadruped", 4, thrice(speed_m_s=2.891, energy_j=31.74, penetration_m=0.03916))
HEXAPOD = _walker("hexapod", 6, thrice(speed_m_s=1.834, energy_j=24.64, penetration_m=0.02332))
