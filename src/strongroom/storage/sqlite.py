"""SQLite through the standard library's driver.

WAL with ``synchronous=FULL``: a commit is on disk when it returns. One connection writes; every
thread that reads has a connection of its own, so that readers never wait for the writer.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from strongroom.kernel.errors import ErrorCode, StrongroomError, Unavailable
from strongroom.storage.engine import (
    Connection,
    DriverFailure,
    DuplicateRow,
    Row,
    StillReferenced,
    TookTooLong,
    TransientFailure,
)
from strongroom.storage.statements import SQLITE, Statement

BUSY_TIMEOUT_MS: Final = 5000
STATEMENTS_KEPT: Final = 512
WRITER_CACHE_KIB: Final = 16 * 1024
READER_CACHE_KIB: Final = 2 * 1024
READER_MAP_BYTES: Final = 0x7FFF0000
"""Readers look at the file through memory, which halves the cost of a read; it is the most SQLite takes."""
WAL_PAGES: Final = 4000
PROGRESS_STEPS: Final = 20_000
"""Virtual machine steps between two looks at the clock: well under a millisecond."""
_INSERT_ROWS: Final = 1024
"""Most rows of one insert."""

_UNIQUE: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DOWN: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


@cache
def _insert_text(table: str, columns: tuple[str, ...], size: int) -> str:
    """Return an insert of up to ``size`` rows; those whose first value is NULL are left out."""
    rows = ", ".join([f"({', '.join('?' * len(columns))})"] * size)
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"  # noqa: S608 - our own names


def _translate(error: sqlite3.Error) -> StrongroomError:
    """Return the error of our own tree for a driver's one."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            return Unavailable(ErrorCode.UNAVAILABLE, "The store is closed.")
        return DriverFailure()
    primary = code & 0xFF
    if code in _UNIQUE:
        return DuplicateRow()
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return StillReferenced()
    if primary in _BUSY:
        return TransientFailure()
    if primary == sqlite3.SQLITE_INTERRUPT:
        return TookTooLong()
    if primary in _DOWN:
        return Unavailable(ErrorCode.UNAVAILABLE, "The database file cannot be read or written.")
    return DriverFailure()


