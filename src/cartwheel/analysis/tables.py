"""A study as plain records, and the questions that every figure and sentence asks of them.

``StudyTables`` holds what happened: segments, their episodes and reports, evaluations, reruns, time. The functions
below are pure. Episodes are counted along a lineage (0 is the random one), so an agent that was copied carries the
episodes of the trial it came from.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cartwheel.analysis.timing import NOT_TIMED, Timing
from cartwheel.exploits import OnExploit, counted_return, is_implausible, num_turns
from cartwheel.records import (
    SCORE_WINDOW_EPISODES,
    Config,
    Episode,
    Report,
    Retry,
    Segment,
    SegmentId,
    in_words,
    score,
    segment_id,
)
from cartwheel.schedules.schedule import Schedule, lineage
from cartwheel.spaces.space import Space
from cartwheel.tuners.registry import noun_of_trial
from cartwheel.tuners.replicates import NO_REPLICATES, ReplicatesSettings


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Returns of evaluation episodes (no learning) with the checkpoint at the end of ``segment``.

    ``returns`` are those that count (see ``exploits.py``), ``episodes`` what was played.
    """

    segment: SegmentId
    seed: int
    returns: tuple[float, ...]
    env_steps: int = 0
    episodes: tuple[Episode, ...] = ()
    failure: str | None = None
    """Its kind in words, if it failed."""


@dataclass(frozen=True)
class StudyTables:
    """Everything an analysis may read of one study.

    ``segments`` are in the order in which they were issued; ``episodes`` holds every committed episode, also those
    of a segment that failed later or still runs. ``meta`` is what names the study: name, env id, tuner, seed.
    ``ranks_longest_first``, ``replicates``: see ``ranking``.
    """

    meta: Mapping[str, Any]
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    space: Space
    segments: Mapping[SegmentId, Segment]
    episodes: Mapping[SegmentId, tuple[Episode, ...]]
    reports: Mapping[SegmentId, Report]
    evaluations: tuple[EvaluationResult, ...] = ()
    retries: tuple[Retry, ...] = ()
    timing: Timing = NOT_TIMED
    ranks_longest_first: bool = False
    replicates: ReplicatesSettings = NO_REPLICATES

    @property
    def trials(self) -> list[int]:
        """The trials in order."""
        return sorted({segment.trial for segment in self.segments.values()})

    @property
    def on_exploit(self) -> OnExploit:
        """What counts of an episode whose physics broke."""
        return self.settings.get("on_exploit", "keep")  # type: ignore[no-any-return]  # a checked setting


