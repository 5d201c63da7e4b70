"""Environments whose next observation is a formula of observation and action.

Every function takes observations [..., O], actions [..., A] and ``xp``, NumPy or ``jax.numpy``, whose arrays these are,
and returns observations [..., O]. On the host it is the environment, or a plan's true outcome; in JAX a whole episode.
"""

from typing import Any

GRAVITY = 9.8
CART_KG, POLE_KG = 1.0, 0.1
HALF_POLE_M = 0.5
FORCE_N = 10.0
POLE_STEP_S = 0.02


def pole(obs: Any, action: Any, xp: Any) -> Any:
    """A pole on a cart, pushed with -10 to 10 N: x, its velocity, the angle from upright, its velocity.

    Barto, Sutton & Anderson 1983, with the constants and the explicit Euler steps of Gymnasium's CartPole-v1, whose two
    actions push with -10 N and 10 N; here any force between them can be chosen, as in mbrl-lib's cartpole.
    """
    x_velocity, angle, angle_velocity = obs[..., 1], obs[..., 2], obs[..., 3]
    sine, cosine, total = xp.sin(angle), xp.cos(angle), CART_KG + POLE_KG
    force = FORCE_N * xp.clip(action[..., 0], -1.0, 1.0)
    push = (force + POLE_KG * HALF_POLE_M * angle_velocity**2 * sine) / total
    angle_acceleration = (GRAVITY * sine - cosine * push) / (HALF_POLE_M * (4 / 3 - POLE_KG * cosine**2 / total))
    x_acceleration = push - POLE_KG * HALF_POLE_M * angle_acceleration * cosine / total
    return obs + POLE_STEP_S * xp.stack([x_velocity, x_acceleration, angle_velocity, angle_acceleration], axis=-1)


def pendulum(obs: Any, action: Any, xp: Any) -> Any:
    """Gymnasium's Pendulum-v1: g = 10, m = l = 1, dt = 0.05, semi-implicit Euler, |t'| <= 8."""
    angle, velocity = xp.arctan2(obs[..., 1], obs[..., 0]), obs[..., 2]
    torque = xp.clip(action[..., 0], -2.0, 2.0)
    velocity = xp.clip(velocity + (15.0 * xp.sin(angle) + 3.0 * torque) * 0.05, -8.0, 8.0)
    angle = angle + velocity * 0.05
    return xp.stack([xp.cos(angle), xp.sin(angle), velocity], axis=-1)


def mountain_car(obs: Any, action: Any, xp: Any) -> Any:
    """Gymnasium's MountainCarContinuous-v0: a wall on the left, |v| <= 0.07."""
    push = 0.0015 * xp.clip(action[..., 0], -1.0, 1.0)
    velocity = xp.clip(obs[..., 1] + push - 0.0025 * xp.cos(3.0 * obs[..., 0]), -0.07, 0.07)
    position = xp.clip(obs[..., 0] + velocity, -1.2, 0.6)
    at_wall = (position <= -1.2) & (velocity < 0.0)
    return xp.stack([position, xp.where(at_wall, 0.0, velocity)], axis=-1)


def line(obs: Any, action: Any, xp: Any) -> Any:
    """A point mass: the action is added to its velocity, the velocity to its position."""
    velocity = obs[..., 1] + action[..., 0]
    return xp.stack([obs[..., 0] + velocity, velocity], axis=-1)
