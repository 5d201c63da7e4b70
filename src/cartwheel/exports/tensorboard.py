"""A study as TensorBoard shows it. The only file that imports tensorboardX.

One run per trial and one, ``incumbent``, along the best lineage: returns, the config in force, diagnostics and seconds
over episodes; and the last config with the score as a row of the HPARAMS tab. A study keeps no times of day, so an
event's time is what the agent's own episodes took until then: right on the axis "relative", not on "wall".
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartwheel.analysis.tables import StudyTables, incumbent, segment_score, trial_noun
from cartwheel.exports.places import new_folder, require
from cartwheel.records import Config, Episode, Segment
from cartwheel.schedules.schedule import lineage

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

HYPERPARAMETERS, METRICS, SECONDS = "hyperparameters", "metrics", "seconds"


def write_tensorboard(tables: StudyTables, out: Path) -> Path:
    """Write event files into a new folder, for ``tensorboard --logdir``; its path. Raises ConfigError."""
    require("tensorboardX", "tensorboard")
    from tensorboardX import SummaryWriter

    folder = new_folder(out)
    for name, segments in _runs(tables):
        with SummaryWriter(logdir=str(folder / name)) as writer:
            _write_scalars(writer, tables, segments)
            _write_hparams(writer, tables, segments[-1])
    return folder


def _runs(tables: StudyTables) -> Iterator[tuple[str, list[Segment]]]:
    for trial in tables.trials:
        yield f"{trial_noun(tables)}-{trial}", [s for s in tables.segments.values() if s.trial == trial]
    best = incumbent(tables)
    if best is not None:
        yield "incumbent", lineage(tables.segments, best)


def _write_scalars(writer: "SummaryWriter", tables: StudyTables, segments: Sequence[Segment]) -> None:
    passed_s = 0.0
    for segment in segments:
        for episode in tables.episodes.get(segment.id, ()):
            passed_s += sum(episode.seconds.values())
            for tag, value in _scalars(segment.config, episode):
                writer.add_scalar(tag, value, episode.index, walltime=passed_s)


def _scalars(config: Config, episode: Episode) -> Iterator[tuple[str, float]]:
    yield "return", episode.return_
    yield "env_steps", episode.env_steps
    for group, values in ((HYPERPARAMETERS, config), (METRICS, episode.metrics), (SECONDS, episode.seconds)):
        yield from ((f"{group}/{name}", float(value)) for name, value in values.items() if not isinstance(value, str))


def _write_hparams(writer: "SummaryWriter", tables: StudyTables, last: Segment) -> None:
    """In the run's own event file: ``add_hparams`` would make a run of its own of it."""
    from tensorboardX.summary import hparams

    score = segment_score(tables, last.id)
    metrics: dict[str, Any] = {"score": score} if math.isfinite(score) else {}
    for summary in hparams(dict(last.config), metrics):
        writer.file_writer.add_summary(summary)
    for tag, value in metrics.items():
        writer.add_scalar(tag, value, last.stop, walltime=0.0)
