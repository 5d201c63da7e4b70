"""Films of episodes: of any that an agent was trained in, or of one that it plays now, alone or side by side.

An episode of training is not planned again: its actions lie in the replay, and the simulator repeats it from its reset,
so the film shows the very episode whose return was recorded; one that was played whole (``engine.whole_episodes``) to
the rounding of float32, and the film says where that tells. An episode that is played anew uses the seeds of the
study's validation where the checkpoint was validated, so that its return, too, can be compared with the recorded one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cartwheel.analysis.tables import EvaluationResult, Watched, implausible_episodes, ranking
from cartwheel.analysis.wording import number, plural
from cartwheel.errors import UsageError
from cartwheel.exploits import first_implausible_step
from cartwheel.records import CheckpointId, Config, Episode, SegmentId
from cartwheel.report.films import VIDEOS_FOLDER, moment_name
from cartwheel.report.physics import MAX_ROWS
from cartwheel.report.video import Caption, Pixels, captioned, side_by_side, write_film
from cartwheel.results import Study
from cartwheel.seeds import seed_integer
from cartwheel.spec import StudySpec
from cartwheel.store.run_folder import RunFolder
from cartwheel.study import Names
from cartwheel.study_agents import agent_setup, env_maker, played_in
from cartwheel.tuning import corners, spec_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cartwheel.agents.pets.agent import PetsState
    from cartwheel.engines.engine import Engine
    from cartwheel.envs.rendering import Frame, Recipe

WIDTH_PX = 480
"""Of one picture; it is three quarters as high."""
BEFORE_STEPS, AFTER_STEPS = 80, 60
"""What a film of a moment shows around it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode: the ``episode``-th that the agent of ``trial`` was trained in, or (None) one that it plays now.

    Without a trial it is the study's best agent. ``seed`` names the episode where the checkpoint was not validated.
    """

    run_dir: Path
    trial: int | None = None
    episode: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Take:
    """An episode that can be filmed. ``recorded`` is what is on record of it, if anything is."""

    title: str
    recipe: "Recipe"
    recorded: Episode | None
    moment: str = ""
    """Under this name a report finds the film of its first implausible step; empty where nothing is on record."""

    @property
    def is_repeated(self) -> bool:
        """Whether the film is to show a return that is on record."""
        return self.recorded is not None and math.isfinite(self.recorded.return_)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a film shows of its takes: steps, from 1, up to the longest one's last (None) or to ``last_step``.

    ``is_moment``: only what is around the first implausible step of the first take.
    """

    first_step: int = 1
    last_step: int | None = None
    is_moment: bool = False
    width_px: int = WIDTH_PX

    def steps(self, takes: Sequence[Take]) -> range:
        """Raises UsageError if there are none, or none of one of the takes."""
        lengths = [len(one.recipe.actions) for one in takes]
        last_step = min(self.last_step or max(lengths), max(lengths))
        steps = _moment(takes[0]) if self.is_moment else range(self.first_step, last_step + 1)
        if not steps or steps[0] > min(lengths):
            cause = f"the film is to begin at step {self.first_step if not steps else steps[0]}"
            raise UsageError(cause, "--first-step, --last-step", f"choose some from 1 to {min(lengths)}")
        return steps

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels: even, as H.264 wants them."""
        return self.width_px // 2 * 2, self.width_px * 3 // 8 * 2


WHOLE = Cut()


@dataclass(frozen=True, slots=True)
class Film:
    """What was made. ``returns``: what each take came to; ``notes``: what does not agree with the record."""

    path: Path
    returns: tuple[float, ...]
    notes: tuple[str, ...]


def make_video(wanted: Sequence[Wanted], out: Path | None = None, cut: Cut = WHOLE, titles: Sequence[str] = ()) -> Film:
    """Film episodes side by side into ``out``, by default into ``videos/`` of the first one's run folder.

    ``titles`` stand above them, by default what they are. Raises UsageError, StorageError.
    """
    if titles and len(titles) != len(wanted):
        told = f"{plural(len(titles), 'title')} for {plural(len(wanted), 'episode')}"
        raise UsageError(told, "--title", "give one for each, or none")
    takes = [take(one) for one in wanted]
    takes = [replace(one, title=title) for one, title in zip(takes, titles, strict=True)] if titles else takes
    name = (takes[0].moment or f"{_name_of(wanted)}-moment") if cut.is_moment else _name_of(wanted)
    return film(takes, out or _film_path(wanted[0].run_dir, name), cut)


def make_moments(run_dir: Path) -> Iterator[Film | str]:
    """Film the moment of every implausible episode that the report lists; of those that cannot be filmed, why not.

    A film that is there is left as it is: an episode never changes. Raises StorageError.
    """
    study = Study(run_dir)
    for watched in implausible_episodes(study.tables)[:MAX_ROWS]:
        path = _film_path(run_dir, moment_name(watched.segment, watched.episode.index, watched.is_evaluation))
        if path.exists():
            continue
        try:
            yield film([take_watched(study, watched)], path, Cut(is_moment=True))
        except UsageError as error:
            yield f"{path.stem.replace('-', ' ')}: {error}"


def take(wanted: Wanted) -> Take:
    """Find an episode, or play it. Raises UsageError where there is none."""
    study = Study(wanted.run_dir)
    segment = study.best.segment if wanted.trial is None else _newest_done(study, wanted.trial)
    if wanted.episode is None:
        return _played(study, segment, wanted.seed)
    return _trained(study, segment, study.checkpoint(segment), wanted.episode)


def take_watched(study: Study, watched: Watched) -> Take:
    """Find an episode that a table lists. Raises UsageError if its actions are not kept."""
    segment, index = watched.segment, watched.episode.index
    if watched.is_evaluation:
        held = (result for result in study.tables.evaluations if result.segment == segment)
        return _evaluated(study, next(result for result in held if watched.episode in result.episodes), index)
    with RunFolder.to_read(study.run_dir) as folder:
        kept = folder.read.checkpoint(segment)
    if kept is None or watched.episode not in study.tables.episodes[segment]:
        report = study.tables.reports.get(segment)
        is_dropped = report is not None and report.status == "done"
        why = "checkpoints were dropped that nothing needs" if is_dropped else "the segment failed"
        raise UsageError(f"its actions are not kept: {why}", str(study.run_dir))
    return _trained(study, segment, kept.digest, index)


def film(takes: Sequence[Take], out: Path, cut: Cut = WHOLE) -> Film:
    """Draw, caption and encode. Raises UsageError if takes cannot be shown together."""
    from cartwheel.envs import rendering

    tasks = [one.recipe.task for one in takes]
    if len({task.env_id for task in tasks}) > 1:
        raise UsageError("episodes of different tasks are not shown side by side", "--beside", "film them apart")
    returns, steps = [math.nan] * len(takes), cut.steps(takes)

    def pictures(place: int, one: Take) -> Iterator[Pixels]:
        for frame in rendering.frames(one.recipe, cut.size, steps):
            returns[place] = frame.total
            yield captioned(frame.pixels, _caption(one.title, frame))

    reels = [pictures(place, one) for place, one in enumerate(takes)]
    path = write_film(out, side_by_side(reels), rendering.frames_per_s(tasks[0]))
    is_whole = steps[-1] >= max(len(one.recipe.actions) for one in takes)
    notes = list(_disagreements(takes, returns)) if is_whole else []
    return Film(path, tuple(returns), tuple(notes))


def _disagreements(takes: Sequence[Take], returns: Sequence[float]) -> Iterator[str]:
    for one, return_ in zip(takes, returns, strict=True):
        if one.recorded is not None and one.is_repeated and return_ != one.recorded.return_:
            told = f"the film's return is {return_!r}, on record is {one.recorded.return_!r}"
            yield f"{one.title}: {told}; another machine or version, or steps in place of a whole episode, differ"


def _caption(title: str, frame: "Frame") -> Caption:
    parts = [f"step {frame.step}", f"return {number(frame.total)}"]
    if frame.speed_m_s is not None:
        parts.append(f"{frame.speed_m_s:,.1f} m/s")
    if frame.num_turns is not None:
        parts.append(plural(frame.num_turns, "full turn"))
    noted = ", ".join(kind.removesuffix("_out_of_bounds") for kind in frame.kinds)
    return Caption((title, "   ".join(parts)), f"implausible: {noted}" if noted else "")


def _moment(one: Take) -> range:
    step = None if one.recorded is None else first_implausible_step(one.recorded)
    if step is None:
        raise UsageError("nothing implausible is on record of this episode", "--moment", "leave out --moment")
    return range(max(1, step - BEFORE_STEPS), min(len(one.recipe.actions), step + AFTER_STEPS) + 1)


def _name_of(wanted: Sequence[Wanted]) -> str:
    def name(one: Wanted) -> str:
        whose = "best" if one.trial is None else f"trial-{one.trial}"
        return whose + ("" if one.episode is None else f"-episode-{one.episode}")

    names = [name(one) if one.run_dir == wanted[0].run_dir else f"{one.run_dir.name}-{name(one)}" for one in wanted]
    return "-beside-".join(names)


def _film_path(run_dir: Path, name: str) -> Path:
    return run_dir / VIDEOS_FOLDER / f"{name}.mp4"


def _newest_done(study: Study, trial: int) -> SegmentId:
    for segment in ranking(study.tables):
        if study.tables.segments[segment].trial == trial:
            return segment
    raise UsageError(f"trial {trial} has no finished segment", str(study.run_dir), "choose another --trial")


def _trained(study: Study, segment: SegmentId, checkpoint: CheckpointId, episode: int) -> Take:
    """The actions of an episode of the lineage are in its replay, with the names of who ran it and as which."""
    from cartwheel.envs.rendering import Recipe

    with RunFolder.to_read(study.run_dir) as folder:
        spec = spec_of(folder)
        shards = folder.checkpoints.read(checkpoint)[1]["replay"]
        if not 0 <= episode < len(shards):
            step = f"choose one from 0 to {len(shards) - 1}"
            raise UsageError(f"segment {segment} has no episode {episode} behind it", "--episode", step)
        arrays, place = folder.checkpoints.read(shards[episode])
        ran = SegmentId(place["segment"])
        reset_seed = seed_integer(*_names(folder, spec, ran), episode, "reset")
    recorded = next(own for own in study.tables.episodes[ran] if own.index == episode)
    recipe = Recipe(agent_setup(spec, corners(spec)).task, reset_seed, arrays["action"])
    title = _title(study, segment, f"training episode {episode}")
    return Take(title, recipe, recorded, moment_name(ran, episode))


def _names(folder: RunFolder, spec: StudySpec, segment: SegmentId) -> Names:
    """Under which a segment's randomness was addressed: as ``tune`` and ``rerun_purpose`` do."""
    if folder.read.meta("kind") == "tune":
        return spec.seed, "tune", segment
    plan = folder.read.meta("plan")
    return plan["family"], plan["seeds"][folder.read.segment(segment).trial]


