"""One sentence or two per figure and section, made from the numbers: what it shows, also when that is little."""

import math
from collections import Counter

from cartwheel.analysis.comparison import Arm, Comparison, ceiling_sentence, headline
from cartwheel.analysis.diagnostics import track
from cartwheel.analysis.statistics import mean_interval
from cartwheel.analysis.tables import (
    Counts,
    StudyTables,
    copies,
    counts,
    curves_of_trials,
    implausible_episodes,
    incumbent,
    incumbent_score,
    ranking,
    schedule_of,
    scored_episodes,
    segment_score,
    trial_noun,
    validation_means,
)
from cartwheel.analysis.timing import Timing
from cartwheel.analysis.wording import compact, decimals_for, duration, fixed, listed, number, percent, plural
from cartwheel.exploits import is_implausible
from cartwheel.records import SCORE_WINDOW_EPISODES, SegmentId, Value
from cartwheel.schedules.schedule import lineage

_MODEL_WORDING = {
    "error_25_ahead": "predictions 25 steps ahead miss by {} standard deviations of the observations",
    "coverage_50": "{} of what happens lies inside the central 50% of what was predicted (calibrated: 0.5)",
}
OWN_TIME_LIMIT = 0.01
"""The loop's own time is to stay under this share of the wall time."""


def result(tables: StudyTables, comparison: Comparison | None, rerun: Arm | None = None) -> str:
    """The study in one sentence. ``rerun``: agents that were trained anew under its schedule."""
    if comparison is not None:
        return headline(comparison)
    best = incumbent(tables)
    if best is None:
        finished = plural(counts(tables).num_episodes, "episode")
        return f"No segment has ended well yet ({finished} finished), so there is no result to show."
    trial = tables.segments[best].trial
    return (
        f"The best agent found by this one study, that of {trial_noun(tables)} {trial}, {_score(tables)}; "
        f"{_followed_anew(rerun)}{_broken_score(tables, best)}"
    )


def _followed_anew(rerun: Arm | None) -> str:
    if rerun is None:
        return (
            "its schedule has not been followed anew on fresh seeds, so nothing can be said yet about what tuning "
            "bought."
        )
    return (
        f"new agents under its schedule {rerun_returned(rerun)}. What tuning bought takes others beside them: see "
        "`cartwheel compare`."
    )


def rerun_returned(rerun: Arm) -> str:
    """What agents that were trained anew returned, from the verb on."""
    means = list(rerun.means.values())
    failed = f", and {rerun.num_failed} of {len(rerun.runs)} trainings failed" if rerun.num_failed else ""
    if not means:
        return "all failed to train"
    interval = mean_interval(means)
    ends = f" (95% interval {number(interval.low)} to {number(interval.high)})" if len(means) > 1 else ""
    return f"on {plural(len(means), 'fresh seed')} returned {number(interval.point)} on average{ends}{failed}"


def _broken_score(tables: StudyTables, segment: SegmentId) -> str:
    """What is not to be believed of a score."""
    scored = scored_episodes(tables, segment)
    broken = sum(map(is_implausible, scored))
    if not broken:
        return ""
    of_them = f"{broken} of the {len(scored)} episodes that the score rests on" if len(scored) > 1 else "that episode"
    return f" Mind the score: physics broke or left its plausible range in {of_them}."


def learning_curves(tables: StudyTables, ceiling: float | None) -> str:
    """How far the incumbent and the others came."""
    best = incumbent(tables)
    noun = trial_noun(tables)
    if best is None:
        return f"No {noun} has finished a segment yet; the lines are the episodes so far."
    scores = [score for id_ in ranking(tables) if math.isfinite(score := segment_score(tables, id_))]
    text = f"The incumbent, {noun} {tables.segments[best].trial} (blue, along its lineage), {_score(tables)}."
    if len(scores) > 1:
        text += (
            f" The newest finite scores of {plural(len(scores), noun)} range "
            f"from {number(min(scores))} to {number(max(scores))}."
        )
    if ceiling is not None and math.isfinite(incumbent_score(tables)):
        text += (
            f" Planning under the default config with the true dynamics returns {number(ceiling)} (green), "
            f"{fixed(abs(ceiling - incumbent_score(tables)), decimals_for([ceiling]))} "
            f"{'above' if ceiling >= incumbent_score(tables) else 'below'} the incumbent's training score."
        )
    return text + _curve_marks(tables)


def lineages(tables: StudyTables) -> str:
    """Who was copied, and where the incumbent's agent has been."""
    noun = trial_noun(tables)
    happened = copies(tables)
    if not happened:
        return f"No {noun} went on from another's checkpoint."
    source, times = Counter(copy.from_trial for copy in happened).most_common(1)[0]
    text = (
        f"{plural(len(happened), 'copy')} in all; {noun} {source} was copied most often ({plural(times, 'time')}). "
        "Arrows point from the copied to the copying; light bars were dropped later, a cross is a segment that failed."
    )
    best = incumbent(tables)
    return text if best is None else f"{text} The incumbent's agent (blue) {_path(tables)}."


def hyperparameters(tables: StudyTables) -> str:
    """How the winning schedule moved."""
    best = incumbent(tables)
    if best is None:
        return f"Every {trial_noun(tables)}'s values over its episodes; there is no winning schedule yet."
    pieces = schedule_of(tables, best).pieces
    first, last = pieces[0].config, pieces[-1].config
    moved = [f"{name} from {value(first[name])} to {value(last[name])}" for name in first if first[name] != last[name]]
    same = [name for name in first if first[name] == last[name]]
    text = f"The winning schedule (blue) has {plural(len(pieces), 'config')}"
    if not moved:
        return f"{text}; every hyperparameter ends where it began."
    began = "it began" if len(same) == 1 else "they began"
    return f"{text} and moves {listed(moved)}" + (f"; {listed(same)} ended as {began}." if same else ".")


