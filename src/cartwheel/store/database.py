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
from cartwheel.store.upgrading import SCHEMA_VERSION, steps_from

APPLICATION_ID = 0x43617274  # "Cart": tells our files from other SQLite databases
ROOM_FOR_PAGES_BYTES = 2**20
"""What a commit takes beyond its own rows, at most: the pages of tables and indices that it changes and their journal,
some hundred of 4 KiB."""
BUSY_TIMEOUT_S = 30.0
"""A commit waits this long for readers such as ``cartwheel status`` to finish."""

Row = sqlite3.Row


class Database:
    """One open ``study.db``. Every failure of SQLite comes out as StorageError.

    An older one is brought up to date: the file itself for a writer, a copy in memory for a reader, who so needs no
    right to write and disturbs nobody.
    """

    def __init__(self, path: Path, is_writer: bool) -> None:
        self.path = path
        self._num_row_bytes = 0
        self._connection = self._connect(is_writer)
        try:
            self._check()
            self._upgrade(is_writer)
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
            self.execute_many("INSERT INTO meta VALUES (?, ?)", meta.items())
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

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _connect(self, is_writer: bool) -> sqlite3.Connection:
        # A reader too may have to roll back the journal of a killed writer, so it opens for writing and promises
        # not to write; SQLite itself falls back to reading where the file system allows no more.
        mode = "rwc" if is_writer else "rw"
        with self._errors():
            return _connected(f"{self.path.absolute().as_uri()}?mode={mode}")

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
            self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _pragma(self, name: str) -> int:
        with self._errors():
            return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                # rows are written once to their pages, and their pages may be written to the journal before
                num_bytes = ROOM_FOR_PAGES_BYTES + 2 * self._num_row_bytes
                raise cannot_write(f"a commit of up to {num_bytes} bytes", str(error), self.path) from error
            raise StorageError(
                f"the database cannot be used: {error}", str(self.path), "see that the disk is writable and not full"
            ) from error


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    connection.row_factory = sqlite3.Row
    return connection


def _statements(script: str) -> Iterator[str]:
    """The statements of an SQL script. (``executescript`` would end the transaction that they must share.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