def _played(study: Study, segment: SegmentId, seed: int) -> Take:
    """Play an episode under the names of the segment's validation, if it was validated, or else of ``seed``."""
    validated = [result for result in study.tables.evaluations if result.segment == segment and result.episodes]
    if validated and "tuner" in study.tables.meta:
        return _evaluated(study, validated[0], 0)
    recipe, episode = _play(study, segment, ("evaluation", seed), 0)
    return Take(_title(study, segment, "played anew"), recipe, episode)


def _evaluated(study: Study, result: EvaluationResult, index: int) -> Take:
    """Play an episode of an evaluation again, under its names."""
    with RunFolder.to_read(study.run_dir) as folder:
        is_tuned = folder.read.meta("kind") == "tune"
        kind = "validation" if is_tuned else f"{folder.read.meta('plan')['family']}-evaluation"
    recipe, _ = _play(study, result.segment, (kind, result.seed), index)
    title = _title(study, result.segment, f"{'validation' if is_tuned else 'evaluation'} episode {index}")
    return Take(title, recipe, result.episodes[index], moment_name(result.segment, index, is_evaluation=True))


def _play(study: Study, segment: SegmentId, names: Names, index: int) -> tuple["Recipe", Episode]:
    """The ``index``-th episode of a segment's agent under some names."""
    from cartwheel.envs.rendering import Recipe

    with RunFolder.to_read(study.run_dir) as folder:
        spec = spec_of(folder)
    config = study.tables.segments[segment].config
    if spec.model == "simulator":
        episode, actions = _simulated(spec, config, names, index)
    else:
        episode, actions = _learned(study, spec, segment, config, (names, index))
    task = agent_setup(spec, corners(spec)).task
    return Recipe(task, seed_integer(*names, index, "reset"), actions), episode


