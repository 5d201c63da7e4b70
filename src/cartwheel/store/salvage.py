"""What can still be read of a database, row by row, and which of its rows are as they were written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from cartwheel.store.database import Database
from cartwheel.store.seals import SEAL, SEALED, row_seal

Key: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Mapping[Key, Mapping[str, Any]]
"""The rows of a table by primary key, without seals."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """All rows that can be read, by table; ``broken`` are those that do not fit their seals.

    ``unreadable`` says what is wrong with the file itself.
    """

    rows: Mapping[str, Rows]
    broken: Mapping[str, frozenset[Key]]
    unreadable: Sequence[str]

    @contextmanager
    def sound_rows(self, like: Database) -> Iterator[Database]:
        """A database in memory with the rows that are as they were written."""
        copy = Database(like.path, is_writer=True, is_in_memory=True)
        try:
            copy.create({})
            copy.execute("PRAGMA foreign_keys = OFF")
            with copy.transaction():
                for table, rows in self.rows.items():
                    kept = [row for key, row in rows.items() if key not in self.broken[table]]
                    _insert(copy, table, kept)
            yield copy
        finally:
            copy.close()


def salvage(database: Database) -> Salvaged:
    """Everything that can be read. Raises StorageError if the file is too damaged to have tables."""
    unreadable = database.structure()
    rows: dict[str, Rows] = {}
    broken: dict[str, frozenset[Key]] = {}
    for table in database.tables():
        rows[table], broken[table], error = _read(database, table)
        if error and not unreadable:
            unreadable.append(error)
    return Salvaged(rows, broken, unreadable)


def _read(database: Database, table: str) -> tuple[Rows, frozenset[Key], str]:
    columns, key_columns = database.columns(table)
    found, error = database.readable_rows(table)
    rows: dict[Key, Mapping[str, Any]] = {}
    broken = set[Key]()
    for row in found:
        key = tuple(row[name] for name in key_columns)
        values = {name: row[name] for name in columns}
        if table in SEALED:
            is_broken = row_seal(table, *values.values()) != row[SEAL]
        else:
            is_broken = not all(isinstance(value, int) or _is_plain(value) for value in values.values())
        if key not in rows or not is_broken:
            rows[key] = values
            broken = broken | {key} if is_broken else broken - {key}
    return rows, frozenset(broken), error


def _is_plain(value: object) -> bool:
    """Text such as ids and digests are."""
    return isinstance(value, str) and value.isascii()


def _insert(database: Database, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join("?" for _ in rows[0])
        database.execute_many(
            f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", [tuple(row.values()) for row in rows]
        )
