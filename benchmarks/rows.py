"""The tables of the benchmarks: CSV files with a header, that a resumed run reads and adds to."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """At least one more row, behind a header if these are the first."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        _add(file, rows, with_header=is_new)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows, at least one, in place of what was there."""
    with path.open("w", newline="", encoding="utf-8") as file:
        _add(file, rows, with_header=True)


def _add(file: Any, rows: Sequence[Mapping[str, Any]], *, with_header: bool) -> None:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    if with_header:
        writer.writeheader()
    writer.writerows(rows)