@dataclass(frozen=True, slots=True)
class Curve:
    """Returns over consecutive episodes. ``episodes`` and ``returns`` are equally long."""

    trial: int
    episodes: tuple[int, ...]
    returns: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Episodes ``first``..``last`` of one trial ran under ``config``."""

    trial: int
    first: int
    last: int
    config: Config


@dataclass(frozen=True, slots=True)
class Copy:
    """A trial went on from another's checkpoint, or from an older one of its own ("backtrack").

    ``source_episode`` is the last episode of the copied agent, ``previous_episode`` the last one the trial had run.
    """

    kind: Literal["copy", "backtrack"]
    segment: SegmentId
    source: SegmentId
    from_trial: int
    to_trial: int
    source_episode: int
    previous_episode: int


@dataclass(frozen=True, slots=True)
class Counts:
    """A study in numbers. Env steps include random episodes, those of segments that failed, and broken episodes.

    Those of evaluations that were tried again are among the evaluations'.
    """

    num_trials: int
    num_segments_done: int
    num_diverged: int
    num_failed: int
    num_unfinished: int
    num_copies: int
    num_backtracks: int
    num_episodes: int
    num_random_episodes: int
    env_steps: int
    evaluation_env_steps: int


def trial_noun(tables: StudyTables) -> str:
    """What a reader calls a trial of this study."""
    return noun_of_trial(str(tables.meta.get("tuner", "")))


def learning_curve(tables: StudyTables, segment: SegmentId) -> Curve:
    """All episodes of the agent at the end of ``segment``, whoever ran them."""
    chain = lineage(tables.segments, segment)
    return _curve(chain[-1].trial, [episode for part in chain for episode in tables.episodes.get(part.id, ())])


def curves_of_trials(tables: StudyTables) -> list[Curve]:
    """What each trial ran, one curve per stretch without a copy: a copy ends one curve and begins another."""
    return [
        _curve(stretch[0].trial, episodes)
        for stretch in _stretches(tables)
        if (episodes := [episode for segment in stretch for episode in tables.episodes.get(segment.id, ())])
    ]


def spans(tables: StudyTables) -> list[Span]:
    """Which trial ran which episodes under which config. Segments without a finished episode are left out."""
    return [
        Span(segment.trial, ran[0].index, ran[-1].index, segment.config)
        for segment in tables.segments.values()
        if (ran := tables.episodes.get(segment.id, ()))
    ]


def schedule_of(tables: StudyTables, segment: SegmentId) -> Schedule:
    """The configs along the lineage of ``segment``."""
    return Schedule.from_lineage(lineage(tables.segments, segment))


def copies(tables: StudyTables) -> list[Copy]:
    """Who went on from whose checkpoint, in the order in which it happened."""
    return [copy for segment in tables.segments.values() if (copy := _copy(tables, segment)) is not None]


def segment_score(tables: StudyTables, segment: SegmentId) -> float:
    """The score read at the end of ``segment``, along its lineage; -inf unless it is done."""
    report = tables.reports.get(segment)
    if report is None or report.status != "done":
        return -math.inf
    return score([counted_return(episode, tables.on_exploit) for episode in scored_episodes(tables, segment)])


def scored_episodes(tables: StudyTables, segment: SegmentId) -> list[Episode]:
    """The episodes that the score at the end of ``segment`` is made of: the last of its lineage, none at random."""
    episodes = (episode for part in lineage(tables.segments, segment) for episode in tables.episodes.get(part.id, ()))
    return [episode for episode in episodes if not episode.is_random][-SCORE_WINDOW_EPISODES:]


def ranking(tables: StudyTables) -> list[SegmentId]:
    """The newest done segment of every trial that has one, best score first; ties: the older trial first.

    Where the tuner stops trials early, who trained for longer comes first, as in the tuner's own ranking. Replicates
    of a config rank by the score that they come to together, and among them the older one comes first.
    """
    newest, num = {segment.trial: segment for segment in _done(tables)}, tables.replicates.replicates

    def place(segment: Segment) -> tuple[float, ...]:
        group = range(segment.trial - segment.trial % num, segment.trial - segment.trial % num + num)
        last = max((newest[trial] for trial in group if trial in newest), key=lambda own: own.index)
        together = tables.replicates.together([segment_score(tables, segment_id(trial, last.index)) for trial in group])
        age = last.stop if tables.ranks_longest_first and together > -math.inf else 0
        return -age, -together, segment.trial

    return [segment.id for segment in sorted(newest.values(), key=place)]


def incumbent(tables: StudyTables) -> SegmentId | None:
    """Of the validated segments in the ranking, that of the best mean; without validation, the ranking's first.

    None when no segment is done. A mean that is not finite counts as the worst. The finalists always include the
    ranking's first, so where that one was not validated, validations are of an earlier, shorter study. A trial that
    was stopped early is no candidate, however well it played: its config is for a shorter training.
    """
    ranked, means = ranking(tables), validation_means(tables)
    if not ranked or ranked[0] not in means:
        return ranked[0] if ranked else None
    full = tables.segments[ranked[0]].stop
    candidates = [
        id_ for id_ in ranked if id_ in means and (tables.segments[id_].stop == full or not tables.ranks_longest_first)
    ]
    return max(candidates, key=lambda id_: means[id_])


def incumbent_score(tables: StudyTables) -> float:
    """The incumbent's score in training; -inf without an incumbent."""
    best = incumbent(tables)
    return -math.inf if best is None else segment_score(tables, best)


def validation_means(tables: StudyTables) -> dict[SegmentId, float]:
    """Mean validation return of every segment that was validated; -inf if any return is not finite."""
    returns: dict[SegmentId, list[float]] = {}
    for result in tables.evaluations:
        returns.setdefault(result.segment, []).extend(result.returns)
    return {
        segment: sum(values) / len(values) if all(map(math.isfinite, values)) else -math.inf
        for segment, values in returns.items()
        if values
    }


