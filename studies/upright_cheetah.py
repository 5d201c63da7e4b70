"""A HalfCheetah whose planner is fined for turning over: the gait that one expects. The reward that is paid stays.

cartwheel train studies/turning.toml --task-file studies/upright_cheetah.py --env-id upright-halfcheetah
"""

import dataclasses

import jax.numpy as jnp

from cartwheel.envs.tasks import get_task

FINE = 10.0
"""Upside down costs twice as much per step: as much as running at 20 m/s earns."""

CHEETAH = get_task("pets-halfcheetah")


def planner_reward(obs, action, next_obs):
    """The reward - 10 (1 - cos(pitch)); the third entry of an observation is the pitch."""
    return CHEETAH.reward(obs, action, next_obs) - FINE * (1.0 - jnp.cos(next_obs[2]))


task = dataclasses.replace(CHEETAH, id="upright-halfcheetah", planner_reward=planner_reward)
