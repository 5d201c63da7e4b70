"""A study's results, read from its run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartwheel.analysis import tables as analysis
from cartwheel.analysis.frames import episodes
from cartwheel.analysis.load import read_tables
from cartwheel.analysis.schedules import top_average
from cartwheel.errors import AllTrialsFailed, UsageError
from cartwheel.records import CheckpointId, Config, Segment, SegmentId
from cartwheel.schedules.schedule import Schedule, lineage
from cartwheel.store.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Best:
    """The incumbent: of the final best three by score, the one with the best mean validation return.

    ``score`` was read while tuning and is optimistic, for it was selected; ``validation_mean`` is None where nothing
    was validated.
    """

    segment: SegmentId
    config: Config
    score: float
    validation_mean: float | None
    checkpoint: CheckpointId


class Study:
    """What one run folder holds, as it was when this object was made."""

    def __init__(self, run_dir: str | Path) -> None:
        """Raises StorageError if there is no study."""
        self.run_dir = Path(run_dir)
        with RunFolder.to_read(self.run_dir) as folder, folder.snapshot():
            self.tables = read_tables(folder)
            self.is_done: bool = folder.read.meta("is_done")
            self._checkpoints = {kept.segment: kept.digest for kept in folder.read.checkpoints() if kept.is_final}

    @property
    def best(self) -> Best:
        """The incumbent. Raises UsageError if no segment is done yet, AllTrialsFailed if none ever will be."""
        segment = analysis.incumbent(self.tables)
        checkpoint = None if segment is None else self.tables.reports[segment].checkpoint
        if segment is None or checkpoint is None:
            if self.is_done:
                raise AllTrialsFailed("all trials failed", next_step=f"see `cartwheel report {self.run_dir}`")
            raise UsageError("no trial of this study is done yet", str(self.run_dir), "run `cartwheel tune` on")
        return Best(
            segment,
            self.tables.segments[segment].config,
            analysis.segment_score(self.tables, segment),
            analysis.validation_means(self.tables).get(segment),
            self._checkpoints.get(segment, checkpoint),
        )

    def checkpoint(self, segment: SegmentId) -> CheckpointId:
        """The agent at the end of a finished segment. Raises UsageError if it was dropped or lost."""
        if segment not in self._checkpoints:
            cause = f"the checkpoint at the end of segment {segment} is not kept"
            step = "choose the best agent, or begin the study anew with --keep all"
            raise UsageError(cause, str(self.run_dir), step)
        return self._checkpoints[segment]

    @property
    def num_failed(self) -> int:
        """Segments that failed or diverged."""
        return sum(report.status != "done" for report in self.tables.reports.values())

    def lineage(self, segment: SegmentId | None = None) -> list[Segment]:
        """The chain of segments that led to one, by default to the best; oldest first."""
        return lineage(self.tables.segments, self.best.segment if segment is None else segment)

    def schedule(self, segment: SegmentId | None = None) -> Schedule:
        """The configs over episodes along a lineage, by default the best one's."""
        return Schedule.from_lineage(self.lineage(segment))

    def average_schedule(self, num_top: int) -> Schedule:
        """The mean config, in every episode, over the lineages of the best trials by score. Raises UsageError."""
        try:
            return top_average(self.tables, num_top)
        except ValueError as error:
            raise UsageError(str(error), str(self.run_dir), "ask for fewer") from error

    def to_frame(self) -> dict[str, list[Any]]:
        """One row per episode, as columns of equal length: ``pandas.DataFrame(study.to_frame())`` takes it.

        A value that an episode does not have is None.
        """
        return episodes(self.tables)

    def figures(self) -> "dict[str, Figure]":
        """The report's figures by name, such as "learning-curves": a notebook shows one, ``savefig`` writes it."""
        from cartwheel.report.exhibits import exhibits
        from cartwheel.report.style import WIDE

        return {exhibit.name: exhibit.draw(WIDE) for exhibit in exhibits(self.tables)}

    def __repr__(self) -> str:
        from cartwheel.report.notebook import line

        return line(self.tables, self._state)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from cartwheel.report.notebook import html

        return html(self.tables, self._state)

    @property
    def _state(self) -> str:
        return "done" if self.is_done else "not done"
