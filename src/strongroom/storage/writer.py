"""The one thread that writes, and commits for many units at once.

Units queue up while a commit waits for the disk; the next batch takes them all. One that fails leaves
nothing and hurts nobody. At the end of the batch the
audit entries of what succeeded get their places in the hash chain, and one commit makes everything
durable; only then the callers hear of it.

Audit entries and read marks of payload reads go along with the next batch, or by themselves after a
short while. An entry that could not be stored stays queued: reads become slow, never unrecorded.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from strongroom.domain.audit.chain import ChainHead
from strongroom.domain.audit.record import AuditEntry, AuditRecord
from strongroom.kernel.errors import ErrorCode, StrongroomError, Unavailable
from strongroom.kernel.ids import SecretId
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import ConnectionLost, DuplicateRow, Engine, TransientFailure, WriteConnection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import SQLITE, Statement, sa, tables
from strongroom.storage.unit import SqlUnit

T = TypeVar("T")

BATCH_UNITS: Final = 256
BATCH_ENTRIES: Final = 4096
GATHER_S: Final = 0.0005
ENTRY_DELAY_S: Final = 0.05
TOUCH_DELAY_S: Final = 0.5
TRIES: Final = 4
RECONNECT_PAUSE_S: Final = 0.5

_log = logging.getLogger(__name__)

HEAD: Final = Statement(
    "writer.head",
    lambda _: (
        sa.select(tables.audit_records.c.sequence, tables.audit_records.c.hash)
        .where(tables.audit_records.c.stream == sa.bindparam("stream"))
        .order_by(tables.audit_records.c.sequence.desc())
        .limit(1)
    ),
)
RECORD_COLUMNS: Final = (
    "stream",
    "sequence",
    "time",
    "initiator",
    "action",
    "target_id",
    "outcome",
    "request_id",
    "body",
    "previous_hash",
    "hash",
)
TOUCH: Final = Statement(
    "writer.touch",
    lambda dialect: (
        "UPDATE secrets SET retrieved_at = seen.value FROM json_each(:seen) AS seen "
        "WHERE secrets.id = seen.key AND coalesce(secrets.retrieved_at, -1) < seen.value"
        if dialect == SQLITE
        # Locked in order, so that two processes never wait for each other.
        else "WITH seen AS MATERIALIZED ("
        "SELECT secrets.pk, given.value::bigint AS instant FROM json_each_text(CAST(%(seen)s AS json)) AS given "
        "JOIN secrets ON secrets.id = given.key ORDER BY secrets.pk FOR UPDATE OF secrets) "
        "UPDATE secrets SET retrieved_at = seen.instant FROM seen "
        "WHERE secrets.pk = seen.pk AND coalesce(secrets.retrieved_at, -1) < seen.instant"
    ),
)
"""One statement for all: each would give up the interpreter's lock, and wait to get it back."""


@dataclass(slots=True)
class WriterStats:
    """Figures for the metrics; read without a lock, so each is right but they may not agree."""

    batches: int = 0
    units: int = 0
    failed_units: int = 0
    audit_records: int = 0
    largest_batch: int = 0
    queued_units: int = 0
    queued_entries: int = 0


@dataclass(slots=True, eq=False)
class _Job:
    """A unit and the future that tells how it ended."""

    fn: Callable[[SqlUnit], Any]
    future: Future[Any]
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Batch:
    """What is committed together."""

    jobs: list[_Job] = field(default_factory=list)
    entries: list[tuple[AuditEntry, Future[None] | None]] = field(default_factory=list)
    touches: dict[SecretId, int] = field(default_factory=dict)

    def parts(self) -> list[_Batch]:
        """Return the same work as batches of one."""
        parts = [_Batch(jobs=[job]) for job in self.jobs]
        if self.entries or self.touches:
            parts.append(_Batch(entries=self.entries, touches=self.touches))
        return parts


class _OutcomeUnknown(Exception):
    """The connection was lost while the commit was under way.

    Args:
        head: where the chain ends if the commit went through; ``None`` if it added no record.
    """

    def __init__(self, head: ChainHead | None) -> None:
        super().__init__()
        self.head = head


