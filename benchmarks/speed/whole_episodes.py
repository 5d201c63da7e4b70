"""What whole episodes save: one of every lane, played step by step and as one program, fits left out.

    python -m benchmarks.speed.whole_episodes [--repeats 9] [--json]

The agents are the default ones of `Pendulum-v1`, untrained, with 200 planned steps to an episode.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.speed.timing import arguments, in_turns, ratios, tell
from cartwheel.engines.engine import Engine, EpisodeJob, MakeEnv
from cartwheel.envs.formula import formula_or_env
from cartwheel.envs.pool import make_env
from cartwheel.spec import StudySpec
from cartwheel.study_agents import agent_setup

LANES = (1, 8)
WAYS: dict[str, MakeEnv] = {"stepped": make_env, "whole": partial(formula_or_env, make_env)}


def player(way: str, num_lanes: int, env_id: str = "Pendulum-v1", **agent: Any) -> Callable[[], list[float]]:
    """What plays an episode of every lane, the same whenever it is called, and returns what they return."""
    setup = agent_setup(StudySpec(env_id=env_id, num_episodes=1, agent=agent), [])
    engine = Engine(setup.task, setup.shape, num_lanes, make=WAYS[way])
    for lane in range(num_lanes):
        engine.load(lane, engine.fresh(("agent", lane)))
    jobs = {lane: EpisodeJob(setup.base, ("episode", lane), 1, learns=False) for lane in range(num_lanes)}
    return lambda: [result.episode.return_ for result in engine.run_episode(jobs).values()]


def measured(num_lanes: int, repeats: int) -> dict[str, Any]:
    """A row: how many times faster whole episodes are, and the seconds of both."""
    seconds = in_turns({way: player(way, num_lanes) for way in WAYS}, repeats)
    ratio, lowest, highest = ratios(seconds["stepped"], seconds["whole"])
    medians = {f"{way}, s": sorted(each)[len(each) // 2] for way, each in seconds.items()}
    return {"lanes": num_lanes, "times faster": ratio, "lowest": lowest, "highest": highest, **medians}


def main() -> None:
    given = arguments(__doc__, repeats=9)
    tell([measured(num_lanes, given.repeats) for num_lanes in LANES], given, {"task": "Pendulum-v1", "steps": 200})


if __name__ == "__main__":
    main()
