"""Everything that a run folder promises to hold, in a form to compare: timing, and seals of it, and sessions apart."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from cartwheel.store.run_folder import RunFolder

TIMING = {"wall_s", "seconds", "seal"}


def snapshot(run_dir: Path) -> dict[str, Any]:
    """All rows of all tables but sessions, the study file, and the names of the checkpoint files."""
    connection = sqlite3.connect(run_dir / "study.db")
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    tables = {name: _rows(connection, name) for name in names if name != "sessions"}
    connection.close()
    files = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    return {**tables, "files on disk": files, "study file": (run_dir / "study.toml").read_text()}


def _rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = connection.execute(f"SELECT * FROM {table}")
    columns = [column[0] for column in cursor.description]
    return [_without_timing(dict(zip(columns, row, strict=True))) for row in cursor]


def _without_timing(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_timing(entry) for key, entry in value.items() if key not in TIMING}
        case list():
            return [_without_timing(entry) for entry in value]
        case str() if value.startswith("{"):
            return _without_timing(json.loads(value))
    return value


def settled(run_dir: Path) -> dict[str, Any]:
    """``unordered`` of a snapshot without what only a disturbance leaves: temporary files, and a record of retries."""
    RunFolder.to_write(run_dir).close()
    return {name: rows for name, rows in unordered(snapshot(run_dir)).items() if name != "retries"}


def unordered(taken: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without the order in which things happened: what side by side runs of one study have in common."""
    return {name: _sorted(rows) if isinstance(rows, list) else rows for name, rows in taken.items()}


def _sorted(rows: list[Any]) -> list[str]:
    plain = [
        {key: entry for key, entry in row.items() if key != "number"} if isinstance(row, dict) else row for row in rows
    ]
    return sorted(json.dumps(row, sort_keys=True) for row in plain)
