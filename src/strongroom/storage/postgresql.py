"""PostgreSQL through psycopg 3.

The writer has a connection of its own; readers take one from a small pool. Transactions are spelt
out on autocommit connections: READ COMMITTED to write, one REPEATABLE READ snapshot per read unit.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, StrongroomError, Unavailable
from strongroom.storage.engine import (
    Connection,
    ConnectionLost,
    DriverFailure,
    DuplicateRow,
    Row,
    StillReferenced,
    TookTooLong,
    TransientFailure,
)
from strongroom.storage.pending import JOBS_CHANNEL
from strongroom.storage.statements import POSTGRESQL, Statement

LOCK_TIMEOUT_S: Final = 5
CONNECT_TIMEOUT_S: Final = 5
POOL_TIMEOUT_S: Final = 5
PREPARED_KEPT: Final = 500
STREAM_HOLD_TRIES: Final = 20
STREAM_HOLD_PAUSE_S: Final = 0.25

_SESSION: Final = {
    "application_name": "strongroom",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # Compiling a plan costs more than any of ours takes; sorting a big list of ids must not go to disk.
    "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s -c timezone=UTC -c jit=off -c work_mem=16MB",
}


def _translate(error: psycopg.Error, *, broken: bool) -> StrongroomError:
    """Return the error of our own tree for a driver's one."""
    match error:
        case errors.UniqueViolation():
            return DuplicateRow()
        case errors.ForeignKeyViolation():
            return StillReferenced()
        case errors.DeadlockDetected() | errors.SerializationFailure() | errors.LockNotAvailable():
            return TransientFailure()
        case errors.QueryCanceled():
            return TookTooLong()
        case errors.AdminShutdown() | errors.CrashShutdown() | errors.CannotConnectNow():
            return ConnectionLost()
        case psycopg.DataError() if "NUL" in str(error):
            # The driver's own words, before anything is sent. SQLite would take such a text, so no rule may need it.
            return Invalid(ErrorCode.MALFORMED_REQUEST, "Text must not hold NUL characters.")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return ConnectionLost() if broken else Unavailable(ErrorCode.UNAVAILABLE, "The database refused the work.")
        case _:
            return ConnectionLost() if broken else DriverFailure()


class PostgresConnection:
    """One connection; see `strongroom.storage.engine.Connection`."""

    dialect = POSTGRESQL

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self.raw = raw
        raw.prepare_threshold = 2
        raw.prepared_max = PREPARED_KEPT
        # Binary answers: payloads are bytes, and hexadecimal would double them.
        self._cursor = raw.cursor(binary=True)

    def row(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """Run it and return its first row."""
        try:
            return self._run(statement, parameters).fetchone()
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def rows(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Run it and return all its rows."""
        try:
            return self._run(statement, parameters).fetchall()
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def run(self, statement: Statement, /, **parameters: Any) -> int:
        """Run it and return how many rows it touched."""
        try:
            return self._run(statement, parameters).rowcount
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def many(self, statement: Statement, parameters: Iterable[Mapping[str, Any]], /) -> None:
        """Run it once per set of parameters."""
        try:
            self._cursor.executemany(statement.postgresql, list(parameters))
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def stream(self, statement: Statement, /, size: int = 500, **parameters: Any) -> Iterator[Row]:
        """Yield its rows, holding few of them at a time."""
        try:
            with self.raw.cursor("strongroom_stream", binary=True) as cursor:
                cursor.itersize = size
                cursor.execute(statement.postgresql, parameters)
                yield from cursor
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def limit_time(self, seconds: float | None) -> None:
        """Stop statements of this transaction that run longer."""
        self.plain(f"SET LOCAL statement_timeout = {0 if seconds is None else max(1, int(seconds * 1000))}")

    def begin(self) -> None:
        """Begin a transaction that may write."""
        self.plain("BEGIN")

    def begin_read(self) -> None:
        """Open a snapshot."""
        self.plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self) -> None:
        """Commit; it is on disk when this returns, if the server is set up so.

        Raises:
            DriverFailure: a statement failed and somebody went on: the server would quietly roll back instead.
        """
        if self.raw.info.transaction_status is pq.TransactionStatus.INERROR:
            raise DriverFailure
        self.plain("COMMIT")

    def rollback(self) -> None:
        """End the transaction if there is one; never fails."""
        if self.in_transaction:
            try:
                self._cursor.execute("ROLLBACK")
            except psycopg.Error:
                # The connection is gone, and the transaction with it.
                self.raw.close()

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows in one exchange with the server."""
        places = ", ".join(["%s"] * len(columns))
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
        try:
            self._cursor.executemany(text, rows)
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def savepoint(self) -> None:
        """Mark the place to go back to."""
        self.plain("SAVEPOINT unit")

    def release(self) -> None:
        """Forget the mark."""
        self.plain("RELEASE SAVEPOINT unit")

    def rollback_to(self) -> None:
        """Undo what happened since the mark, and forget it."""
        self.plain("ROLLBACK TO SAVEPOINT unit")
        self.plain("RELEASE SAVEPOINT unit")

    @property
    def in_transaction(self) -> bool:
        """Tell whether a transaction stands, sound or spoilt."""
        return self.raw.info.transaction_status in {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}

    def hold_stream(self, stream: str) -> None:
        """Take the stream's lock for as long as this connection lives.

        Raises:
            Conflict: ``already_running`` if another process holds it.
        """
        for attempt in range(STREAM_HOLD_TRIES):
            if attempt:
                # The connection of a process that was killed lives on for a moment.
                time.sleep(STREAM_HOLD_PAUSE_S)
            self._cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 7321))", [f"audit:{stream}"])
            row = self._cursor.fetchone()
            if row is not None and row[0]:
                return
        raise Conflict(
            ErrorCode.ALREADY_RUNNING,
            f"Another process writes the audit stream {stream} of this database.",
        )

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def plain(self, text: str) -> None:
        """Run a statement without parameters."""
        try:
            self._cursor.execute(text)
        except psycopg.Error as error:
            raise _translate(error, broken=self.raw.closed) from error

    def _run(self, statement: Statement, parameters: Mapping[str, Any]) -> psycopg.Cursor[Row]:
        return self._cursor.execute(statement.postgresql, parameters, prepare=None if statement.prepare else False)


