"""Small tasks: swing-ups, balancing poles, a car in a valley, a point on a line."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from cartwheel.envs.task import Action, Obs, Scalar, Task

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
    encode=_swingup_encode,
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
    next_obs=_pendulum_next_obs,
)


# --- InvertedPendulum-v5 (Gymnasium, MuJoCo) --------------------------------------------------------------------------


def _balance_terminated(next_obs: Obs) -> Bool[Array, ""]:
    return ~jnp.all(jnp.isfinite(next_obs)) | (jnp.abs(next_obs[1]) > 0.2)


def _balance_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """1 for every step that does not end the episode."""
    return jnp.where(_balance_terminated(next_obs), 0.0, 1.0)


def _balance_planner_reward(obs: Obs, action: Action, next_obs: Obs) -> Scalar:
    """The reward is flat until it is too late: the planner also likes an upright pole near the middle of the rail."""
    return _balance_reward(obs, action, next_obs) - 10.0 * jnp.square(next_obs[1]) - 0.1 * jnp.square(next_obs[0])


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
    terminated=_balance_terminated,
    planner_reward=_balance_planner_reward,
    has_termination=True,
    # the first episodes last five steps: without many passes over so few rows nothing is learned
    defaults={"num_epochs": 100, "learning_rate": 3e-3, "plan_horizon": 15, "noise_exponent": 0.5},
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
    # an episode is one batch, so many passes; the best plan is full left, full right, rest: white noise finds it
    defaults={"num_epochs": 100, "plan_horizon": 10, "noise_exponent": 0.0},
)
