"""The frames of a study as CSV files: ``trials.csv``, ``segments.csv``, ``episodes.csv``, ``evaluations.csv``."""

from pathlib import Path

from cartwheel.analysis.frames import all_frames, csv_text
from cartwheel.analysis.tables import StudyTables
from cartwheel.exports.places import new_folder


def write_csv(tables: StudyTables, out: Path) -> Path:
    """Write them into a new folder; its path."""
    folder = new_folder(out)
    for name, frame in all_frames(tables).items():
        (folder / f"{name}.csv").write_text(csv_text(frame), encoding="utf-8")
    return folder
