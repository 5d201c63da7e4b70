"""The same frames as ``csv_files.py``, as Parquet, which keeps types. The only file that imports PyArrow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cartwheel.analysis.frames import all_frames
from cartwheel.analysis.tables import StudyTables
from cartwheel.exports.places import new_folder, require


def write_parquet(tables: StudyTables, out: Path) -> Path:
    """Write them into a new folder; its path. Raises ConfigError without PyArrow."""
    require("pyarrow", "parquet")
    import pyarrow
    from pyarrow import parquet

    folder = new_folder(out)
    for name, frame in all_frames(tables).items():
        columns = {column: _of_one_type(values) for column, values in frame.items()}
        parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")
    return folder


def _of_one_type(values: Sequence[Any]) -> Sequence[Any]:
    """A choice may be among numbers and words, of which a column can hold only the words."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 or kinds == {int, float}:
        return values
    return [None if value is None else str(value) for value in values]
