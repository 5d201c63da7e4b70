"""How many episodes and segments a study will take, before it is run.

Where every trial is trained to its end, that is a product. A tuner that stops trials early is led through the study
instead, as if every episode returned its number and nothing failed: a tuner is pure, so that costs milliseconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cartwheel.records import CheckpointId, Episode, Issued, Report, Reported, Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.registry import NUM_SHAPES, TUNERS, make_tuner, replicates_settings, tuner_settings

NUM_ASKED = 64


def expected_episodes(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> int:
    """Episodes of all trials if nothing fails, random ones included. Raises ValueError as ``make_tuner``."""
    if name in TUNERS and TUNERS[name].stops_early:
        return sum(segment.num_episodes for segment in _rehearsed(name, settings, space, num_episodes))
    chosen, together = tuner_settings(name, settings), replicates_settings(name, settings)
    num_trials = getattr(chosen, "population", None) or chosen.num_trials
    return int(num_trials * together.replicates * settings.get(NUM_SHAPES, 1) * (num_episodes + 1))


def expected_segments(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> int:
    """Segments of all trials if nothing fails. Raises ValueError as ``make_tuner``."""
    return sum(1 for _ in _rehearsed(name, settings, space, num_episodes))


def _rehearsed(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> Iterator[Segment]:
    """All that a fresh tuner asks for when nothing fails."""
    tuner = make_tuner(name, {**settings, **_shortcuts(name, settings)}, space, 0, num_episodes)
    while asked := tuner.ask(NUM_ASKED):
        for segment in asked:
            tuner.tell(Issued(segment))
            tuner.tell(Reported(_uneventful(segment)))
            yield segment


def _shortcuts(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with which configs are chosen quickly: here they do not matter."""
    if name not in TUNERS:
        return {}
    chosen = tuner_settings(name, settings)
    is_modelled = hasattr(chosen, "num_startup_trials")
    return {"num_startup_trials": chosen.num_trials} if is_modelled else TUNERS[name].rehearsed_with


def _uneventful(segment: Segment) -> Report:
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(index, float(index), 1, is_random=index == 0) for index in indices)
    return Report(segment.id, "done", episodes, CheckpointId(""))