class SqliteConnection:
    """One connection; see `strongroom.storage.engine.Connection`."""

    dialect = SQLITE

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._raw = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT, timeout=5.0
        )
        self._execute = self._raw.execute
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{READER_CACHE_KIB if read_only else WRITER_CACHE_KIB}",
            f"mmap_size={READER_MAP_BYTES if read_only else 0}",
            f"wal_autocheckpoint={WAL_PAGES}",
            # What is sorted or erased must not stay behind in temporary files or free pages.
            "temp_store=MEMORY",
            "secure_delete=ON",
            *(["query_only=ON"] if read_only else []),
        ):
            self._execute(f"PRAGMA {pragma}").fetchall()
        if not read_only:
            self._use_write_ahead_log()

    def row(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """Run it and return its first row."""
        try:
            row: Row | None = self._execute(statement.sqlite, parameters).fetchone()
        except sqlite3.Error as error:
            raise _translate(error) from error
        return row

    def rows(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Run it and return all its rows."""
        try:
            return self._execute(statement.sqlite, parameters).fetchall()
        except sqlite3.Error as error:
            raise _translate(error) from error

    def run(self, statement: Statement, /, **parameters: Any) -> int:
        """Run it and return how many rows it touched."""
        try:
            return self._execute(statement.sqlite, parameters).rowcount
        except sqlite3.Error as error:
            raise _translate(error) from error

    def many(self, statement: Statement, parameters: Iterable[Mapping[str, Any]], /) -> None:
        """Run it once per set of parameters."""
        try:
            self._raw.executemany(statement.sqlite, parameters)
        except sqlite3.Error as error:
            raise _translate(error) from error

    def stream(self, statement: Statement, /, size: int = 500, **parameters: Any) -> Iterator[Row]:
        """Yield its rows, holding few of them at a time."""
        try:
            cursor = self._execute(statement.sqlite, parameters)
            while found := cursor.fetchmany(size):
                yield from found
        except sqlite3.Error as error:
            raise _translate(error) from error

    def limit_time(self, seconds: float | None) -> None:
        """Stop statements that run longer."""
        if seconds is None:
            self._raw.set_progress_handler(None, 0)
            return
        deadline = time.monotonic() + seconds
        self._raw.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)

    def begin(self) -> None:
        """Take the write lock."""
        self._plain("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Open a snapshot, which is taken by the first statement."""
        self._plain("BEGIN")

    def commit(self) -> None:
        """Commit; it is on disk when this returns."""
        self._plain("COMMIT")

    def rollback(self) -> None:
        """End the transaction if there is one; never fails."""
        if self._raw.in_transaction:
            try:
                self._execute("ROLLBACK")
            except sqlite3.Error:
                # It failed so badly that SQLite rolled back by itself.
                return

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, as many as possible in one statement.

        Every statement gives up the interpreter's lock several times, and getting it back from a busy event loop
        costs more than the insert itself. Named parameters would cost twice as much as these.
        """
        for start in range(0, len(rows), _INSERT_ROWS):
            part = rows[start : start + _INSERT_ROWS]
            # Sizes are powers of two, filled up with empty rows: few different statements, so that all stay prepared.
            size = 1 << (len(part) - 1).bit_length()
            values = [value for row in part for value in row]
            values += [None] * ((size - len(part)) * len(columns))
            try:
                self._execute(_insert_text(table, tuple(columns), size), values)
            except sqlite3.Error as error:
                raise _translate(error) from error

    def savepoint(self) -> None:
        """Mark the place to go back to."""
        self._plain("SAVEPOINT unit")

    def release(self) -> None:
        """Forget the mark."""
        self._plain("RELEASE unit")

    def rollback_to(self) -> None:
        """Undo what happened since the mark, and forget it."""
        self._plain("ROLLBACK TO unit")
        self._plain("RELEASE unit")

    @property
    def in_transaction(self) -> bool:
        """Tell whether the transaction still stands."""
        return self._raw.in_transaction

    def hold_stream(self, stream: str) -> None:
        """Do nothing: the data directory is locked by one process."""

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()

    def _use_write_ahead_log(self) -> None:
        """Switch the file to its write-ahead log, waiting for another process that does the same.

        SQLite does not wait here by itself: two who both hold the read lock and want the whole file would never end.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self._execute("PRAGMA journal_mode=WAL").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _plain(self, text: str) -> None:
        try:
            self._execute(text)
        except sqlite3.Error as error:
            raise _translate(error) from error


class SqliteEngine:
    """One database file."""

    dialect = SQLITE
    reads_inline = True

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._readers: weakref.WeakSet[SqliteConnection] = weakref.WeakSet()
        self._closed = False
        # The file is made here, because SQLite gives its own mode to the files beside it, too.
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"The database file cannot be opened: {error.strerror}."
            ) from error

    @property
    def url(self) -> str:
        """Return the address for SQLAlchemy."""
        return f"sqlite:///{self.path}"

    def open_writer(self) -> SqliteConnection:
        """Return a connection that may write."""
        return self._connect(read_only=False)

    def begin_read(self) -> SqliteConnection:
        """Return a connection of this thread with a fresh snapshot open."""
        connection = self.begin_look()
        connection.begin_read()
        return connection

    def begin_look(self) -> SqliteConnection:
        """Return a connection of this thread without a snapshot: each statement takes its own."""
        free = self._free_here()
        return free.pop() if free else self._open_reader()

    def end_read(self, connection: Connection) -> None:
        """Close the snapshot and keep the connection for this thread's next read."""
        assert isinstance(connection, SqliteConnection)  # noqa: S101 - this engine made it
        connection.rollback()
        self._free_here().append(connection)

    def open_listener(self) -> None:
        """Return nothing: who queued a job is in this process, and wakes its workers."""

    def close(self) -> None:
        """Close every reader."""
        with self._lock:
            self._closed = True
            readers = list(self._readers)
        for reader in readers:
            reader.close()

    def _free_here(self) -> list[SqliteConnection]:
        """Return this thread's idle connections: one, unless a read was asked for inside another."""
        try:
            free: list[SqliteConnection] = self._local.free
        except AttributeError:
            free = self._local.free = []
        return free

    def _open_reader(self) -> SqliteConnection:
        connection = self._connect(read_only=True)
        with self._lock:
            if not self._closed:
                self._readers.add(connection)
                return connection
        connection.close()
        raise Unavailable(ErrorCode.UNAVAILABLE, "The store is closed.")

    def _connect(self, *, read_only: bool) -> SqliteConnection:
        try:
            return SqliteConnection(self.path, read_only=read_only)
        except sqlite3.Error as error:
            raise _translate(error) from error