class PostgresListener:
    """A connection that waits for `JOBS_CHANNEL`; see `strongroom.storage.engine.Listener`."""

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self._raw = raw
        raw.execute(f"LISTEN {JOBS_CHANNEL}")

    def wait(self, stop: socket.socket) -> bool:
        """Wait for a signal; return ``False`` as soon as there is something to read from ``stop``."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._raw.fileno(), selectors.EVENT_READ)
                selector.register(stop, selectors.EVENT_READ)
                # All that came are one signal.
                while not list(self._raw.notifies(timeout=0)):
                    if any(key.fileobj is stop for key, _ in selector.select()):
                        return False
        except psycopg.Error as error:
            raise ConnectionLost from error
        return True

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()


class PostgresEngine:
    """One database on a server."""

    dialect = POSTGRESQL
    reads_inline = False

    def __init__(self, url: str, *, read_pool: int) -> None:
        self._url = url
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            url,
            kwargs={**_SESSION, "autocommit": True},
            min_size=1,
            max_size=read_pool,
            timeout=POOL_TIMEOUT_S,
            # The pool waits longer from try to try. Giving up early lets the next read try anew, at once.
            reconnect_timeout=POOL_TIMEOUT_S,
            max_waiting=1000,
            name="strongroom-read",
            open=False,
        )
        self._lock = threading.Lock()
        self._is_open = self._is_closed = False

    @property
    def url(self) -> str:
        """Return the address for SQLAlchemy."""
        return "postgresql+psycopg://" + self._url.split("://", 1)[1]

    def open_writer(self) -> PostgresConnection:
        """Return a connection of its own."""
        try:
            return PostgresConnection(psycopg.connect(self._url, autocommit=True, **_SESSION))  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise _translate(error, broken=True) from error

    def open_listener(self) -> PostgresListener:
        """Return a connection that listens."""
        try:
            return PostgresListener(psycopg.connect(self._url, autocommit=True, **_SESSION))  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise _translate(error, broken=True) from error

    def begin_read(self) -> PostgresConnection:
        """Return a connection of the pool with a fresh snapshot open."""
        if not self._is_open:
            self._open()
        for last in (False, True):
            try:
                raw = self._pool.getconn()
            except (PoolTimeout, PoolClosed, TooManyRequests) as error:
                raise Unavailable(ErrorCode.UNAVAILABLE, "The database does not answer.") from error
            connection = PostgresConnection(raw)
            try:
                connection.begin_read()
            except ConnectionLost:
                self._pool.putconn(raw)
                if last:
                    raise
                # The server was restarted while the connection lay idle; the pool makes a new one.
                self._pool.check()
                continue
            return connection
        raise ConnectionLost

    def begin_look(self) -> PostgresConnection:
        """Return a connection as `begin_read` does: opening the snapshot shows whether it still lives."""
        return self.begin_read()

    def end_read(self, connection: Connection) -> None:
        """Close the snapshot and give the connection back."""
        assert isinstance(connection, PostgresConnection)  # noqa: S101 - this engine made it
        connection.rollback()
        self._pool.putconn(connection.raw)

    def close(self) -> None:
        """Close the pool."""
        with self._lock:
            self._is_closed = True
        self._pool.close()

    def _open(self) -> None:
        # Only with the first read: a command that just writes needs no pool, nor its threads.
        with self._lock:
            if self._is_closed:
                raise Unavailable(ErrorCode.UNAVAILABLE, "The store is closed.")
            if not self._is_open:
                self._pool.open()
                self._is_open = True
