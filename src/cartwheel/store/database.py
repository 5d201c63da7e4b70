"""The connection to ``study.db``: SQLite, one writer, every commit durable. The only place that knows sqlite3.

The rollback journal is used because the WAL mode of the SQLite that many Pythons carry (3.7.0 to 3.51.2) can corrupt
a database; ``synchronous=EXTRA`` also syncs the folder, so that a commit survives the loss of power.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from cartwheel.errors import StorageError
from cartwheel.store.disk import cannot_write
from cartwheel.store.seals import SEAL, SEALED, row_seal, sealing_of_all, sealing_triggers
from cartwheel.store.upgrading import SCHEMA_VERSION, steps_from

APPLICATION_ID = 0x43617274  # "Cart": tells our files from other SQLite databases
ROOM_FOR_PAGES_BYTES = 2**20
"""What a commit takes beyond its own rows, at most: the pages of tables and indices that it changes and their journal,
some hundred of 4 KiB."""
BUSY_TIMEOUT_S = 30.0
"""A commit waits this long for readers such as ``cartwheel status`` to finish."""

Row = sqlite3.Row
_ERRORS = (sqlite3.Error, UnicodeError)
"""The latter where the damaged name of a table or column is no text any more."""


class Database:
    """One open ``study.db``. Every failure of SQLite comes out as StorageError.

    An older one is brought up to date: the file itself for a writer, a copy in memory for a reader, who so needs no
    right to write and disturbs nobody.
    """

    def __init__(self, path: Path, is_writer: bool, *, is_in_memory: bool = False) -> None:
        """``is_in_memory``: a blank one that lives as long as this object; ``path`` is what errors name."""
        self.path = path
        self._num_row_bytes = 0
        self._connection = self._connect(":memory:" if is_in_memory else self._uri(is_writer))
        try:
            self._check()
            self._upgrade(is_writer)
            if is_writer and not self.is_blank:
                self._seal_what_is_written()
        except BaseException:
            self.close()
            raise

    @property
    def is_blank(self) -> bool:
        """Whether no study has been created in it yet."""
        return self._pragma("user_version") == 0

    def create(self, meta: Mapping[str, str]) -> None:
        """Make the tables and the meta rows, all or nothing."""
        schema = resources.files("cartwheel.store").joinpath("schema.sql").read_text()
        with self.transaction():
            for statement in _statements(schema):
                self.execute(statement)
            self._seal_what_is_written()
            self.execute_many("INSERT INTO meta (key, value) VALUES (?, ?)", meta.items())
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing: on disk when the block is left."""
        self._num_row_bytes = 0
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with self._errors():
                self._connection.rollback()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads of the block see the same commits. A writer's next commit waits for its end, so only read in it."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            with self._errors():
                self._connection.rollback()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, None if there is none."""
        return next(iter(self.rows(sql, parameters)), None)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; the id of the row that it inserted."""
        self._num_row_bytes += sum(len(value) for value in parameters if isinstance(value, str))
        with self._errors():
            return self._connection.execute(sql, parameters).lastrowid or 0

    def execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run one statement for every row of parameters."""
        with self._errors():
            self._connection.executemany(sql, parameters)

    def damage(self) -> list[str]:
        """What is not as it was written: the file's structure, then rows that do not fit their seals."""
        broken = (f"{table}: {place}" for table in SEALED for place in self._broken_seals(table))
        return self.structure() or list(broken)

    def structure(self) -> list[str]:
        """What SQLite itself finds wrong with the file."""
        lines, error = self._rows_until_damage("PRAGMA integrity_check")
        orphans, _ = self._rows_until_damage("PRAGMA foreign_key_check")
        found = [str(row[0]) for row in lines if row[0] != "ok"] + ([error] if error else [])
        return found + [f"{row[0]} refers to a row of {row[2]} that is not there" for row in orphans]

    def verify(self) -> None:
        """Raises StorageError if anything is not as it was written. A blank one has nothing in it yet."""
        if self.is_blank:
            return
        damage = self.damage()
        if damage:
            more = f" and {len(damage) - 1} more" if len(damage) > 1 else ""
            step = f"see `cartwheel check {self.path.parent}`"
            raise StorageError(f"the database is damaged: {damage[0]}{more}", str(self.path), step)

    def tables(self) -> list[str]:
        """The names of all tables."""
        return [row["name"] for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")]

    def columns(self, table: str) -> tuple[list[str], list[str]]:
        """The columns of a table without the seal, in order; and those of its primary key."""
        about = [row for row in self.rows(f"PRAGMA table_info({table})") if row["name"] != SEAL]
        return [row["name"] for row in about], [row["name"] for row in about if row["pk"]]

    def readable_rows(self, table: str) -> tuple[list[Row], str]:
        """The rows of a table that can be read, and what keeps the others from it: empty if nothing does.

        Where reading forwards ends at damage, reading backwards finds what is behind it. Such rows come last, and rows
        that are read twice may be there twice.
        """
        forwards, error = self._rows_until_damage(f"SELECT * FROM {table}")
        if not error:
            return forwards, ""
        backwards, no_rowid = self._rows_until_damage(f"SELECT * FROM {table} ORDER BY rowid DESC")
        if no_rowid and not backwards:
            order = ", ".join(f'"{name}" DESC' for name in self.columns(table)[1])
            backwards, _ = self._rows_until_damage(f"SELECT * FROM {table} ORDER BY {order}")
        return [*forwards, *reversed(backwards)], error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _uri(self, is_writer: bool) -> str:
        # A reader too may have to roll back the journal of a killed writer, so it opens for writing and promises
        # not to write; SQLite itself falls back to reading where the file system allows no more.
        return f"{self.path.absolute().as_uri()}?mode={'rwc' if is_writer else 'rw'}"

    def _connect(self, uri: str) -> sqlite3.Connection:
        with self._errors():
            return _connected(uri)

    def _check(self) -> None:
        """Refuse what is not ours before anything is changed in it."""
        with self._errors():
            version = self._pragma("user_version")
            application = self._pragma("application_id")
            num_tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (application or version or num_tables):
            raise StorageError("this database is not a Cartwheel study", str(self.path), "choose another run folder")
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"written by a newer Cartwheel (schema {version}, this one knows {SCHEMA_VERSION})",
                str(self.path),
                "update Cartwheel",
            )
        for pragma in ("foreign_keys = ON", "journal_mode = TRUNCATE", "synchronous = EXTRA"):
            self.execute(f"PRAGMA {pragma}")

    def _upgrade(self, is_writer: bool) -> None:
        version = self._pragma("user_version")
        if version in (0, SCHEMA_VERSION):
            return
        if not is_writer:
            with self._errors(), closing(self._connection) as file:
                self._connection = _connected(":memory:")
                file.backup(self._connection)
        with self.transaction():
            for statement in steps_from(version):
                self.execute(statement)
            for table in SEALED:
                self.execute(sealing_of_all(table, self.columns(table)[0]))
            self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _seal_what_is_written(self) -> None:
        for table in SEALED:
            for statement in sealing_triggers(table, *self.columns(table)):
                self.execute(statement)

    def _rows_until_damage(self, sql: str) -> tuple[list[Row], str]:
        found: list[Row] = []
        try:
            found.extend(self._connection.execute(sql))
        except _ERRORS as error:
            return found, str(error)
        return found, ""

    def _broken_seals(self, table: str) -> Iterator[str]:
        columns, key = self.columns(table)
        names = ", ".join(f'"{name}"' for name in columns)
        for *values, seal in self.rows(f"SELECT {names}, {SEAL} FROM {table}"):
            if row_seal(table, *values) != seal:
                row = dict(zip(columns, values, strict=True))
                yield place_of(key, [row[name] for name in key])

    def _pragma(self, name: str) -> int:
        with self._errors():
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                # rows are written once to their pages, and their pages may be written to the journal before
                num_bytes = ROOM_FOR_PAGES_BYTES + 2 * self._num_row_bytes
                raise cannot_write(f"a commit of up to {num_bytes} bytes", str(error), self.path) from error
            raise StorageError(
                f"the database cannot be used: {error}", str(self.path), "see that the disk is writable and not full"
            ) from error


def place_of(columns: Sequence[str], key: Sequence[Any]) -> str:
    """A row by its primary key, for people; whatever is damaged in it can be printed.

    A damaged table may have lost a part of its key.
    """
    values = (str(value).encode("ascii", "backslashreplace").decode() for value in key)
    return ", ".join(f"{column} {value}" for column, value in zip(columns, values, strict=False))


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    connection.row_factory = sqlite3.Row
    # damaged text is read as it is: its seal tells
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    connection.create_function(SEAL, -1, row_seal, deterministic=True)
    return connection


def _statements(script: str) -> Iterator[str]:
    """The statements of an SQL script. (``executescript`` would end the transaction that they must share.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
