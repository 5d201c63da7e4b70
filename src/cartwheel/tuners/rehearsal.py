"""How many episodes a study will take, before it is run.

Where every trial is trained to its end, that is a product. A tuner that stops trials early is led through the study
instead, as if every episode returned the same and nothing failed: a tuner is pure, so that costs milliseconds.
"""

from collections.abc import Mapping
from typing import Any

from cartwheel.records import CheckpointId, Episode, Issued, Report, Reported, Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import NUM_SHAPES, TUNERS, make_tuner, replicates_settings, tuner_settings

NUM_ASKED = 64


def expected_episodes(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> int:
    """Episodes of all trials if nothing fails, random ones included. Raises ValueError as ``make_tuner``."""
    if name in TUNERS and TUNERS[name].stops_early:
        return rehearsed(make_tuner(name, {**settings, **TUNERS[name].rehearsed_with}, space, 0, num_episodes))
    chosen, together = tuner_settings(name, settings), replicates_settings(name, settings)
    num_trials = getattr(chosen, "population", None) or chosen.num_trials
    return int(num_trials * together.replicates * settings.get(NUM_SHAPES, 1) * (num_episodes + 1))


def rehearsed(tuner: Tuner) -> int:
    """The episodes of all that a fresh tuner asks for when every episode returns 0."""
    total = 0
    while asked := tuner.ask(NUM_ASKED):
        for segment in asked:
            tuner.tell(Issued(segment))
            tuner.tell(Reported(_uneventful(segment)))
            total += segment.num_episodes
    return total


def _uneventful(segment: Segment) -> Report:
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(index, 0.0, 1, is_random=index == 0) for index in indices)
    return Report(segment.id, "done", episodes, CheckpointId(""))