def _simulated(spec: StudySpec, config: Config, names: Names, index: int) -> tuple[Episode, "NDArray[np.float32]"]:
    from cartwheel.ceiling import TruePlanner

    planner = TruePlanner(agent_setup(spec, [*corners(spec), config]))
    try:
        return planner.play(config, names, index)
    finally:
        planner.close()


def _learned(
    study: Study, spec: StudySpec, segment: SegmentId, config: Config, names: tuple[Names, int]
) -> tuple[Episode, "NDArray[np.float32]"]:
    from cartwheel.engines.engine import EpisodeJob

    engine, full, state = _loaded(study, spec, segment, config)
    try:
        engine.load(0, state)
        result = engine.run_episode({0: EpisodeJob(full, *names, learns=False)})[0]
    finally:
        engine.close()
    if result.failure:
        raise UsageError(f"the episode ended badly: {result.failure}", str(study.run_dir), "choose another --seed")
    return result.episode, np.asarray(result.transitions.action)


def _loaded(study: Study, spec: StudySpec, segment: SegmentId, config: Config) -> tuple["Engine", Config, "PetsState"]:
    """An engine as wide as the study's, the full config, and the agent at the end of a segment."""
    from cartwheel.engines.engine import Engine
    from cartwheel.executors.devices import devices_for, prepare_jax, user_compile_cache
    from cartwheel.executors.lanes import restore
    from cartwheel.executors.work import StartFrom, Work
    from cartwheel.records import Evaluation

    chosen = agent_setup(spec, [*corners(spec), config]).under(config)
    prepare_jax(user_compile_cache(), devices_for(chosen.shape.spreads_plans))
    engine = Engine(chosen.task, chosen.shape, spec.engine.lanes, make=played_in(spec, env_maker(spec)))
    start_from = StartFrom.whole(study.checkpoint(segment))
    work = Work(Evaluation(segment, 0, 1), config, ("video",), start_from, 0)
    with RunFolder.to_read(study.run_dir) as folder:
        state, _ = restore(folder.checkpoints, engine.fresh(work.seed), work, engine.task.episode_length)
    return engine, chosen.base, state


def _title(study: Study, segment: SegmentId, what: str) -> str:
    return f"{study.tables.meta['name']}, segment {segment}: {what}"
