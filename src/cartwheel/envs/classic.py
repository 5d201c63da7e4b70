"""Small tasks: swing-ups, balancing poles, a car in a valley, a point on a line."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from cartwheel.envs import equations
from cartwheel.envs.task import Action, Obs, Scalar, States, Task, never, thrice

# --- CartPole swing-up (Chua et al. 2018; own MJCF) ------------------------------------------------------------


def _swingup_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """exp(-|tip - (0, 0.6)|^2 / 0.36) - 0.01 a^2 with the pole's tip at (x - 0.6 sin t, -0.6 cos t)."""
    x, theta = next_obs[0], next_obs[1]
    tip_x, tip_z = x - 0.6 * jnp.sin(theta), -0.6 * jnp.cos(theta)
    distance2 = jnp.square(tip_x) + jnp.square(tip_z - 0.6)
    return jnp.exp(-distance2 / 0.36) - 0.01 * jnp.sum(jnp.square(action))


def _swingup_encode(obs: Obs) -> Array:
    x, theta, x_velocity, theta_velocity = obs
    return jnp.stack([jnp.sin(theta), jnp.cos(theta), x, x_velocity, theta_velocity])


CARTPOLE_SWINGUP = Task(
    id="cartpole-swingup",
    env_id="cartwheel/CartPoleSwingUp-v0",
    obs_size=4,
    action_low=(-3.0,),
    action_high=(3.0,),
    episode_length=200,
    step_s=0.04,
    reward=_swingup_reward,
    reward_bound=1.1,
    terminated=never,
    state_bound=500.0,
    plausible=thrice(speed_m_s=13.57, energy_j=1468, penetration_m=0),
    encode=_swingup_encode,
    defaults={"initial_std": 0.5, "noise_exponent": 2.0},
)


# --- CartPole balance: Gymnasium's CartPole with a continuous force; obs = [x, its velocity, angle, its velocity] -----

MAX_BALANCE_POSITION = 2.4
MAX_BALANCE_RADIANS = math.radians(12.0)


def _pole_fell(next_obs: Obs) -> Bool[Array, ""]:
    is_balanced = (jnp.abs(next_obs[0]) <= MAX_BALANCE_POSITION) & (jnp.abs(next_obs[2]) <= MAX_BALANCE_RADIANS)
    return ~is_balanced  # so that NaN, too, is over


def _step_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    return jnp.ones_like(next_obs[0])


CARTPOLE_BALANCE = Task(
    id="cartpole-balance",
    env_id="cartwheel/CartPoleBalance-v0",
    obs_size=4,
    action_low=(-1.0,),
    action_high=(1.0,),
    episode_length=200,
    step_s=0.02,
    reward=_step_reward,
    reward_bound=1.0,
    state_bound=100.0,
    terminated=_pole_fell,
    equations=equations.pole,
    # the first episodes last twenty steps: without many passes over so few rows nothing is learned
    defaults={"num_epochs": 50, "plan_horizon": 15, "initial_std": 0.5},
)


# --- Pendulum-v1 (Gymnasium) -----------------------------------------------------------------------------------------


def _pendulum_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """-(t^2 + 0.1 t'^2 + 0.001 u^2) of the state *before* the step, t the angle from upright in (-pi, pi]."""
    angle = jnp.arctan2(obs[1], obs[0])
    return -(jnp.square(angle) + 0.1 * jnp.square(obs[2]) + 0.001 * jnp.sum(jnp.square(action)))


def _pendulum_next_obs(obs: Obs, prediction: Array) -> Obs:
    """The predicted point is put back on the unit circle: cosine and sine of one angle stay what they are."""
    cosine, sine, velocity = obs + prediction
    norm = jnp.sqrt(jnp.square(cosine) + jnp.square(sine) + 1e-12)
    return jnp.stack([cosine / norm, sine / norm, jnp.clip(velocity, -8.0, 8.0)])


PENDULUM = Task(
    id="Pendulum-v1",
    env_id="Pendulum-v1",
    obs_size=3,
    action_low=(-2.0,),
    action_high=(2.0,),
    episode_length=200,
    step_s=0.05,
    reward=_pendulum_reward,
    reward_bound=16.3,
    terminated=never,
    state_bound=8.0,
    next_obs=_pendulum_next_obs,
    equations=equations.pendulum,
    defaults={"initial_std": 0.5, "noise_exponent": 2.0},
)


# --- InvertedPendulum-v5 (Gymnasium, MuJoCo) --------------------------------------------------------------------------


def _balance_terminated(next_obs: Obs) -> Bool[Array, ""]:
    return ~jnp.all(jnp.isfinite(next_obs)) | (jnp.abs(next_obs[1]) > 0.2)


def _balance_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """1 for every step that does not end the episode."""
    return jnp.where(_balance_terminated(next_obs), 0.0, 1.0)


def _balance_planner_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """The reward is flat until it is too late: the planner also likes an upright pole and a slow cart near the middle.

    The rail ends at 1, where the pole falls, and a cart that drifts there is seen too late. Staying alive always pays.
    """
    x, angle, velocity = next_obs[0], next_obs[1], next_obs[2]
    shaping = 0.5 * jnp.square(x) + 10.0 * jnp.square(angle) + 0.05 * jnp.square(velocity)
    return _balance_reward(obs, action, next_obs) - shaping


