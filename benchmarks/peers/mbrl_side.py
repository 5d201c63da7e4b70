"""The side of mbrl-lib: ``python -m benchmarks.peers.mbrl_side CASE SEED OUT.json``, in an environment of its own.

Its parts are its own: model, trainer, replay buffer, CEM, trajectory agent. Only the loop around them is ours, because
its own fits the model every so many env steps and not after every episode.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from mbrl.env import reward_fns, termination_fns
from mbrl.env.cartpole_continuous import CartPoleEnv
from mbrl.models import ModelEnv, ModelTrainer
from mbrl.planning import create_trajectory_optim_agent_for_model
from mbrl.util.common import create_one_dim_tr_model, create_replay_buffer, get_basic_buffer_iterators
from omegaconf import OmegaConf

from benchmarks.peers.cases import Case, Episode, case_of


class Line(gymnasium.Env):
    """A point starts at 1; the action is added to its velocity, the velocity to its position. Pays -0.001 x^2."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.state = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:  # noqa: ARG002
        super().reset(seed=seed)
        self.state = np.array([1.0, 0.0])
        return self.state.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        velocity = self.state[1] + float(action[0])
        self.state = np.array([self.state[0] + velocity, velocity])
        return self.state.copy(), -0.001 * float(self.state[0] ** 2), False, False, {}


def line_reward(action: Any, next_obs: Any) -> Any:
    return -0.001 * next_obs[:, :1] ** 2


TASKS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "line": (Line, line_reward, termination_fns.no_termination),
    "cartpole-balance": (CartPoleEnv, reward_fns.cartpole, termination_fns.cartpole),
}


def settings(case: Case) -> Any:
    """As its examples have them, but for the sizes."""
    sizes = case.sizes
    return OmegaConf.create(
        {
            "dynamics_model": {
                "_target_": "mbrl.models.GaussianMLP",
                "_recursive_": False,  # it was written for a Hydra that left inner targets alone
                "device": "cpu",
                "num_layers": sizes.num_layers,
                "ensemble_size": sizes.num_networks,
                "hid_size": sizes.width,
                "in_size": None,
                "out_size": None,
                "deterministic": False,
                "propagation_method": "fixed_model",
                "learn_logvar_bounds": False,
                "activation_fn_cfg": {"_target_": "torch.nn.SiLU"},
            },
            "algorithm": {
                "learned_rewards": False,
                "target_is_delta": True,
                "normalize": True,
                "normalize_double_precision": True,
                "dataset_size": case.episode_length * (case.num_episodes + 1),
            },
            "overrides": {"num_elites": sizes.num_networks},
            "agent": {
                "_target_": "mbrl.planning.TrajectoryOptimizerAgent",
                "_recursive_": False,
                "action_lb": "???",
                "action_ub": "???",
                "planning_horizon": sizes.plan_horizon,
                "replan_freq": 1,
                "verbose": False,
                "optimizer_cfg": {
                    "_target_": "mbrl.planning.CEMOptimizer",
                    "num_iterations": sizes.num_iterations,
                    "elite_ratio": sizes.elite_ratio,
                    "population_size": sizes.num_samples,
                    "alpha": sizes.alpha,
                    "lower_bound": "???",
                    "upper_bound": "???",
                    "return_mean_elites": True,
                    "clipped_normal": False,
                    "device": "cpu",
                },
            },
        }
    )


class Pets:
    """One agent in its environment."""

    def __init__(self, case: Case, seed: int) -> None:
        make, reward_fn, termination_fn = TASKS[case.task]
        self.case, self.env, config = case, make(), settings(case)
        shapes = self.env.observation_space.shape, self.env.action_space.shape
        self.model = create_one_dim_tr_model(config, *shapes)
        kinds = {"obs_type": np.double, "action_type": np.double, "reward_type": np.double}
        self.buffer = create_replay_buffer(config, *shapes, rng=np.random.default_rng(seed), **kinds)
        generator = torch.Generator().manual_seed(seed)
        imagined = ModelEnv(self.env, self.model, termination_fn, reward_fn, generator=generator)
        self.trainer = ModelTrainer(self.model, optim_lr=case.sizes.learning_rate, weight_decay=case.sizes.weight_decay)
        self.agent = create_trajectory_optim_agent_for_model(imagined, config.agent, case.sizes.num_particles)
        self.env.action_space.seed(seed)

    def episode(self, index: int, seed: int) -> Episode:
        """Play, then fit."""
        cpu = time.process_time()
        return_, num_steps, plan_s, env_s = self.play(is_random=index == 0, seed=seed)
        started = time.perf_counter()
        num_updates = self.fit()
        fit_s = time.perf_counter() - started
        return Episode(index, return_, num_steps, num_updates, plan_s, fit_s, env_s, time.process_time() - cpu)

    def play(self, is_random: bool, seed: int) -> tuple[float, int, float, float]:
        """Return, env steps, and seconds of planning and of the environment."""
        self.agent.reset()
        obs, _ = self.env.reset(seed=seed)
        total, plan_s, env_s, has_ended, num_steps = 0.0, 0.0, 0.0, False, 0
        while not has_ended and num_steps < self.case.episode_length:
            started = time.perf_counter()
            action = self.env.action_space.sample() if is_random else self.agent.act(obs)
            acted = time.perf_counter()
            next_obs, reward, has_ended, _, _ = self.env.step(action)
            env_s += time.perf_counter() - acted
            plan_s += acted - started
            self.buffer.add(obs, action, next_obs, reward, has_ended, False)
            obs, total, num_steps = next_obs, total + float(reward), num_steps + 1
        return total, num_steps, plan_s, env_s

    def fit(self) -> int:
        """How many updates it took."""
        sizes = self.case.sizes
        self.model.update_normalizer(self.buffer.get_all())
        rows, _ = get_basic_buffer_iterators(self.buffer, sizes.batch_size, 0.0, sizes.num_networks)
        self.trainer.train(rows, num_epochs=sizes.num_epochs, evaluate=False, silent=True)
        return sizes.num_epochs * -(-int(self.buffer.num_stored) // sizes.batch_size)


def main() -> None:
    case, seed, out = case_of(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.manual_seed(seed)
    np.random.seed(seed)
    started = time.perf_counter()
    pets = Pets(case, seed)
    setup_s = time.perf_counter() - started
    episodes = [asdict(pets.episode(index, 1000 * seed + index)) for index in range(case.num_episodes + 1)]
    about = {"torch": torch.__version__, "torch threads": torch.get_num_threads(), "mbrl": "0.2.0"}
    out.write_text(json.dumps({"episodes": episodes, "setup_s": setup_s, "about": about}))


if __name__ == "__main__":
    main()
