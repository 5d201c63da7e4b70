"""How many episodes a study will take, and how much of them is kept, before it is run.

Where every trial is trained to its end, that is a product. A tuner that stops trials early is led through the study
instead, as if every episode returned its number and nothing failed: a tuner is pure, so that costs milliseconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from cartwheel.records import CheckpointId, Episode, Issued, Report, Reported, Segment, SegmentId
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import NUM_SHAPES, TUNERS, make_tuner, replicates_settings, tuner_settings

NUM_ASKED = 64


def expected_episodes(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> int:
    """Episodes of all trials if nothing fails, random ones included. Raises ValueError as ``make_tuner``."""
    if name in TUNERS and TUNERS[name].stops_early:
        return sum(segment.num_episodes for segment in _rehearsed(name, settings, space, num_episodes))
    chosen, together = tuner_settings(name, settings), replicates_settings(name, settings)
    num_trials = getattr(chosen, "population", None) or chosen.num_trials
    return int(num_trials * together.replicates * settings.get(NUM_SHAPES, 1) * (num_episodes + 1))


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a study is kept. ``num_listed``: all checkpoints together list so many episodes, one ``max_listed``
    at most; ``num_episodes`` are in the replay of some checkpoint, and there once."""

    num_checkpoints: int = 0
    num_listed: int = 0
    max_listed: int = 0
    num_episodes: int = 0

    def or_more(self, other: "Amount") -> "Amount":
        """The larger of both, in each respect."""
        return Amount(*map(max, astuple(self), astuple(other)))


def expected_amount(
    name: str, settings: Mapping[str, Any], space: Space, num_episodes: int, num_best: int | None
) -> Amount:
    """The most that is kept at a time if nothing fails. Raises ValueError as ``make_tuner``.

    ``num_best``: as for ``Tuner.needed``, where only what is needed is kept; None where all is.
    """
    return amount_of(quick_tuner(name, settings, space, num_episodes), num_best)


def amount_of(tuner: Tuner, num_best: int | None) -> Amount:
    """The same, of a fresh tuner, which is led to its end. What tuners that return to an archive keep is a guess."""
    segments, most = dict[SegmentId, Segment](), Amount()
    for segment in _led(tuner):
        segments[segment.id] = segment
        if num_best is not None:
            kept = tuner.needed(num_best) | {segment.id}
            most = most.or_more(_amount(segments, kept))
    return _amount(segments, segments) if num_best is None else most


def _amount(segments: Mapping[SegmentId, Segment], kept: Iterable[SegmentId]) -> Amount:
    listed = [segments[id_].stop + 1 for id_ in kept]
    in_replay = {own.id: own.num_episodes for id_ in kept for own in _replay(segments, segments[id_])}
    return Amount(len(listed), sum(listed), max(listed, default=0), sum(in_replay.values()))


def _replay(segments: Mapping[SegmentId, Segment], newest: Segment) -> Iterator[Segment]:
    """The segments whose episodes are in an agent's replay."""
    own: Segment | None = newest
    while own is not None:
        yield own
        own = None if own.sources is None else segments[own.sources.replay]


def _rehearsed(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int) -> Iterator[Segment]:
    """All that a fresh tuner asks for when nothing fails."""
    return _led(quick_tuner(name, settings, space, num_episodes))


def quick_tuner(name: str, settings: Mapping[str, Any], space: Space, num_episodes: int, seed: int = 0) -> Tuner:
    """A fresh tuner that spends no time on choosing well. Raises ValueError as ``make_tuner``."""
    return make_tuner(name, {**settings, **_shortcuts(name, settings)}, space, seed, num_episodes)


def _led(tuner: Tuner) -> Iterator[Segment]:
    """All that a tuner asks for, each as soon as it has ended."""
    while asked := tuner.ask(NUM_ASKED):
        for segment in asked:
            tuner.tell(Issued(segment))
            tuner.tell(Reported(uneventful(segment)))
            yield segment


def _shortcuts(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with which configs are chosen quickly: here they do not matter."""
    if name not in TUNERS:
        return {}
    chosen = tuner_settings(name, settings)
    is_modelled = hasattr(chosen, "num_startup_trials")
    return {"num_startup_trials": chosen.num_trials} if is_modelled else TUNERS[name].rehearsed_with


def uneventful(segment: Segment) -> Report:
    """The end of a segment in which nothing failed, and every episode returned its number."""
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(index, float(index), 1, is_random=index == 0) for index in indices)
    return Report(segment.id, "done", episodes, CheckpointId(""))