class _Catch:
    """Keeps whatever a caller's function raises, to be raised again in the caller's thread."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        self.error = error
        return True


class Writer:
    """Owns the writing connection and its thread.

    Args:
        engine: where the connection comes from.
        stream: audit stream of this process; nobody else may write it.
        durable_reads: let `record` always return a future.
        queue_limit: how many audit entries of reads may wait before `record` returns a future.
    """

    def __init__(self, engine: Engine, *, stream: str, durable_reads: bool = False, queue_limit: int = 10_000) -> None:
        self.stats = WriterStats()
        self._engine = engine
        self._stream = stream
        self._durable_reads = durable_reads
        self._queue_limit = queue_limit
        self._wake = threading.Condition(threading.Lock())
        self._jobs: deque[_Job] = deque()
        self._entries: deque[tuple[AuditEntry, Future[None] | None]] = deque()
        self._touches: dict[SecretId, int] = {}
        self._entries_due = 0.0
        self._touches_due = 0.0
        self._closing = False
        self._last_units = 0
        self._connection: WriteConnection | None = None
        self._head = ChainHead(stream)
        self._connect()
        self._thread = threading.Thread(target=self._work, name="strongroom-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[SqlUnit], T]) -> Future[T]:
        """Queue the unit; the future resolves once its commit is on disk."""
        future: Future[T] = Future()
        with self._wake:
            self._refuse_when_closed()
            self._jobs.append(_Job(fn, future))
            self._wake.notify()
        return future

    def record(self, entry: AuditEntry) -> Future[None] | None:
        """Queue the audit entry of a read; return a future when the caller has to wait for it."""
        with self._wake:
            self._refuse_when_closed()
            wait = self._durable_reads or len(self._entries) >= self._queue_limit
            future: Future[None] | None = Future() if wait else None
            if not self._entries:
                self._entries_due = time.monotonic() + ENTRY_DELAY_S
                self._wake.notify()
            if wait:
                self._entries_due = 0.0
                self._wake.notify()
            self._entries.append((entry, future))
        return future

    def touch(self, secret_id: SecretId, at: datetime) -> None:
        """Note another read of a payload."""
        instant = to_microseconds(at)
        with self._wake:
            self._refuse_when_closed()
            if not self._touches:
                self._touches_due = time.monotonic() + TOUCH_DELAY_S
                self._wake.notify()
            if self._touches.get(secret_id, -1) < instant:
                self._touches[secret_id] = instant

    @property
    def is_alive(self) -> bool:
        """Tell whether the thread runs and has its connection."""
        return self._thread.is_alive() and self._connection is not None and not self._closing

    @property
    def is_current_thread(self) -> bool:
        """Tell whether the caller is inside a unit."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Write what is queued, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _refuse_when_closed(self) -> None:
        if self._closing:
            raise Unavailable(ErrorCode.UNAVAILABLE, "The store is closed.")

    # Everything below runs on the writer's thread.

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            with _Catch() as caught:
                self._settle(batch)
            if caught.error is not None:
                # A bug of ours; it must neither end the thread nor leave callers waiting.
                _log.error("a batch failed", exc_info=caught.error)
                if self._connection is not None:
                    self._connection.rollback()
                self._fail(batch, caught.error)
        self._disconnect()

    def _next(self) -> _Batch | None:
        """Wait for work and take it; ``None`` when closed and empty."""
        with self._wake:
            while not self._jobs and not self._closing:
                due = min(
                    self._entries_due if self._entries else float("inf"),
                    self._touches_due if self._touches else float("inf"),
                )
                pause = due - time.monotonic()
                if pause <= 0:
                    break
                self._wake.wait(None if pause == float("inf") else pause)
            few = 0 < len(self._jobs) < self._last_units and not self._closing
        if few:
            # As many callers as last time are probably at it again; one commit for all costs hardly more than for one.
            time.sleep(GATHER_S)
        with self._wake:
            batch = _Batch()
            while self._jobs and len(batch.jobs) < BATCH_UNITS:
                job = self._jobs.popleft()
                if job.future.set_running_or_notify_cancel():
                    batch.jobs.append(job)
            while self._entries and len(batch.entries) < BATCH_ENTRIES:
                batch.entries.append(self._entries.popleft())
            if self._closing or time.monotonic() >= self._touches_due:
                batch.touches, self._touches = self._touches, {}
            self._last_units = len(batch.jobs)
            self.stats.queued_units = len(self._jobs)
            self.stats.queued_entries = len(self._entries)
            if self._closing and not (batch.jobs or batch.entries or batch.touches):
                return None
            return batch

    def _settle(self, batch: _Batch) -> None:
        """Commit the batch, whatever it takes, and tell everybody how it ended."""
        failure: StrongroomError | None = None
        for attempt in range(TRIES):
            try:
                if self._connection is None:
                    self._connect()
                self._transact(batch)
            except _OutcomeUnknown as unknown:
                self._settle_unknown(batch, unknown)
                return
            except StrongroomError as error:
                failure = error
            else:
                self._succeed(batch)
                return
            if isinstance(failure, TransientFailure) and len(parts := batch.parts()) > 1:
                # Alone each holds few locks, for a short time: whoever stood in the way gets by.
                self._roll_back()
                for part in parts:
                    self._settle(part)
                return
            if not self._may_repeat(failure, attempt):
                break
        assert failure is not None  # noqa: S101 - every other way out returned
        self._fail(batch, failure)

    def _may_repeat(self, failure: StrongroomError, attempt: int) -> bool:
        """Get ready for another try, if that can help."""
        if isinstance(failure, ConnectionLost):
            # It may be a connection that lay idle while the server was restarted.
            self._disconnect()
            return self._reconnects()
        self._roll_back()
        if not isinstance(failure, TransientFailure):
            return False
        time.sleep(random.uniform(0.005, 0.02) * (attempt + 1))  # noqa: S311 - just to get out of step
        return True

    def _settle_unknown(self, batch: _Batch, unknown: _OutcomeUnknown) -> None:
        """Find out whether a commit went through whose answer was lost: the chain says."""
        self._disconnect()
        # Holding the stream again means that the old session is over, one way or the other.
        if self._reconnects() and unknown.head is not None and self._head == unknown.head:
            self._succeed(batch)
        else:
            self._fail(batch, unknown.__cause__ or unknown)

    def _transact(self, batch: _Batch) -> None:
        """Run the batch in one transaction; on return it is committed."""
        connection = self._connection
        assert connection is not None  # noqa: S101 - the caller connected
        before = replace(self._head)
        connection.begin()
        try:
            pending = self._run_all(connection, batch.jobs)
            pending.apply(connection)
            if batch.touches:
                connection.run(TOUCH, seen=json.dumps(batch.touches))
            entries = [*pending.entries, *(entry for entry, _ in batch.entries)]
            if entries:
                self._add_records(connection, entries)
        except BaseException:
            self._head = before
            raise
        try:
            connection.commit()
        except ConnectionLost as error:
            raise _OutcomeUnknown(replace(self._head) if entries else None) from error
        except BaseException:
            self._head = before
            raise
        self.stats.audit_records += len(entries)

    def _add_records(self, connection: WriteConnection, entries: list[AuditEntry]) -> None:
        rows = [_record_row(entry, self._head.append(entry)) for entry in entries]
        try:
            connection.insert("audit_records", RECORD_COLUMNS, rows)
        except DuplicateRow as error:
            # Somebody else wrote this stream (a command beside the server): go on from where it ends now.
            self._disconnect()
            raise TransientFailure from error

    def _run_all(self, connection: WriteConnection, jobs: Sequence[_Job]) -> Pending:
        """Run the units; one that fails leaves nothing, and the others do not notice.

        Nearly all succeed, and a savepoint costs as much as a change. So there are none at first; if a unit fails,
        all is rolled back and runs again with them.
        """
        pending = Pending()
        if all(self._run(connection, job, pending) for job in jobs):
            return pending
        connection.rollback()
        connection.begin()
        pending = Pending()
        if len(jobs) > 1:
            for job in jobs:
                connection.savepoint()
                if self._run(connection, job, pending):
                    connection.release()
                elif connection.in_transaction:
                    connection.rollback_to()
                else:
                    # The failure ended the whole transaction (a full disk): the others have to run again.
                    raise TransientFailure from job.error
        return pending

    def _run(self, connection: WriteConnection, job: _Job, pending: Pending) -> bool:
        """Run one unit, and tell whether it succeeded."""
        own = Pending(within=pending)
        job.value = job.error = None
        with _Catch() as caught:
            job.value = job.fn(SqlUnit(connection, own))
        if isinstance(caught.error, (TransientFailure, ConnectionLost)):
            raise caught.error
        job.error = caught.error
        if job.error is None:
            pending.absorb(own)
        return job.error is None

    def _succeed(self, batch: _Batch) -> None:
        stats = self.stats
        stats.batches += 1
        stats.units += len(batch.jobs)
        stats.largest_batch = max(stats.largest_batch, len(batch.jobs))
        for job in batch.jobs:
            if job.error is not None:
                stats.failed_units += 1
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.value)
        for _, future in batch.entries:
            if future is not None:
                future.set_result(None)

    def _fail(self, batch: _Batch, error: BaseException) -> None:
        """Tell everybody that nothing was committed; entries that nobody waits for are kept."""
        for job in batch.jobs:
            if not job.future.done():
                job.future.set_exception(job.error or error)
        kept: list[tuple[AuditEntry, Future[None] | None]] = []
        for entry, future in batch.entries:
            if future is None:
                kept.append((entry, None))
            elif not future.done():
                future.set_exception(error)
        if not kept and not batch.touches:
            return
        with self._wake:
            if self._closing:
                _log.error("%d audit entries of reads could not be stored before the end", len(kept))
                return
            self._entries.extendleft(reversed(kept))
            self._touches = {**batch.touches, **self._touches}
            self._entries_due = self._touches_due = time.monotonic() + RECONNECT_PAUSE_S

    def _roll_back(self) -> None:
        if self._connection is not None:
            self._connection.rollback()

    def _connect(self) -> None:
        """Open the connection and read where the chain ends."""
        connection = self._engine.open_writer()
        try:
            connection.hold_stream(self._stream)
            row = connection.row(HEAD, stream=self._stream)
        except BaseException:
            connection.close()
            raise
        self._head = ChainHead(self._stream) if row is None else ChainHead(self._stream, int(row[0]), str(row[1]))
        self._connection = connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _reconnects(self) -> bool:
        try:
            self._connect()
        except StrongroomError as error:
            _log.warning("the database does not answer: %s", error.detail)
            return False
        return True


def _record_row(entry: AuditEntry, record: AuditRecord) -> tuple[Any, ...]:
    return (
        record.stream,
        record.sequence,
        to_microseconds(entry.time),
        entry.initiator.id,
        entry.action,
        entry.target.id,
        entry.outcome.value,
        entry.request_id,
        record.body,
        record.previous_hash,
        record.hash,
    )
