"""The true dynamics as a model: what they predict is what the environment does, in every task."""

import numpy as np
import pytest
from gymnasium.envs.mujoco import MujocoEnv

from cartwheel.envs.pool import make_env
from cartwheel.envs.simulator import true_dynamics
from cartwheel.envs.tasks import get_task, task_ids

NUM_STEPS = 10
KNOWN = [name for name in task_ids() if not name.startswith("probe-")]


@pytest.mark.parametrize("name", KNOWN)
def test_ten_steps_are_the_environments(name: str) -> None:
    """From a start and from the middle of an episode, full actions, contacts and all."""
    task = get_task(name)
    env, rng = make_env(task), np.random.default_rng(0)
    rollout = true_dynamics(env)
    bounds = np.asarray(task.action_low), np.asarray(task.action_high)
    for seed, num_before in ((1, 0), (2, 7), (3, 30)):
        obs = env.reset(seed)
        for _ in range(num_before):
            obs, _, _ = env.step(0.3 * rng.uniform(*bounds).astype(np.float32))
        plans = rng.uniform(*bounds, (3, NUM_STEPS, task.action_size)).astype(np.float32)
        imagined = rollout(obs, plans)
        assert imagined.shape == (3, NUM_STEPS, task.obs_size)
        executed = np.stack([env.step(action)[0] for action in plans[1]])
        np.testing.assert_allclose(imagined[1], executed, rtol=1e-5, atol=1e-5)
        assert np.abs(imagined[0] - executed).max() > 1e-3  # another plan is another future
    env.close()


def test_a_rollout_leaves_the_environment_alone() -> None:
    """Looking ahead moves nothing: the state is the same to the bit, also where contacts are solved."""
    task = get_task("pets-halfcheetah")
    env = make_env(task)
    obs = env.reset(0)
    inner = env.env.unwrapped
    assert isinstance(inner, MujocoEnv)
    before = inner.data.qpos.copy(), inner.data.qvel.copy(), inner.data.qacc_warmstart.copy(), inner.data.time
    true_dynamics(env)(obs, np.ones((2, 5, 6), np.float32))
    after = inner.data.qpos, inner.data.qvel, inner.data.qacc_warmstart, inner.data.time
    assert all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize("seed", [9, 26, 36])
def test_long_rollouts_stay_exact(seed: int) -> None:
    """150 steps of a tumbling cheetah. Contacts are solved by iteration from the last solution, and small differences
    grow: started from anywhere else, these three seeds end up elsewhere.
    """
    task = get_task("pets-halfcheetah")
    env, rng = make_env(task), np.random.default_rng(seed)
    env.reset(seed)
    for _ in range(20):
        obs, _, _ = env.step(rng.uniform(-1.0, 1.0, 6).astype(np.float32))
    plans = rng.uniform(-1.0, 1.0, (1, 150, 6)).astype(np.float32)
    imagined = true_dynamics(env)(obs, plans)[0]
    executed = np.stack([env.step(action)[0] for action in plans[0]])
    np.testing.assert_allclose(imagined, executed, rtol=1e-5, atol=1e-5)
