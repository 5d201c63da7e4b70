"""Tasks of arms that reach and push: the paper's two (Chua et al. 2018) and Gymnasium's planar reacher."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cartwheel.envs.task import Action, Obs, Scalar, States, Task, never, thrice

# --- The seven-jointed arm -------------------------------------------------------------------------------------------


def arm_point(q: Any, base: tuple[float, float, float], hand: float, xp: Any) -> Any:
    """The point [..., 3] at distance ``hand`` behind the wrist of an arm that stands at ``base``.

    ``q`` [..., 7]: shoulder pan and lift, upper-arm roll, elbow flex, forearm roll, wrist flex and roll (which does
    not move the point). 0.1 to the lifting joint, 0.4 to the elbow, 0.321 to the wrist. ``xp`` is the array library.
    """
    sin, cos = xp.sin(q), xp.cos(q)
    x, y, z = xp.full_like(q[..., 0], hand), xp.zeros_like(q[..., 0]), xp.zeros_like(q[..., 0])
    for flex, roll, length in ((5, 4, 0.321), (3, 2, 0.4)):
        x, z = cos[..., flex] * x + sin[..., flex] * z, cos[..., flex] * z - sin[..., flex] * x
        y, z = cos[..., roll] * y - sin[..., roll] * z, cos[..., roll] * z + sin[..., roll] * y
        x = x + length
    x, z = cos[..., 1] * x + sin[..., 1] * z, cos[..., 1] * z - sin[..., 1] * x
    x = x + 0.1
    x, y = cos[..., 0] * x - sin[..., 0] * y, cos[..., 0] * y + sin[..., 0] * x
    return xp.stack([x + base[0], y + base[1], z + base[2]], axis=-1)


# --- Reacher3D: obs = [7 joints, goal xyz, 7 joint velocities] -------------------------------------------------------


def _reacher3d_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """-|EE - goal|^2 - 0.01 |a|^2, the end effector EE by forward kinematics."""
    miss = arm_point(next_obs[:7], (0.0, -0.188, 0.0), 0.16828, jnp) - next_obs[7:10]
    return -jnp.sum(jnp.square(miss)) - 0.01 * jnp.sum(jnp.square(action))


def _reacher3d_observe(before: States, qpos: States, qvel: States) -> States:
    return np.concatenate([qpos, qvel[..., :7]], axis=-1)


PETS_REACHER3D = Task(
    id="pets-reacher3d",
    env_id="cartwheel/PetsReacher3D-v0",
    obs_size=17,
    action_low=(-20.0,) * 7,
    action_high=(20.0,) * 7,
    episode_length=150,
    step_s=0.02,
    reward=_reacher3d_reward,
    reward_bound=40.0,
    terminated=never,
    state_bound=1000.0,  # full torque on a freely rolling wrist: 200 rad/s, 600 rad in an episode
    plausible=thrice(speed_m_s=0.3108, energy_j=1782, penetration_m=0),
    observe=_reacher3d_observe,
    # The paper's, which go with its model of 4x200 and 400 samples, but for the spread: torque costs so much that 48
    # samples as wide as half the range find little better than to lie still (with the true dynamics -170; so: -45).
    defaults={"plan_horizon": 25, "learning_rate": 7.5e-4, "weight_decay": 5e-4, "initial_std": 0.1},
)


# --- Pusher: obs = [7 joints, 7 joint velocities, tip xyz, object xyz] -----------------------------------------------

_GOAL = (0.45, -0.05, -0.323)


def _pusher_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """-(0.5 L1(tip, object) + 1.25 L1(object, goal)) - 0.1 |a|^2, of the state after the step."""
    tip, thing = next_obs[14:17], next_obs[17:20]
    to_thing = jnp.sum(jnp.abs(tip - thing))
    to_goal = jnp.sum(jnp.abs(thing - jnp.asarray(_GOAL, thing.dtype)))
    return -(0.5 * to_thing + 1.25 * to_goal) - 0.1 * jnp.sum(jnp.square(action))


def _pusher_observe(before: States, qpos: States, qvel: States) -> States:
    """The object slides from (0.45, -0.05) along y and x, in this order."""
    tip = arm_point(qpos[..., :7], (0.0, -0.6, 0.0), 0.0, np)
    height = np.full_like(qpos[..., 0], -0.275)
    thing = np.stack([0.45 + qpos[..., 8], -0.05 + qpos[..., 7], height], axis=-1)
    return np.concatenate([qpos[..., :7], qvel[..., :7], tip, thing], axis=-1)


PETS_PUSHER = Task(
    id="pets-pusher",
    env_id="cartwheel/PetsPusher-v0",
    obs_size=20,
    action_low=(-2.0,) * 7,
    action_high=(2.0,) * 7,
    episode_length=150,
    step_s=0.04,
    reward=_pusher_reward,
    reward_bound=20.0,
    terminated=never,
    state_bound=200.0,
    plausible=thrice(speed_m_s=0.2076, energy_j=11.71, penetration_m=0.06551),
    observe=_pusher_observe,
    # The paper's horizon, decay and learning rate (the agent's own default), made for 3x200 and 500 samples. Iterations
    # and noise were chosen with the true dynamics, for a tenth of the samples.
    defaults={
        "plan_horizon": 25,
        "weight_decay": 5e-4,
        "num_iterations": 5,
        "initial_std": 0.15,
    },
)


# --- Reacher-v5 (Gymnasium): obs = [2 cosines, 2 sines, target xy, 2 velocities, fingertip - target] -----------------


def _reacher_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """-|fingertip - target| - |a|^2."""
    return -jnp.sqrt(jnp.sum(jnp.square(next_obs[8:10]))) - jnp.sum(jnp.square(action))


def _reacher_target(obs: Obs, next_obs: Obs) -> Array:
    """Changes of all but the target, which does not move: a model's noise would let it wander."""
    change = next_obs - obs
    return jnp.concatenate([change[:4], change[6:]])


def _reacher_next_obs(obs: Obs, prediction: Array) -> Obs:
    """The predicted points are put back on the unit circle."""
    angles = obs[:4] + prediction[:4]
    norm = jnp.sqrt(jnp.square(angles[:2]) + jnp.square(angles[2:]) + 1e-12)
    return jnp.concatenate([angles / jnp.concatenate([norm, norm]), obs[4:6], obs[6:] + prediction[4:]])


def _reacher_observe(before: States, qpos: States, qvel: States) -> States:
    """Links of 0.1 and 0.11."""
    angles, goal = qpos[..., :2], qpos[..., 2:]
    second = angles[..., 0] + angles[..., 1]
    tip_x = 0.1 * np.cos(angles[..., 0]) + 0.11 * np.cos(second)
    tip_y = 0.1 * np.sin(angles[..., 0]) + 0.11 * np.sin(second)
    miss = np.stack([tip_x, tip_y], axis=-1) - goal
    return np.concatenate([np.cos(angles), np.sin(angles), goal, qvel[..., :2], miss], axis=-1)


REACHER = Task(
    id="Reacher-v5",
    env_id="cartwheel/Reacher-v5",
    obs_size=10,
    action_low=(-1.0,) * 2,
    action_high=(1.0,) * 2,
    episode_length=50,
    step_s=0.02,
    reward=_reacher_reward,
    reward_bound=3.0,
    terminated=never,
    state_bound=500.0,
    plausible=thrice(speed_m_s=4.352, energy_j=7991, penetration_m=0),
    target=_reacher_target,
    next_obs=_reacher_next_obs,
    observe=_reacher_observe,
)
