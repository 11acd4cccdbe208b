"""What the two databases have in common, and the words in which their failures are told.

`SqliteEngine` and `PostgresEngine` are the only places that know a driver. Both give connections with
the same few methods; everything above speaks `Statement` and plain rows.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from strongroom.kernel.errors import Conflict, ErrorCode, Internal, Unavailable
from strongroom.storage.statements import Statement

Row = tuple[Any, ...]
"""One row as the driver gives it."""


class DuplicateRow(Conflict):
    """A unique key is taken; on PostgreSQL the unit cannot go on."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.ALREADY_EXISTS, "Something with the same key already exists.")


class StillReferenced(Conflict):
    """A row that others point to was to go, or one that is gone was pointed to."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.STATE_FORBIDS, "Something else still refers to it, or it is no longer there.")


class DriverFailure(Internal):
    """The database refused a statement of ours: a bug, or a right that is missing; the cause says which."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.INTERNAL, "The database refused a statement.")


class TransientFailure(Unavailable):
    """A deadlock, a lock that was not free in time, a failed serialisation: the unit may run again."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "The database is busy with other changes; try again.")


class ConnectionLost(Unavailable):
    """The database went away; what was not committed is gone."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "The database does not answer.")


class TookTooLong(Unavailable):
    """A statement passed its time limit and was stopped."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.UNAVAILABLE,
            "The search took too long and was stopped.",
            hint="Search for three or more characters, or narrow the list to some groups or types.",
        )


class Connection(Protocol):
    """One connection to the database, used by one thread at a time."""

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        ...

    def row(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """Run it and return its first row."""
        ...

    def rows(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Run it and return all its rows."""
        ...

    def run(self, statement: Statement, /, **parameters: Any) -> int:
        """Run it and return how many rows it touched."""
        ...

    def many(self, statement: Statement, parameters: Iterable[Mapping[str, Any]], /) -> None:
        """Run it once per set of parameters."""
        ...

    def stream(self, statement: Statement, /, size: int = 500, **parameters: Any) -> Iterator[Row]:
        """Run it inside the open transaction and yield its rows, holding few of them at a time."""
        ...

    def limit_time(self, seconds: float | None) -> None:
        """Stop statements of this transaction that run longer (`TookTooLong`); ``None`` lifts it."""
        ...


class WriteConnection(Connection, Protocol):
    """The writer's connection; transactions are spelt out."""

    def begin(self) -> None:
        """Begin a transaction that may write."""
        ...

    def commit(self) -> None:
        """Commit; it is on disk when this returns."""
        ...

    def rollback(self) -> None:
        """End the transaction if there is one; never fails."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of plain values, in as few statements as is quick."""
        ...

    def savepoint(self) -> None:
        """Mark the place to go back to."""
        ...

    def release(self) -> None:
        """Forget the mark."""
        ...

    def rollback_to(self) -> None:
        """Undo what happened since the mark, and forget it."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Tell whether the transaction still stands; some failures end it."""
        ...

    def hold_stream(self, stream: str) -> None:
        """Make sure that no other process adds to the audit stream while this connection lives.

        Raises:
            Conflict: ``already_running`` if one does.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Listener(Protocol):
    """A connection that hears of new jobs."""

    def wait(self, stop: socket.socket) -> bool:
        """Wait for a signal; return ``False`` as soon as there is something to read from ``stop``."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Engine(Protocol):
    """One database and its connections."""

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        ...

    @property
    def url(self) -> str:
        """Return the address for SQLAlchemy; it may contain a password."""
        ...

    @property
    def reads_inline(self) -> bool:
        """Tell whether a primary-key read is quick enough for the event loop."""
        ...

    def open_writer(self) -> WriteConnection:
        """Return a connection that may write."""
        ...

    def open_listener(self) -> Listener | None:
        """Return a connection that listens; ``None`` where the database cannot tell (SQLite: one process)."""
        ...

    def begin_look(self) -> Connection:
        """Return a connection for single statements; `end_read` takes it back."""
        ...

    def begin_read(self) -> Connection:
        """Return this thread's connection with a fresh snapshot open."""
        ...

    def end_read(self, connection: Connection) -> None:
        """Close the snapshot and give the connection back."""
        ...

    def close(self) -> None:
        """Close every connection for reading."""
        ...


def open_engine(url_or_path: str | Path, *, read_pool: int) -> Engine:
    """Return the engine for ``postgresql://...``, ``sqlite:///path`` or a path."""
    text = str(url_or_path)
    if text.startswith(("postgresql://", "postgres://")):
        from strongroom.storage.postgresql import PostgresEngine

        return PostgresEngine("postgresql://" + text.split("://", 1)[1], read_pool=read_pool)
    from strongroom.storage.sqlite import SqliteEngine

    return SqliteEngine(Path(text.removeprefix("sqlite:///")))
