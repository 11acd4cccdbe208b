"""A store in memory with what audit and jobs need of it; the same contract, one lock, no SQL."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from strongroom.domain.audit.chain import ChainHead, checkpoint_line, record_line
from strongroom.domain.audit.record import AuditEntry, AuditRecord
from strongroom.domain.jobs.model import ENDED, Job, JobQuery, JobState
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import JobId, SecretId
from strongroom.kernel.result import Page

T = TypeVar("T")


@dataclass
class MemoryJobs:
    """Jobs, oldest first."""

    rows: dict[JobId, Job] = field(default_factory=dict)

    def find(self, job_id: JobId) -> Job | None:
        return self.rows.get(job_id)

    def page(self, query: JobQuery) -> Page[Job]:
        found = [
            job
            for job in reversed(self.rows.values())
            if query.kind in {None, job.kind}
            and query.state in {None, job.state}
            and query.secret_id in {None, job.secret_id}
            and (
                query.include_instance
                if job.group_id is None
                else (query.groups is None or job.group_id in query.groups)
            )
        ]
        window = found[query.offset : query.offset + query.limit]
        return Page(items=window, total=len(found), limit=query.limit, offset=query.offset)

    def _taken(self, job: Job) -> bool:
        return any(
            other.dedupe_key == job.dedupe_key and other.state not in ENDED and other.id != job.id
            for other in self.rows.values()
        )

    def enqueue(self, job: Job) -> bool:
        if self._taken(job):
            return False
        self.rows[job.id] = job
        return True

    def _due(self, kinds: Sequence[str]) -> list[tuple[datetime, Job]]:
        return sorted(
            (
                (max(job.run_at, job.lease_until or job.run_at), job)
                for job in self.rows.values()
                if job.state not in ENDED and job.kind in kinds
            ),
            key=lambda due: due[0],
        )

    def claim(self, owner: str, now: datetime, lease_until: datetime, kinds: Sequence[str]) -> Job | None:
        for at, job in self._due(kinds):
            if at <= now:
                claimed = replace(
                    job, state=JobState.RUNNING, lease_owner=owner, lease_until=lease_until, fence=job.fence + 1
                )
                self.rows[job.id] = claimed
                return claimed
        return None

    def next_due(self, kinds: Sequence[str]) -> datetime | None:
        return next((at for at, _ in self._due(kinds)), None)

    def save(self, job: Job, *, fence: int) -> None:
        if self.rows[job.id].fence != fence:
            raise Conflict(ErrorCode.STALE_VERSION, "The job was claimed or changed since.")
        if job.state not in ENDED and self._taken(job):
            raise Conflict(ErrorCode.ALREADY_EXISTS, "Another job has taken its place.")
        self.rows[job.id] = job

    def last_of_secret(self, secret_id: SecretId) -> Job | None:
        return next((job for job in reversed(self.rows.values()) if job.secret_id == secret_id), None)

    def purge_ended(self, before: datetime, limit: int) -> int:
        old = [job.id for job in self.rows.values() if job.state in ENDED and job.updated_at < before][:limit]
        for job_id in old:
            del self.rows[job_id]
        return len(old)


@dataclass
class MemoryTrail:
    """The trail in the order of storing: records and checkpoints with their times."""

    rows: list[tuple[datetime, AuditRecord | tuple[str, str, str]]] = field(default_factory=list)

    def _records(self) -> list[tuple[datetime, AuditRecord]]:
        return [(at, row) for at, row in self.rows if isinstance(row, AuditRecord)]

    def heads(self, before: datetime | None = None) -> dict[str, tuple[int, str]]:
        heads: dict[str, tuple[int, str]] = {}
        for at, record in self._records():
            if before is not None and at >= before:
                break
            heads[record.stream] = (record.sequence, record.hash)
        return heads

    def export(
        self, from_time: datetime | None, to_time: datetime | None, *, after: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        first = next((i for i, (at, _) in enumerate(self.rows) if from_time is None or at >= from_time), len(self.rows))
        last = max((i for i, (at, _) in enumerate(self.rows) if to_time is None or at < to_time), default=-1)
        span = self.rows[first : last + 1]
        begin = int(after or 0)
        lines = [
            record_line(row) if isinstance(row, AuditRecord) else checkpoint_line(*row)
            for _, row in span[begin : begin + limit]
        ]
        return lines, str(begin + limit) if begin + limit < len(span) else None

    def records_after(self, stream: str, sequence: int, limit: int) -> Sequence[AuditRecord]:
        found = [row for _, row in self._records() if row.stream == stream and row.sequence > sequence]
        return sorted(found, key=lambda row: row.sequence)[:limit]

    def add_checkpoint(self, at: datetime, body: str, signature: str, public_key: str) -> None:
        self.rows.append((at, (body, signature, public_key)))

    def checkpoints(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, str, str, str]]:
        found = [row for _, row in self.rows if not isinstance(row, AuditRecord)]
        return [(index, *row) for index, row in enumerate(found, 1)][after : after + limit]


class _Purged:
    """Repositories that are only ever swept here."""

    def __init__(self) -> None:
        self.calls = 0

    def purge(self, before: datetime, limit: int) -> int:
        self.calls += 1
        return 0

    def purge_refresh_tokens(self, now: datetime) -> int:
        self.calls += 1
        return 0

    def purge_issued(self, before: datetime, limit: int) -> int:
        self.calls += 1
        return 0

    def purge_deliveries(self, before: datetime, limit: int) -> int:
        self.calls += 1
        return 0

    def purge_uses(self, before: datetime, limit: int) -> int:
        self.calls += 1
        return 0


class MemoryStorage:
    """Runs every unit at once, alone; a unit that raises leaves nothing."""

    reads_inline = True

    def __init__(self, stream: str = "one") -> None:
        self.jobs = MemoryJobs()
        self.audit_trail = MemoryTrail()
        self.events = _Purged()
        self.identities = _Purged()
        self.authorities = _Purged()
        self.orders = _Purged()
        self.notifications = _Purged()
        self.head = ChainHead(stream)
        self.writes = 0
        self._lock = threading.RLock()

    def as_port(self) -> Storage:
        return cast("Storage", self)

    def audit(self, entry: AuditEntry) -> None:
        self.audit_trail.rows.append((entry.time, self.head.append(entry)))

    def read(self, fn: Callable[[ReadUnit], T]) -> T:
        with self._lock:
            return fn(cast("ReadUnit", self))

    def write(self, fn: Callable[[Unit], T]) -> T:
        with self._lock:
            before = copy.copy(self.jobs.rows), copy.copy(self.audit_trail.rows), replace(self.head)
            self.writes += 1
            try:
                return fn(cast("Unit", self))
            except BaseException:
                self.jobs.rows, self.audit_trail.rows, self.head = before
                raise

    def submit(self, fn: Callable[[Unit], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(self.write(fn))
        except Exception as error:  # noqa: BLE001  (a future takes whatever the unit raised)
            future.set_exception(error)
        return future

    def record(self, entry: AuditEntry) -> Future[None] | None:
        self.write(lambda unit: unit.audit(entry))
        return None

    def ready(self) -> None:
        """It always is."""

    def touch(self, *_: Any) -> None:
        """Reads are not counted here."""

    def close(self) -> None:
        """Nothing is held."""
