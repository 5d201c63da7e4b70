"""What isolation costs: env steps inside this process, and the same ones in a process of their own.

    python -m benchmarks.speed.isolation [--repeats 7] [--json]

Actions are uniformly random, and an episode that is over is followed by the next. The watch over physics, which runs
beside the environment wherever that is, is part of a step.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.speed.timing import arguments, in_turns, ratios, tell
from cartwheel.envs.isolated import EnvMaker, Isolate
from cartwheel.envs.tasks import HALFCHEETAH, PENDULUM, Task

TASKS: Mapping[str, Task] = {"classic": PENDULUM, "MuJoCo": HALFCHEETAH}
NUM_STEPS = 2000
"""In one run: tenths of a second or more."""
WAYS: Sequence[Isolate] = ("none", "all")


@contextlib.contextmanager
def steps(task: Task, isolate: Isolate, num_steps: int) -> Iterator[Callable[[], float]]:
    """What takes so many steps whenever it is called, and returns the sum of their rewards."""
    env = EnvMaker(isolate)(task)
    size = (num_steps, task.action_size)
    actions = np.random.default_rng(0).uniform(task.action_low, task.action_high, size).astype(np.float32)

    def run() -> float:
        env.reset(seed=0)
        total = 0.0
        for index, action in enumerate(actions):
            if env.is_over:
                env.reset(seed=index)
            total += env.step(action)[1]
        return total

    try:
        yield run
    finally:
        env.close()


def measured(kind: str, num_steps: int, repeats: int) -> dict[str, Any]:
    """A row: of a step isolated over one inside, and in microseconds."""
    task = TASKS[kind]
    with contextlib.ExitStack() as stack:
        seconds = in_turns({way: stack.enter_context(steps(task, way, num_steps)) for way in WAYS}, repeats)
    inside, isolated = (seconds[way] for way in WAYS)
    ratio, lowest, highest = ratios(isolated, inside)
    inside_us, isolated_us = (1e6 * float(np.median(each)) / num_steps for each in (inside, isolated))
    return {
        "environment": f"{kind}: {task.id}",
        "ratio": ratio,
        "lowest": lowest,
        "highest": highest,
        "inside, us": inside_us,
        "isolated, us": isolated_us,
        "added, us": isolated_us - inside_us,
    }


def main() -> None:
    given = arguments(__doc__, repeats=7)
    sizes = {task.id: f"O = {task.obs_size}, A = {task.action_size}" for task in TASKS.values()}
    tell([measured(kind, NUM_STEPS, given.repeats) for kind in TASKS], given, {"steps in a run": NUM_STEPS, **sizes})


if __name__ == "__main__":
    main()
