"""Whole studies of a tuner on synthetic learning curves, as tables: no files, no agents, milliseconds."""

from collections.abc import Mapping
from typing import Any

from cartwheel.analysis.tables import StudyTables
from cartwheel.spaces.named import SMALL
from cartwheel.spaces.space import Space
from cartwheel.tuners.registry import TUNERS, make_tuner
from synthetic import Loop, SyntheticAgent, issued, reports


def tuned(
    tuner: Mapping[str, Any], num_episodes: int, seed: int = 0, space: Space = SMALL, noise: float = 1.0
) -> StudyTables:
    """The tables of a finished study."""
    settings = {key: value for key, value in tuner.items() if key != "name"}
    made = make_tuner(tuner["name"], settings, space, seed, num_episodes)
    loop = Loop(made, SyntheticAgent(space, seed, noise)).run()
    ended = reports(loop.log)
    return StudyTables(
        meta={"name": "made", "env_id": "curve", "tuner": tuner["name"], "seed": seed},
        settings={"tuner": dict(tuner), "num_episodes": num_episodes},
        environment={},
        space=space,
        segments=issued(loop.log),
        episodes={segment: report.episodes for segment, report in ended.items()},
        reports=ended,
        ranks_longest_first=TUNERS[tuner["name"]].stops_early,
    )
