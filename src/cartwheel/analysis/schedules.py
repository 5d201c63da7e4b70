"""Schedules read from a study."""

from cartwheel.analysis.tables import StudyTables, ranking, schedule_of
from cartwheel.schedule import Schedule
from cartwheel.schedule_fitting import average


def top_average(tables: StudyTables, num_top: int) -> Schedule:
    """The mean in every episode over the lineages of the best trials, as Zhang et al. 2021 released it.

    Raises ValueError if no trial has a checkpoint.
    """
    if num_top < 1:
        raise ValueError(f"num_top must be at least 1, got {num_top}")
    return average([schedule_of(tables, segment) for segment in ranking(tables)[:num_top]])