INVERTED_PENDULUM = Task(
    id="InvertedPendulum-v5",
    env_id="InvertedPendulum-v5",
    obs_size=4,
    action_low=(-3.0,),
    action_high=(3.0,),
    episode_length=1000,
    step_s=0.04,
    reward=_balance_reward,
    reward_bound=1.0,
    state_bound=100.0,
    plausible=thrice(speed_m_s=1.944, energy_j=51.28, penetration_m=0),
    terminated=_balance_terminated,
    planner_reward=_balance_planner_reward,
    # the first episodes last five steps: without many passes over so few rows nothing is learned; a planner that sees
    # 0.6 s ahead, or executes the mean, falls after some 100 to 300 steps even with the true dynamics
    defaults={
        "num_epochs": 100,
        "learning_rate": 3e-3,
        "num_iterations": 5,
        "initial_std": 0.5,
        "executes": "best",
    },
)


# --- InvertedDoublePendulum-v5 (Gymnasium, MuJoCo): obs = [x, 2 sines, 2 cosines, 3 velocities] -----------------------


def _double_tip(obs: Obs) -> tuple[Scalar, Scalar]:
    """The tip of the second pole; both are 0.6 long, and the second angle is relative to the first."""
    x, sine1, sine2, cosine1, cosine2 = obs[:5]
    tip_x = x + 0.6 * sine1 + 0.6 * (sine1 * cosine2 + cosine1 * sine2)
    return tip_x, 0.6 * cosine1 + 0.6 * (cosine1 * cosine2 - sine1 * sine2)


def _double_terminated(next_obs: Obs) -> Bool[Array, ""]:
    return _double_tip(next_obs)[1] <= 1.0


def _double_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """10 for every step that does not end the episode - 0.01 x^2 - (y - 2)^2 of the tip - small velocity costs."""
    x, y = _double_tip(next_obs)
    velocity_cost = 1e-3 * jnp.square(next_obs[6]) + 5e-3 * jnp.square(next_obs[7])
    return jnp.where(y <= 1.0, 0.0, 10.0) - 0.01 * jnp.square(x) - jnp.square(y - 2.0) - velocity_cost


def _double_next_obs(obs: Obs, prediction: Array) -> Obs:
    """Both predicted points are put back on the unit circle."""
    total = obs + prediction
    norm = jnp.sqrt(jnp.square(total[1:3]) + jnp.square(total[3:5]) + 1e-12)
    return jnp.concatenate([total[:1], total[1:3] / norm, total[3:5] / norm, total[5:]])


def _double_observe(before: States, qpos: States, qvel: States) -> States:
    angles = qpos[..., 1:]
    return np.concatenate([qpos[..., :1], np.sin(angles), np.cos(angles), qvel], axis=-1)


INVERTED_DOUBLE_PENDULUM = Task(
    id="InvertedDoublePendulum-v5",
    env_id="cartwheel/InvertedDoublePendulum-v5",
    obs_size=8,
    action_low=(-1.0,),
    action_high=(1.0,),
    episode_length=1000,
    step_s=0.05,
    reward=_double_reward,
    reward_bound=30.0,
    state_bound=100.0,
    plausible=thrice(speed_m_s=4.876, energy_j=378.6, penetration_m=0),
    terminated=_double_terminated,
    next_obs=_double_next_obs,
    observe=_double_observe,
)


# --- MountainCarContinuous-v0 (Gymnasium) ----------------------------------------------------------------------------


def _car_terminated(next_obs: Obs) -> Bool[Array, ""]:
    return (next_obs[0] >= 0.45) & (next_obs[1] >= 0.0)


def _car_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """100 at the goal - 0.1 a^2."""
    return jnp.where(_car_terminated(next_obs), 100.0, 0.0) - 0.1 * jnp.sum(jnp.square(action))


def _car_energy(obs: Obs) -> Scalar:
    return 0.5 * jnp.square(obs[1]) + (0.0025 / 3.0) * jnp.sin(3.0 * obs[0])


def _car_planner_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """The goal is farther than plans reach, so the planner also earns the energy it gains.

    Differences of a potential leave the best policy what it was (Ng et al. 1999). At 10,000, full throttle pays for
    itself from a speed of 0.007 upwards.
    """
    return _car_reward(obs, action, next_obs) + 1e4 * (_car_energy(next_obs) - _car_energy(obs))


MOUNTAIN_CAR = Task(
    id="MountainCarContinuous-v0",
    env_id="MountainCarContinuous-v0",
    obs_size=2,
    action_low=(-1.0,),
    action_high=(1.0,),
    episode_length=999,
    step_s=1.0,
    reward=_car_reward,
    reward_bound=100.0,
    state_bound=1.3,
    terminated=_car_terminated,
    planner_reward=_car_planner_reward,
    equations=equations.mountain_car,
)


# --- The line: a point mass (the learning gate of mbrl-lib's tests) ---------------------------------------------------


def _line_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    return -0.001 * jnp.square(next_obs[0])


LINE = Task(
    id="line",
    env_id="cartwheel/Line-v0",
    obs_size=2,
    action_low=(-1.0,),
    action_high=(1.0,),
    episode_length=30,
    step_s=1.0,
    reward=_line_reward,
    reward_bound=1e3,
    terminated=never,
    equations=equations.line,
    # an episode is one batch, so many passes; the best plan is full left, full right, rest: white noise finds it
    defaults={"num_epochs": 100, "plan_horizon": 10, "initial_std": 0.5, "noise_exponent": 0.0},
)
