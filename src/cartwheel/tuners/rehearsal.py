"""How many episodes a study will take, and how much of them is kept, before it is run.

Where every trial is trained to its end, that is a product. A tuner that stops trials early is led through the study
instead, as if every episode returned its number and nothing failed: a tuner is pure, so that costs milliseconds.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np

from cartwheel.records import CheckpointId, Config, Episode, Issued, Report, Reported, Segment, SegmentId
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import NUM_SHAPES, TUNERS, make_tuner, replicates_settings, tuner_settings

NUM_ASKED = 64
NUM_REHEARSALS = 5
"""Courses with returns of their own, over which is averaged where returns decide."""


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


@dataclass(frozen=True, slots=True)
class Remains:
    """What a finished study has kept: a checkpoint of an agent under each of ``configs``.

    These list ``num_listed`` episodes; ``num_random`` and ``num_planned`` are in the replay of some, and there once.
    """

    configs: tuple[Config, ...]
    num_listed: int
    num_random: int
    num_planned: int


def expected_amount(
    name: str, settings: Mapping[str, Any], space: Space, num_episodes: int, num_best: int | None
) -> Amount:
    """The most that is kept at a time if nothing fails. Raises ValueError as ``make_tuner``.

    ``num_best``: as for ``Tuner.needed``, where only what is needed is kept; None where all is.
    """
    asked = (name, settings, space, num_episodes)
    most = amount_of(quick_tuner(*asked), num_best)
    if name in TUNERS and not TUNERS[name].is_synchronous:
        most = most.or_more(amount_of(quick_tuner(*asked), num_best, _latest_is_best, num_asked=1))
    return most


End: TypeAlias = Callable[[Segment], Report]
"""How a segment ends."""


def amount_of(tuner: Tuner, num_best: int | None, end: End | None = None, num_asked: int = NUM_ASKED) -> Amount:
    """The same, of a fresh tuner, which is led to its end. What tuners that return to an archive keep is a guess."""
    segments, most = dict[SegmentId, Segment](), Amount()
    for segment in _led(tuner, end, num_asked):
        segments[segment.id] = segment
        if num_best is not None:
            kept = tuner.needed(num_best) | {segment.id}
            most = most.or_more(_amount(segments, kept))
    return _amount(segments, segments) if num_best is None else most


def likely_remains(
    name: str, settings: Mapping[str, Any], space: Space, num_episodes: int, num_best: int | None, seed: int
) -> list[Remains]:
    """What is left of a study of that seed in some courses without failures; arguments as for ``expected_amount``.

    Who copies whom decides how much of their past the best agents share, so returns differ here: they are random walks
    along the lineages. Raises ValueError as ``make_tuner``.
    """
    walks = map(_RandomWalks, range(NUM_REHEARSALS))
    return [_remains(quick_tuner(name, settings, space, num_episodes, seed), num_best, walk) for walk in walks]


def _remains(tuner: Tuner, num_best: int | None, end: "_RandomWalks") -> Remains:
    segments = {segment.id: segment for segment in _led(tuner, end)}
    kept = list(segments) if num_best is None else sorted(tuner.needed(num_best))
    replay = {own.id: own for id_ in kept for own in _replay(segments, segments[id_])}.values()
    num_random = sum(segment.first_episode == 0 for segment in replay)
    return Remains(
        configs=tuple(segments[id_].config for id_ in kept),
        num_listed=sum(segments[id_].stop + 1 for id_ in kept),
        num_random=num_random,
        num_planned=sum(segment.num_episodes for segment in replay) - num_random,
    )


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


def _led(tuner: Tuner, end: End | None = None, num_asked: int = NUM_ASKED) -> Iterator[Segment]:
    """All that a tuner asks for, each as soon as it has ended, uneventfully unless ``end`` says how."""
    while asked := tuner.ask(num_asked):
        for segment in asked:
            tuner.tell(Issued(segment))
            tuner.tell(Reported((end or uneventful)(segment)))
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


def _latest_is_best(segment: Segment) -> Report:
    """An end at which who began last leads: so who promotes without waiting for the others promotes the most."""
    return _with_returns(uneventful(segment), [segment.trial] * segment.num_episodes)


def _with_returns(report: Report, returns: Sequence[float]) -> Report:
    pairs = zip(report.episodes, returns, strict=True)
    episodes = tuple(dataclasses.replace(episode, return_=float(return_)) for episode, return_ in pairs)
    return dataclasses.replace(report, episodes=episodes)


class _RandomWalks:
    """Ends segments in which nothing failed, and every return differs from the one before it by a normal draw."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._last: dict[SegmentId, float] = {}

    def __call__(self, segment: Segment) -> Report:
        steps = numpy_rng(self._seed, "rehearsal", segment.id).standard_normal(segment.num_episodes)
        begun_at = 0.0 if segment.sources is None else self._last[segment.sources.weights]
        returns = list(begun_at + np.cumsum(steps))
        self._last[segment.id] = returns[-1]
        return _with_returns(uneventful(segment), returns)
