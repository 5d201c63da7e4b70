"""The loop of a study: ask the tuner, issue, run, record, tell.

The study commits and tells ``issued`` before a segment runs, commits every finished episode with the checkpoint
after it, and commits a report before the tuner hears of it. So the log always holds at least what anybody acted
upon, and resuming is telling a fresh tuner the same events again; segments that were issued and have not reported go
on from their newest checkpoint, under the same id and the same seeds. What ends badly is tried again in the same way,
as often as the policy allows for its kind; then its failure is on record. Checkpoints that nobody needs any more go
with the commit that issues what comes next.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from cartwheel.errors import CorruptCheckpoint
from cartwheel.executors.work import EpisodeDone, Executor, ItemDone, Outcome, StartFrom, Work, name_of
from cartwheel.mending import Item, Mending
from cartwheel.observer import Observer
from cartwheel.records import CheckpointId, Evaluation, FailureKind, Issued, Report, Reported, Retry, Segment, SegmentId
from cartwheel.retention import Retention
from cartwheel.retrying import Retries
from cartwheel.spec import Keep
from cartwheel.store.reading import KeptCheckpoint, KeptEvaluation, SessionTimes
from cartwheel.store.run_folder import RunFolder
from cartwheel.store.writing import StudyWriter
from cartwheel.tuners.base import Tuner

POLL_S = 0.25
"""An executor with nothing to say is asked again after this long, so that a stop is noticed."""

Names = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the loop runs for: under which names randomness is addressed, and who is evaluated at the end.

    The families of names are disjoint, so tuning, validation and tests never share a random number.
    """

    segment_seed: Callable[[Segment], Names]
    evaluation_seed: Callable[[Evaluation], Names]
    evaluations: Callable[[Sequence[SegmentId]], list[Evaluation]]
    """From the tuner's final ranking."""
    num_best: int
    """So many of it are chosen from, evaluated or not."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``retries``: how often what ends badly is tried again, by kind of failure. ``keep``: see ``retention``."""

    retries: Mapping[FailureKind, int] = field(default_factory=dict)
    keep: Keep = "all"


class TimedExecutor(Executor, Protocol):
    """An executor that says what compiling took: that is not the study's own time, nor its agents'."""

    @property
    def device_compile_s(self) -> Sequence[float]:
        """Of every device: of all that work side by side."""


