"""Schedules read from a study."""

from cartwheel.analysis.tables import StudyTables, ranking, schedule_of
from cartwheel.schedules.fitting import average
from cartwheel.schedules.schedule import Schedule


def top_average(tables: StudyTables, num_top: int) -> Schedule:
    """The mean in every episode over the lineages of the best trials, as Zhang et al. 2021 released it.

    Raises ValueError if fewer trials have a checkpoint.
    """
    if num_top < 1:
        raise ValueError(f"num_top must be at least 1, got {num_top}")
    ranked = ranking(tables)
    if num_top > len(ranked):
        raise ValueError(f"{len(ranked)} trials have come to the end of a segment, not {num_top}")
    return average([schedule_of(tables, segment) for segment in ranked[:num_top]])
