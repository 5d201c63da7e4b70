"""Every row that says what happened carries a seal: a digest of its table's name and of all its other values.

SQLite notices damage to its own structure, not to the values in it: a flipped bit of a return is another return. The
seals find that out. They are written by triggers of the writer's own connection, so that no statement can forget them
and the file stays one that any SQLite can open.

Not sealed are the two tables that only count files: what they say is checked against the files, whose names are
digests.
"""

import hashlib
from collections.abc import Sequence

SEALED = (
    "meta",
    "sessions",
    "events",
    "segments",
    "episodes",
    "reports",
    "checkpoints",
    "evaluations",
    "evaluation_episodes",
    "retries",
)
SEAL = "seal"
"""The column, and the name of the SQL function that ``row_seal`` becomes."""
SEAL_DIGITS = 16
"""64 bits: of all random changes of a row, one in 10^19 goes unnoticed."""


def row_seal(table: str, *values: object) -> str:
    """The seal of a row, from its values in the order of the columns, as SQLite gives them back."""
    # SQLite keeps no sign of zero
    kept = [value + 0.0 if isinstance(value, float) else value for value in values]
    return hashlib.sha256(repr((table, *kept)).encode("utf-8", "surrogatepass")).hexdigest()[:SEAL_DIGITS]


def sealing_triggers(table: str, columns: Sequence[str], key: Sequence[str]) -> list[str]:
    """Statements that make a connection seal every row that it writes. ``columns`` are all but the seal."""
    where = " AND ".join(f'"{name}" = NEW."{name}"' for name in key)
    values = ", ".join(f'NEW."{name}"' for name in columns)
    body = f"UPDATE {table} SET {SEAL} = {SEAL}('{table}', {values}) WHERE {where}"
    changed = ", ".join(f'"{name}"' for name in columns)
    events = {"insert": "INSERT", "update": f"UPDATE OF {changed}"}
    return [
        f"CREATE TEMP TRIGGER seal_{table}_{name} AFTER {event} ON main.{table} BEGIN {body}; END"
        for name, event in events.items()
    ]


def sealing_of_all(table: str, columns: Sequence[str]) -> str:
    """The statement that seals all rows of a table as they are: of a database from before there were seals."""
    values = ", ".join(f'"{name}"' for name in columns)
    return f"UPDATE {table} SET {SEAL} = {SEAL}('{table}', {values})"
