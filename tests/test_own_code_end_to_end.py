"""Environments of the user's own, from the command line to the played agent, in fresh interpreters as a user's are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TASK_FILE = """
import jax.numpy as jnp
from cartwheel import task_for

def reward(obs, action, next_obs):
    return -jnp.sum(jnp.square(next_obs))

task = task_for("cartwheel/Line-v0", id="my-line", reward=reward, terminated=lambda next_obs: jnp.array(False))
"""
PACKAGE = """
import gymnasium as gym
import numpy as np

class Drift(gym.Env):
    observation_space = gym.spaces.Box(-10.0, 10.0, (2,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.normal(size=2).astype(np.float32)
        return self.at, {}

    def step(self, action):
        self.at = np.clip(self.at + 0.1 * float(action[0]), -10.0, 10.0).astype(np.float32)
        return self.at, -float(np.abs(self.at).sum()), False, False, {}

gym.register("Drift-v0", entry_point=Drift, max_episode_steps=20)
"""
SMALL = ["--episodes", "1", "--tuner", "random-search", "--tuner.num-trials", "1", "--agent.width", "8"]


def cartwheel(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it there; what is in the folder can be imported. On one core, it compiles but once."""
    cores = sorted(os.sched_getaffinity(0))
    one_core = f"import os; os.sched_setaffinity(0, {{{cores[os.getpid() % len(cores)]}}}); "
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTEST_"))}
    path = os.pathsep.join(filter(None, [str(folder), mine.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-c", one_core + "from cartwheel.cli.app import main; main()", *words],
        cwd=folder,
        env={**mine, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.timeout(900)  # six interpreters that compile, on machines that may be busy
@pytest.mark.parametrize(
    ("name", "source", "chosen", "env_id"),
    [
        ("mine.py", TASK_FILE, ["--task-file", "mine.py"], "my-line"),
        ("drifting.py", PACKAGE, ["--env-id", "drifting:Drift-v0", "--allow-env-import"], "drifting:Drift-v0"),
    ],
)
def test_own_code_is_tuned_resumed_and_played(
    name: str, source: str, chosen: list[str], env_id: str, tmp_path: Path
) -> None:
    """The option runs the user's code; without it the same folder is refused with the reason, and nothing is lost."""
    (tmp_path / name).write_text(source)
    tuned = cartwheel(tmp_path, "tune", *chosen, *SMALL, "--run-dir", "run", "--json")
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    assert f'env_id = "{env_id}"' in (tmp_path / "run" / "study.toml").read_text()
    refused = cartwheel(tmp_path, "evaluate", "run", "--episodes", "1", "--json")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert chosen[-2 if name == "mine.py" else -1] in refused.stderr
    assert "Traceback" not in refused.stderr
    option = chosen if name == "mine.py" else chosen[-1:]
    played = cartwheel(tmp_path, "evaluate", "run", "--episodes", "1", *option, "--json")
    assert played.returncode == 0, played.stdout + played.stderr
    assert json.loads(played.stdout.splitlines()[-1])
