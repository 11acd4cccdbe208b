"""The store as the domain sees it: reads anywhere, writes through one thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from strongroom.domain import ports
from strongroom.domain.audit.record import AuditEntry
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.ids import SecretId
from strongroom.storage.engine import ConnectionLost, Engine, open_engine
from strongroom.storage.job_signals import JobSignals
from strongroom.storage.migrate import REVISION, ensure_schema, stored_revision
from strongroom.storage.pending import Pending
from strongroom.storage.statements import SQLITE
from strongroom.storage.unit import SqlReadUnit
from strongroom.storage.writer import Writer, WriterStats

T = TypeVar("T")

_NOTHING_PENDING: Final = Pending()


class SqlStorage:
    """Implements `strongroom.domain.ports.Storage` on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self.engine = engine
        self._writer = writer
        self._begin_read = engine.begin_read
        self._begin_look = engine.begin_look
        self._end_read = engine.end_read
        self._signals: JobSignals | None = None
        self.record: Callable[[AuditEntry], Future[None] | None] = writer.record
        self.touch: Callable[[SecretId, datetime], None] = writer.touch

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self.engine.dialect

    @property
    def reads_inline(self) -> bool:
        """Tell whether a primary-key read is quick enough for the event loop."""
        return self.engine.reads_inline

    @property
    def stats(self) -> WriterStats:
        """Return the writer's figures."""
        return self._writer.stats

    def read(self, fn: Callable[[ports.ReadUnit], T]) -> T:
        """Run the unit over one snapshot."""
        try:
            connection = self._begin_read()
            try:
                return fn(SqlReadUnit(connection, _NOTHING_PENDING))
            finally:
                self._end_read(connection)
        except ConnectionLost:
            return self._read_again(fn)

    def look(self, fn: Callable[[ports.ReadUnit], T]) -> T:
        """Run a unit that is one statement, or whose statements need not agree."""
        try:
            connection = self._begin_look()
            try:
                return fn(SqlReadUnit(connection, _NOTHING_PENDING))
            finally:
                self._end_read(connection)
        except ConnectionLost:
            return self._read_again(fn)

    def write(self, fn: Callable[[ports.Unit], T]) -> T:
        """Run the unit and return once its commit is on disk."""
        if self._writer.is_current_thread:
            message = "a unit cannot wait for another unit: both belong to the writer's thread"
            raise RuntimeError(message)
        return self._writer.submit(fn).result()

    def submit(self, fn: Callable[[ports.Unit], T]) -> Future[T]:
        """Queue the unit; the future resolves once its commit is on disk."""
        return self._writer.submit(fn)

    def ready(self) -> None:
        """Check that the database answers and its schema is current.

        Raises:
            Unavailable: it does not, or it is not.
        """
        connection = self._begin_read()
        try:
            revision = stored_revision(connection)
        finally:
            self._end_read(connection)
        if revision != REVISION:
            raise Unavailable(ErrorCode.UNAVAILABLE, "The database has the schema of another version.")
        if not self._writer.is_alive:
            raise Unavailable(ErrorCode.UNAVAILABLE, "The store takes no changes at the moment.")

    def on_new_jobs(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called, from another thread, when any process queued a job.

        Only where the database tells of it, and not reliably: who calls this looks now and then as well.
        """
        if self.dialect != SQLITE:
            self._signals = JobSignals(self.engine, heard)

    def close(self) -> None:
        """Write what is queued, then let go of the database."""
        if self._signals is not None:
            self._signals.close()
        self._writer.close()
        self.engine.close()

    def _read_again(self, fn: Callable[[ports.ReadUnit], T]) -> T:
        # A server that was restarted closes idle connections; the unit has changed nothing.
        connection = self._begin_read()
        try:
            return fn(SqlReadUnit(connection, _NOTHING_PENDING))
        finally:
            self._end_read(connection)


def open_storage(
    url_or_path: str | Path,
    *,
    stream: str,
    durable_reads: bool = False,
    read_pool: int = 8,
    queue_limit: int = 10_000,
) -> SqlStorage:
    """Open the store, creating or upgrading its tables.

    Args:
        url_or_path: ``postgresql://...``, ``sqlite:///path`` or the path of the SQLite file.
        stream: name of the audit stream that this process writes; on PostgreSQL every process has its own.
        durable_reads: let answers to reads wait until their audit entry is on disk.
        read_pool: most connections for reading on PostgreSQL.
        queue_limit: how many audit entries of reads may wait in memory.

    Raises:
        Unavailable: the database does not answer or belongs to a newer version.
        Conflict: ``already_running`` if another process writes the stream.
    """
    engine = open_engine(url_or_path, read_pool=read_pool)
    try:
        ensure_schema(engine)
        return SqlStorage(engine, Writer(engine, stream=stream, durable_reads=durable_reads, queue_limit=queue_limit))
    except BaseException:
        engine.close()
        raise