class StudyLoop:
    """Runs one study in a run folder that this process owns."""

    def __init__(
        self,
        folder: RunFolder,
        tuner: Tuner,
        executor: TimedExecutor,
        purpose: Purpose,
        observers: Sequence[Observer] = (),
        policy: Policy = Policy(),
    ) -> None:
        self._folder, self._tuner, self._executor, self._purpose = folder, tuner, executor, purpose
        self._observers = observers
        self._retries = Retries(policy.retries, folder.read.retries())
        self._mending = Mending(folder, self._say)
        self._retention = Retention(folder, tuner, policy.keep, purpose.num_best)
        self._open: set[SegmentId | Evaluation] = set()
        self._session = folder.begin_session()
        self._started, self._commit_s_before = time.perf_counter(), folder.commit_s
        self._own_s = 0.0

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Run until all is done, or until ``should_stop`` says so; then the study can be resumed.

        Which of the two, the meta data say: ``is_done``.
        """
        with self._own_time():
            self._resume()
        is_done = self._tune(should_stop) and self._evaluate(should_stop)
        with self._folder.commit() as writer:
            writer.set_meta("is_done", is_done)
            self._set_times(writer)

    def _tune(self, should_stop: Callable[[], bool]) -> bool:
        while not self._tuner.is_done:
            if should_stop():
                return False
            self._issue()
            self._collect()
        return True

    def _evaluate(self, should_stop: Callable[[], bool]) -> bool:
        with self._own_time():
            self._begin_evaluations()
        while self._open:
            if should_stop():
                return False
            self._collect()
        return True

    def _resume(self) -> None:
        events = self._folder.read.events()
        for event in events:
            self._tuner.tell(event)
        for observer in self._observers:
            observer.on_begin(events)
        self._mending.drop_incomplete()
        for segment in self._folder.read.open_segments():
            for episode in self._folder.read.episodes(segment.id):
                for observer in self._observers:
                    observer.on_episode(segment, episode)
            self._go_on(segment)
        for segment in self._mending.again(self._retention.missed(self._mending.lost())):
            self._go_on(segment)

    def _go_on(self, segment: Segment) -> None:
        """Run an issued segment on from its newest good checkpoint; end it if there is nothing left to run."""
        kept = self._newest_good(segment)
        if kept is not None and kept.episode == segment.stop:
            self._close(segment)
        else:
            self._start(segment)

    def _start(self, item: Item) -> None:
        """Hand an item to the executor; if a checkpoint that it starts from is lost, first what makes that again."""
        self._open.add(name_of(item))
        first = self._mending.needed_first(item)
        if first is None:
            self._executor.submit(self._work(item))
        for segment in first or ():
            self._go_on(segment)

    def _newest_good(self, segment: Segment) -> KeptCheckpoint | None:
        """The rolling checkpoint, None if there is none. A damaged one is dropped with the episodes that led to it."""
        kept = self._folder.read.checkpoint(segment.id)
        try:
            for file in self._folder.read.files_of(segment.id):
                self._folder.checkpoints.verify(file.digest)
        except CorruptCheckpoint as error:
            is_again = self._mending.is_again(segment)
            with self._folder.commit() as writer:
                (writer.drop_checkpoint if is_again else writer.forget_progress)(segment.id)
            self._say(f"segment {segment.id} runs again from its first episode: {error}")
            return None
        return kept

    def _issue(self) -> None:
        with self._own_time():
            segments = self._tuner.ask(self._executor.num_free)
            superfluous = self._superfluous()
            if segments or superfluous:
                with self._folder.commit() as writer:
                    for segment in segments:
                        writer.add_issued(segment)
                    _drop(superfluous, writer)
        for segment in segments:
            with self._own_time():
                self._tuner.tell(Issued(segment))
            for observer in self._observers:
                observer.on_issued(segment)
            self._start(segment)
        if not self._open:
            raise RuntimeError("the tuner is not done, asks for nothing and waits for nothing")

    def _collect(self) -> None:
        outcomes = self._executor.next_outcomes(POLL_S)
        if outcomes:
            with self._own_time():
                sound, mended = self._mending.mended(outcomes)
                standing, again = self._retries.split(sound)
            self._take(standing, again)
            for item in mended:
                self._start(item)
            for retry in again:
                self._try_again(retry)

    def _take(self, outcomes: Sequence[Outcome], again: Sequence[Retry] = ()) -> None:
        """Commit outcomes and tell who listens; begin what waited for them."""
        told = [outcome for outcome in outcomes if not self._mending.is_again(outcome.item)]
        with self._own_time():
            reports = self._record(outcomes, again)
        self._announce(told, reports)
        for item in self._mending.ready():
            if reason := self._mending.hopeless(item):
                self._take([ItemDone(item, "failed", reason, 0.0, kind="corrupt_checkpoint")])
            else:
                self._start(item)

    def _try_again(self, retry: Retry) -> None:
        """Once more what ended badly, from where it is safe."""
        self._say(self._retries.describe(retry))
        if retry.evaluation is None:
            self._go_on(self._folder.read.segment(retry.segment))
        else:
            kept = self._folder.read.evaluations()
            self._go_on_playing(next(one for one in kept if one.evaluation == retry.evaluation))

    def _record(self, outcomes: Sequence[Outcome], again: Sequence[Retry] = ()) -> list[Report]:
        """Commit all of these outcomes together, then tell the tuner."""
        reports = []
        with self._folder.commit() as writer:
            for outcome in outcomes:
                match outcome:
                    case _ if self._mending.is_again(outcome.item):
                        self._mending.record(writer, outcome)
                    case EpisodeDone():
                        self._add_episode(writer, outcome)
                    case ItemDone(item=Evaluation() as evaluation):
                        ended = (outcome.status, outcome.wall_s, outcome.reason, outcome.broken, outcome.kind)
                        writer.end_evaluation(evaluation, *ended)
                    case ItemDone(item=Segment() as segment):
                        reports.append(report := self._report(segment, outcome))
                        writer.add_report(report)
            for retry in again:
                writer.add_retry(retry)
            self._set_times(writer)
        over = {name_of(outcome.item) for outcome in outcomes if isinstance(outcome, ItemDone)}
        self._open -= over
        if over:
            self._retention.note()
        for report in reports:
            self._tuner.tell(Reported(report))
        return reports

    def _add_episode(self, writer: StudyWriter, done: EpisodeDone) -> None:
        if isinstance(done.item, Evaluation):
            writer.add_evaluation_episode(done.item, done.episode)
        elif done.checkpoint is None:
            raise ValueError(f"episode {done.episode.index} of segment {done.item.id} came without a checkpoint")
        else:
            writer.add_episode(done.item.id, done.episode, done.checkpoint, done.files)

    def _report(self, segment: Segment, done: ItemDone) -> Report:
        """The report of a segment, from what is committed. One that is done must have run to its end."""
        episodes = self._folder.read.episodes(segment.id)
        kept = self._folder.read.checkpoint(segment.id)
        if done.status != "done":
            ended = (done.wall_s, done.reason, done.broken, done.kind)
            return Report(segment.id, done.status, episodes, None, *ended)
        if kept is None or kept.episode != segment.stop or len(episodes) != segment.num_episodes:
            raise ValueError(f"segment {segment.id} is done after {len(episodes)} of {segment.num_episodes} episodes")
        return Report(segment.id, "done", episodes, kept.digest, done.wall_s, done.reason)

    def _begin_evaluations(self) -> None:
        wanted = self._purpose.evaluations(self._tuner.ranking())
        with self._folder.commit() as writer:
            for evaluation in wanted:
                writer.add_evaluation(evaluation)
            _drop(self._superfluous(), writer)
        for kept in self._folder.read.evaluations():
            if kept.status is None:
                self._go_on_playing(kept)

    def _go_on_playing(self, kept: KeptEvaluation) -> None:
        """Play an evaluation on behind its last committed episode; end it if there is nothing left to play."""
        if len(kept.episodes) == kept.evaluation.num_episodes:
            self._close(kept.evaluation)
        else:
            self._start(kept.evaluation)

    def _close(self, item: Segment | Evaluation) -> None:
        """End an item whose last episode was committed before the process died."""
        self._take([ItemDone(item, "done", "", 0.0)])

    def _superfluous(self) -> list[SegmentId]:
        return self._retention.superfluous(self._mending.items)

    def _say(self, message: str) -> None:
        for observer in self._observers:
            observer.on_message(message)

    def _work(self, item: Item) -> Work:
        return self._evaluation_work(item) if isinstance(item, Evaluation) else self._segment_work(item)

    def _segment_work(self, segment: Segment) -> Work:
        kept = self._folder.read.checkpoint(segment.id)
        seed = self._purpose.segment_seed(segment)
        if kept is not None:
            start = StartFrom(kept.digest, kept.digest, kept.digest, kept.digest)
            return Work(segment, segment.config, seed, start, kept.episode + 1)
        sources = dataclasses.astuple(segment.sources) if segment.sources is not None else None
        start_from = None if sources is None else StartFrom(*map(self._checkpoint_at_end, sources))
        return Work(segment, segment.config, seed, start_from, segment.first_episode)

    def _evaluation_work(self, evaluation: Evaluation) -> Work:
        num_played = self._folder.read.num_played(evaluation)
        digest = self._checkpoint_at_end(evaluation.segment)
        config = self._folder.read.segment(evaluation.segment).config
        seed = self._purpose.evaluation_seed(evaluation)
        return Work(evaluation, config, seed, StartFrom(digest, digest, digest, digest), num_played)

    def _checkpoint_at_end(self, segment: SegmentId) -> CheckpointId:
        kept = self._folder.read.checkpoint(segment)
        if kept is None or not kept.is_final:
            raise ValueError(f"segment {segment} has no final checkpoint")
        return kept.digest

    def _announce(self, outcomes: Sequence[Outcome], reports: Sequence[Report]) -> None:
        evaluations = self._ended_evaluations(outcomes)
        for observer in self._observers:
            for outcome in outcomes:
                if isinstance(outcome, EpisodeDone):
                    observer.on_episode(outcome.item, outcome.episode)
            for report in reports:
                observer.on_report(report)
            for kept in evaluations:
                observer.on_evaluation(kept)

    def _ended_evaluations(self, outcomes: Sequence[Outcome]) -> list[KeptEvaluation]:
        ended = {done.item for done in outcomes if isinstance(done, ItemDone) and isinstance(done.item, Evaluation)}
        return [kept for kept in self._folder.read.evaluations() if kept.evaluation in ended] if ended else []

    def _set_times(self, writer: StudyWriter) -> None:
        compile_s = self._executor.device_compile_s
        times = SessionTimes(
            wall_s=time.perf_counter() - self._started,
            loop_s=self._own_s,
            compile_s=max(compile_s),
            commit_s=self._folder.commit_s - self._commit_s_before,
            num_devices=len(compile_s),
            device_compile_s=sum(compile_s),
        )
        writer.set_times(self._session, times)

    @contextmanager
    def _own_time(self) -> Iterator[None]:
        """Count what happens inside as the loop's own time: asking, telling and storing."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._own_s += time.perf_counter() - started


def _drop(segments: Sequence[SegmentId], writer: StudyWriter) -> None:
    for segment in segments:
        writer.drop_checkpoint(segment)