def counts(tables: StudyTables) -> Counts:
    """The study in numbers."""
    episodes = [episode for ran in tables.episodes.values() for episode in ran]
    statuses = [report.status for report in tables.reports.values()]
    kinds = [copy.kind for copy in copies(tables)]
    return Counts(
        num_trials=len(tables.trials),
        num_segments_done=statuses.count("done"),
        num_diverged=statuses.count("diverged"),
        num_failed=statuses.count("failed"),
        num_unfinished=len(tables.segments.keys() - tables.reports.keys()),
        num_copies=kinds.count("copy"),
        num_backtracks=kinds.count("backtrack"),
        num_episodes=len(episodes),
        num_random_episodes=sum(episode.is_random for episode in episodes),
        env_steps=sum(episode.env_steps for episode in (*episodes, *broken_episodes(tables))),
        evaluation_env_steps=sum(result.env_steps for result in tables.evaluations)
        + sum(episode.env_steps for episode in _broken_in_retries(tables, of_evaluations=True)),
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """An episode of a segment of which its physics are of interest; ``is_evaluation``: played, not trained in."""

    segment: SegmentId
    episode: Episode
    is_evaluation: bool = False


def implausible_episodes(tables: StudyTables) -> list[Watched]:
    """Those whose return rests on physics that broke, training before evaluations."""
    return [watched for watched in _watched(tables) if is_implausible(watched.episode)]


def turning_episodes(tables: StudyTables) -> list[Watched]:
    """Those in which the trunk turned over, most turns first."""
    turned = [watched for watched in _watched(tables) if num_turns(watched.episode)]
    return sorted(turned, key=lambda watched: -num_turns(watched.episode))


def _watched(tables: StudyTables) -> Iterator[Watched]:
    for segment, episodes in tables.episodes.items():
        yield from (Watched(segment, episode) for episode in episodes)
    yield from (Watched(r.segment, r.broken) for r in tables.reports.values() if r.broken is not None)
    for result in tables.evaluations:
        yield from (Watched(result.segment, episode, is_evaluation=True) for episode in result.episodes)


def broken_episodes(tables: StudyTables) -> list[Episode]:
    """Those in which segments failed or diverged, for good or to be tried again, as far as they came."""
    final = [report.broken for report in tables.reports.values() if report.broken is not None]
    return [*_broken_in_retries(tables, of_evaluations=False), *final]


def warnings(tables: StudyTables) -> Counter[str]:
    """What was noted about the environment, broken episodes included: how often, by kind."""
    counted: Counter[str] = Counter()
    for episodes in (*tables.episodes.values(), broken_episodes(tables)):
        for episode in episodes:
            counted.update(episode.warnings)
    return counted


def failures(tables: StudyTables) -> dict[tuple[str, str], list[SegmentId]]:
    """Segments that diverged or failed, by (kind in words, reason)."""
    found: dict[tuple[str, str], list[SegmentId]] = {}
    for report in tables.reports.values():
        if report.status != "done":
            found.setdefault((in_words(report.kind), report.reason), []).append(report.segment)
    return found


def num_failed_by_kind(tables: StudyTables) -> Counter[str]:
    """Segments and evaluations that ended badly for good, by kind in words."""
    segments = Counter(in_words(report.kind) for report in tables.reports.values() if report.status != "done")
    return segments + Counter(result.failure for result in tables.evaluations if result.failure is not None)


def num_retried_by_kind(tables: StudyTables) -> Counter[str]:
    """Attempts at segments and evaluations that ended badly and were made again, by kind in words."""
    return Counter(in_words(retry.kind) for retry in tables.retries)


def network_evaluations(tables: StudyTables, per_env_step: Callable[[Config], float]) -> float:
    """Network evaluations that planning cost the study in all. Random episodes plan nothing."""
    ran = [(segment, episode) for segment, episodes in tables.episodes.items() for episode in episodes]
    ran += [(report.segment, report.broken) for report in tables.reports.values() if report.broken is not None]
    ran += [(old.segment, old.broken) for old in tables.retries if old.broken is not None and old.evaluation is None]
    return sum(
        episode.env_steps * per_env_step(tables.segments[segment].config)
        for segment, episode in ran
        if not episode.is_random
    )


def _broken_in_retries(tables: StudyTables, *, of_evaluations: bool) -> list[Episode]:
    attempts = [retry for retry in tables.retries if (retry.evaluation is not None) == of_evaluations]
    return [attempt.broken for attempt in attempts if attempt.broken is not None]


def _curve(trial: int, episodes: Sequence[Episode]) -> Curve:
    return Curve(trial, tuple(e.index for e in episodes), tuple(e.return_ for e in episodes))


def _done(tables: StudyTables) -> Iterator[Segment]:
    """Segments that are done, in the order in which they were issued."""
    for segment in tables.segments.values():
        report = tables.reports.get(segment.id)
        if report is not None and report.status == "done":
            yield segment


def _stretches(tables: StudyTables) -> list[list[Segment]]:
    """Segments of each trial, cut where a segment does not continue the trial's previous one."""
    stretches: list[list[Segment]] = []
    for trial in tables.trials:
        own = [segment for segment in tables.segments.values() if segment.trial == trial]
        for previous, segment in zip([None, *own], own, strict=False):
            if previous is not None and segment.parent == previous.id:
                stretches[-1].append(segment)
            else:
                stretches.append([segment])
    return stretches


def _copy(tables: StudyTables, segment: Segment) -> Copy | None:
    if segment.parent is None:
        return None
    source = tables.segments[segment.parent]
    if source.trial == segment.trial and segment.origin != "backtrack":
        return None
    earlier = [s for s in tables.segments.values() if s.trial == segment.trial and s.index < segment.index]
    ran = [episodes[-1].index for s in earlier if (episodes := tables.episodes.get(s.id, ()))]
    return Copy(
        kind="backtrack" if segment.origin == "backtrack" else "copy",
        segment=segment.id,
        source=source.id,
        from_trial=source.trial,
        to_trial=segment.trial,
        source_episode=source.stop,
        previous_episode=ran[-1] if ran else 0,
    )
