"""mbrl-lib's plan steps and epochs, timed on request; runs in an environment of its own (``benchmarks.peers``).

Reads a JSON object a line: ``{"size": {...}, "obs_size": 4, "action_size": 1, "what": "plan", "threads": 2}``, or
``"what": "epoch"`` with ``batch`` and ``rows``, or ``"what": "products"`` with ``shape`` [E, B, W], ``count`` and
``dtype``: torch's own, of one after the other. Answers with the seconds of one run. The first run of each is not timed.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from mbrl.env import reward_fns, termination_fns

from benchmarks.peers import mbrl_side
from benchmarks.peers.cases import Case, Sizes
from benchmarks.speed.sizes import Size


class Spaces(gymnasium.Env):
    """Only spaces: nothing is stepped here."""

    def __init__(self, obs_size: int, action_size: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (obs_size,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (action_size,), np.float32)


def agent_of(request: dict[str, Any]) -> mbrl_side.Pets:
    """With made-up transitions to fit."""
    size, shapes = Size(**request["size"]), (request["obs_size"], request["action_size"])
    # a reward of the same shape and about the same price for every task, and nothing ends
    task = (lambda: Spaces(*shapes), reward_fns.cartpole, termination_fns.no_termination)
    mbrl_side.TASKS = {**mbrl_side.TASKS, size.task: task}
    sizes = Sizes(
        num_layers=size.num_layers,
        width=size.width,
        num_particles=size.num_particles,
        plan_horizon=size.plan_horizon,
        num_iterations=size.num_iterations,
        num_samples=size.num_samples,
        elite_ratio=0.1,
        num_epochs=1,
        batch_size=request.get("batch", 32),
    )
    num_rows = request.get("rows", 100)
    agent = mbrl_side.Pets(Case(size.name, size.task, num_rows, 0, sizes), seed=0)
    rng = np.random.default_rng(0)
    for _ in range(num_rows):
        obs, next_obs = rng.normal(size=(2, shapes[0]))
        agent.buffer.add(obs, rng.uniform(-1, 1, shapes[1]), next_obs, 0.0, False, False)
    agent.model.update_normalizer(agent.buffer.get_all())
    return agent


def products(request: dict[str, Any]) -> Callable[[], object]:
    """Rows through so many square layers without anything between them."""
    (networks, rows, width), dtype = request["shape"], getattr(torch, request["dtype"])
    hidden, weight = torch.randn(networks, rows, width).to(dtype), torch.randn(networks, width, width).to(dtype)
    weight /= width**0.5

    def run() -> None:
        result = hidden
        with torch.no_grad():
            for _ in range(request["count"]):
                result = torch.bmm(result, weight)

    return run


def job_of(request: dict[str, Any]) -> Callable[[], object]:
    if request["what"] == "products":
        return products(request)
    agent = agent_of(request)
    if request["what"] == "epoch":
        return agent.fit
    obs = np.full(request["obs_size"], 0.01)
    return lambda: agent.agent.act(obs)


def main() -> None:
    jobs: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        torch.set_num_threads(request["threads"])
        if line not in jobs:
            jobs[line] = job_of(request)
            jobs[line]()
        started = time.perf_counter()
        jobs[line]()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
