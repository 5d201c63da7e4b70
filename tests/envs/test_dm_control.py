"""DeepMind's control suite, through Shimmy."""

import sys

import numpy as np
import pytest

from cartwheel.envs.lookup import find_task
from cartwheel.envs.pool import EnvironmentFailed, make_env

ENV_ID = "dm_control/pendulum-swingup-v0"


def test_a_task_of_the_suite_runs_seeded_and_watched() -> None:
    """Its dict is flattened, its episodes have 1000 steps, a seed repeats, and its physics is read."""
    pytest.importorskip("dm_control")
    task = find_task(ENV_ID)
    assert (task.obs_size, task.action_low, task.action_high, task.episode_length) == (3, (-1.0,), (1.0,), 1000)
    one, two = make_env(task), make_env(task)
    assert np.array_equal(one.reset(7), two.reset(7))
    assert not np.array_equal(one.reset(7), two.reset(8))
    for _ in range(5):
        obs, reward, terminated = one.step(np.ones(1, np.float32))
        assert (obs.shape, reward >= 0.0, terminated, one.is_over) == ((3,), True, False, False)
    assert not one.warnings
    one.env.unwrapped.physics.data.qvel[:] = 1e11  # type: ignore[attr-defined]  # Shimmy passes it on
    with pytest.raises(EnvironmentFailed, match=r"step 6 raised PhysicsError"):
        one.step(np.ones(1, np.float32))
    one.close()
    two.close()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    for name in [name for name in gymnasium.registry if name.startswith("dm_control/")]:
        monkeypatch.delitem(gymnasium.registry, name)
    monkeypatch.setitem(sys.modules, "shimmy", None)
    with pytest.raises(ValueError, match=r"need the package 'shimmy'; .*pip install 'cartwheel\[dm-control\]'"):
        find_task(ENV_ID)