def models(tables: StudyTables) -> str:
    """What the models knew of the last episode, and whether plans were kept."""
    noun = trial_noun(tables)
    text = f"Medians over {noun}s, each new episode judged by the model that planned it, before it is learned from."
    told = [
        wording.format(number(found.medians[-1]))
        for name, wording in _MODEL_WORDING.items()
        if (found := track(tables, name)).medians
    ]
    promised = track(tables, "plan_return_error").medians
    if promised:
        which = "more" if promised[-1] >= 0 else "less"
        told.append(f"a plan promises {number(abs(promised[-1]))} {which} return than follows")
    return f"{text} At the end, {listed(told)}." if told else text


def comparison(result: Comparison) -> str:
    """Mean returns, how to read the figure, and what the ceiling is."""
    means = [
        f"{fixed(summary.interval.point, result.decimals)} under {summary.arm.label}"
        for summary in result.summaries
        if summary.interval is not None
    ]
    numbers_of_episodes = sorted({len(run.returns) for s in result.summaries for run in s.arm.runs if run.returns})
    episodes = " or ".join(map(str, numbers_of_episodes)) or "no"
    text = (
        f"{f'Mean returns: {listed(means)}' if means else 'No training has a result'}. "
        f"A dot is one agent trained anew, its mean over {episodes} evaluation episodes; lines join equal seeds. "
        "The diamond is the mean over seeds with its 95% interval (Student's t)."
    )
    return text if result.ceiling is None else f"{text} {ceiling_sentence(result.ceiling)}"


def time(timing: Timing) -> str:
    """Where the time went, the loop's own share as it is."""
    if timing.wall_s <= 0:
        return "No time was recorded."
    text = (
        f"Of {duration(timing.wall_s)} wall time, Cartwheel's own loop (asking, telling, storing) took "
        f"{duration(timing.own_s)}, {percent(timing.own_share)} (aim: under {percent(OWN_TIME_LIMIT)})."
    )
    if timing.compile_s > 0:
        text += f" Compiling took {duration(timing.compile_s)}; a second run finds most of it in the cache."
    spent = timing.of_devices
    total = sum(spent.values())
    if total <= 0:
        return text
    shares = listed([f"{percent(seconds / total)} {activity}" for activity, seconds in spent.items()])
    return f"{text} Summed over devices, which work side by side, {duration(total)} were {shares}."


def failures(count: Counts) -> str:
    """How many segments failed, diverged, or have no end yet."""
    ended = count.num_segments_done + count.num_diverged + count.num_failed
    bad = count.num_diverged + count.num_failed
    text = (
        f"{plural(bad, 'segment')} of {ended} failed or diverged." if bad else f"No segment failed; {ended} ended well."
    )
    if count.num_unfinished:
        text += f" {plural(count.num_unfinished, 'segment')} had not ended when this page was made."
    return text


def value(of: Value) -> str:
    """A hyperparameter's value, short."""
    return compact(float(f"{of:.3g}")) if isinstance(of, float) else str(of)


def _score(tables: StudyTables) -> str:
    """What the incumbent scored in training and, if it was played, in validation."""
    best = incumbent(tables)
    assert best is not None
    num_scored = min(SCORE_WINDOW_EPISODES, tables.segments[best].stop)
    window = f"mean of its last {num_scored} training episodes" if num_scored > 1 else "its only scored episode"
    text = f"scored {number(incumbent_score(tables))} ({window})"
    if best in validation_means(tables):
        played = sum(len(result.returns) for result in tables.evaluations if result.segment == best)
        text += f" and {number(validation_means(tables)[best])} in {plural(played, 'validation episode')}"
    return text


def _curve_marks(tables: StudyTables) -> str:
    bad = sum(not math.isfinite(return_) for curve in curves_of_trials(tables) for return_ in curve.returns)
    dotted = " Dotted lines lead from a copied agent to the copy." if copies(tables) else ""
    flagged = sum(not watched.is_evaluation for watched in implausible_episodes(tables))
    if flagged:
        dotted += f" Rings and triangles mark returns that rest on implausible physics ({flagged} in all)."
    return dotted + (f" A cross on the axis marks a return that is not finite ({bad} in all)." if bad else "")


def _path(tables: StudyTables) -> str:
    """``was trained in member 4 (episodes 0 to 2) and member 1 (episodes 3 to 12)``."""
    best = incumbent(tables)
    assert best is not None
    stays: list[tuple[int, int, int]] = []
    for segment in lineage(tables.segments, best):
        first = segment.first_episode
        if stays and stays[-1][0] == segment.trial:
            first = stays.pop()[1]
        stays.append((segment.trial, first, segment.stop))
    noun = trial_noun(tables)
    return "was trained in " + listed([f"{noun} {trial} (episodes {first} to {last})" for trial, first, last in stays])


def comparison_lines(comparison: Comparison) -> list[str]:
    """The arms as lines of a plain-text table: mean return, 95% interval, and what planning a step cost."""
    decimals = comparison.decimals
    rows = [("trained anew under", "return", "95% interval", "networks per env step")]
    for summary in comparison.summaries:
        interval = summary.interval
        mean = "-" if interval is None else fixed(interval.point, decimals)
        ends = "-" if interval is None else f"{fixed(interval.low, decimals)} to {fixed(interval.high, decimals)}"
        rows.append((summary.arm.label, mean, ends, f"{summary.network_evaluations_per_env_step:,.0f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
