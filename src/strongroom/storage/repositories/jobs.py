"""Durable jobs: a queue with leases and fences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from strongroom.domain.jobs.model import ENDED, Job, JobError, JobQuery, JobState
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import GroupId, JobId, SecretId
from strongroom.kernel.result import Page
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import (
    POSTGRESQL,
    SQLITE,
    Statement,
    bucket,
    columns_of,
    insert_unless_there,
    one_of,
    sa,
    spread,
    tables,
    values_of,
)

# SQLite, which keeps no figures, would rather walk every job of a kind, ended ones included.
_BY_TIME: Final = "INDEXED BY ix_jobs_due"

_PROGRESS: Final = (
    "state",
    "step",
    "data",
    "attempts",
    "waiting_for",
    "last_error",
    "run_at",
    "lease_owner",
    "lease_until",
    "fence",
    "result",
    "updated_at",
)


def _columns() -> list[sa.ColumnElement[Any]]:
    return columns_of(tables.jobs, without=["pk"])


def _find(_: str) -> sa.Executable:
    return sa.select(*_columns()).where(tables.jobs.c.id == sa.bindparam("id"))


def _enqueue(_: str) -> sa.Executable:
    return insert_unless_there(tables.jobs, conflict=["dedupe_key"], where=tables.is_open_job)


def _save(_: str) -> sa.Executable:
    jobs = tables.jobs.c
    return (
        sa.update(tables.jobs)
        .where(jobs.id == sa.bindparam("id"), jobs.fence == sa.bindparam("expected_fence"))
        .values(values_of(_PROGRESS))
    )


def _open_with_key(_: str) -> sa.Executable:
    jobs = tables.jobs.c
    return sa.select(jobs.id).where(
        tables.is_open_job, jobs.dedupe_key == sa.bindparam("dedupe_key"), jobs.id != sa.bindparam("id")
    )


def _last_of_secret(_: str) -> sa.Executable:
    jobs, later = tables.jobs.c, tables.jobs.alias("later")
    made_good = (
        sa.select(later.c.pk)
        .with_hint(later, "INDEXED BY ix_jobs_secret_id", SQLITE)
        .where(
            later.c.secret_id == jobs.secret_id,
            later.c.pk > jobs.pk,
            later.c.kind == jobs.kind,
            later.c.state == sa.literal_column("'done'"),
        )
        .exists()
    )
    # Work that is still open says more than a failure that came after it was queued.
    open_first = sa.case((tables.is_open_job, sa.literal_column("0")), else_=sa.literal_column("1"))
    return (
        sa.select(*_columns())
        .where(
            jobs.secret_id == sa.bindparam("secret_id"),
            tables.is_open_job | ((jobs.state == sa.literal_column("'failed'")) & ~made_good),
        )
        .order_by(open_first, jobs.pk.desc())
        .limit(sa.literal_column("1"))
    )


def _purge_ended(_: str) -> sa.Executable:
    jobs = tables.jobs.c
    old = (
        sa.select(jobs.pk)
        .where(tables.is_ended_job, jobs.updated_at < sa.bindparam("before"))
        .order_by(jobs.updated_at, jobs.pk)
        .limit(sa.bindparam("limit"))
    )
    return sa.delete(tables.jobs).where(jobs.pk.in_(old))


@cache
def _claim(kinds: int) -> Statement:
    def build(dialect: str) -> sa.Executable:
        jobs, now = tables.jobs.c, sa.bindparam("now", type_=sa.BigInteger)
        due = (
            sa.select(jobs.pk)
            .with_hint(tables.jobs, _BY_TIME, SQLITE)
            .where(
                tables.is_open_job,
                jobs.run_at <= now,
                jobs.lease_until.is_(None) | (jobs.lease_until <= now),
                one_of(jobs.kind, "kind_", kinds),
            )
            .order_by(jobs.run_at, jobs.pk)
            .limit(sa.literal_column("1"))
        )
        if dialect == POSTGRESQL:
            # Workers elsewhere pass over a row that is being claimed; on SQLite there is one writer anyway.
            due = due.with_for_update(skip_locked=True)
        return (
            sa.update(tables.jobs)
            .where(jobs.pk == due.scalar_subquery())
            .values(
                state=sa.literal_column("'running'"),
                lease_owner=sa.bindparam("owner"),
                lease_until=sa.bindparam("until"),
                fence=jobs.fence + sa.literal_column("1"),
                updated_at=now,
            )
            .returning(*_columns())
        )

    return Statement(f"jobs.claim.{kinds}", build)


@cache
def _next_due(kinds: int) -> Statement:
    def build(_: str) -> sa.Executable:
        jobs = tables.jobs.c
        free_at = sa.case((jobs.lease_until > jobs.run_at, jobs.lease_until), else_=jobs.run_at)
        return (
            sa.select(sa.func.min(free_at))
            .with_hint(tables.jobs, _BY_TIME, SQLITE)
            .where(tables.is_open_job, one_of(jobs.kind, "kind_", kinds))
        )

    return Statement(f"jobs.next_due.{kinds}", build)


# Which filters a list has: kind, state, secret, number of groups (None: not filtered), jobs without a secret.
_Shape = tuple[bool, bool, bool, int | None, bool]


def _conditions(shape: _Shape) -> list[sa.ColumnElement[bool]]:
    kind, state, secret, groups, with_instance = shape
    jobs = tables.jobs.c
    conditions: list[sa.ColumnElement[bool]] = []
    if kind:
        conditions.append(jobs.kind == sa.bindparam("kind"))
    if state:
        conditions.append(jobs.state == sa.bindparam("state"))
    if secret:
        conditions.append(jobs.secret_id == sa.bindparam("secret_id"))
    scope: list[sa.ColumnElement[bool]] = []
    if groups:
        scope.append(jobs.secret_id.is_not(None) & one_of(jobs.group_id, "group_", groups))
    if with_instance != (groups is None):
        scope.append(jobs.secret_id.is_(None) if with_instance else jobs.secret_id.is_not(None))
    if scope:
        conditions.append(sa.or_(*scope) if groups else scope[0])
    return conditions


@cache
def _page(shape: _Shape) -> tuple[Statement, Statement]:
    """Return the statements that count and that list."""

    def count(_: str) -> sa.Executable:
        return sa.select(sa.func.count()).select_from(tables.jobs).where(*_conditions(shape))

    def window(_: str) -> sa.Executable:
        return (
            sa.select(*_columns())
            .where(*_conditions(shape))
            .order_by(tables.jobs.c.pk.desc())
            .limit(sa.bindparam("limit"))
            .offset(sa.bindparam("offset"))
        )

    return Statement(f"jobs.count.{shape}", count, prepare=False), Statement(
        f"jobs.page.{shape}", window, prepare=False
    )


_FIND = Statement("jobs.find", _find)
_ENQUEUE = Statement("jobs.enqueue", _enqueue)
_SAVE = Statement("jobs.save", _save)
_OPEN_WITH_KEY = Statement("jobs.open_with_key", _open_with_key)
_LAST_OF_SECRET = Statement("jobs.last_of_secret", _last_of_secret)
_PURGE_ENDED = Statement("jobs.purge_ended", _purge_ended)


class SqlJobs:
    """Implements `JobRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def find(self, job_id: JobId) -> Job | None:
        """Return the job of this id."""
        row = self._connection.row(_FIND, id=job_id)
        return None if row is None else _job(row)

    def page(self, query: JobQuery) -> Page[Job]:
        """Return jobs newest first."""
        limit, offset = query.limit, query.offset
        if query.groups is not None and not query.groups and not query.include_instance:
            return Page(items=[], total=0, limit=limit, offset=offset)
        values: dict[str, Any] = {}
        if query.kind is not None:
            values["kind"] = query.kind
        if query.state is not None:
            values["state"] = query.state.value
        if query.secret_id is not None:
            values["secret_id"] = query.secret_id
        groups = None if query.groups is None else sorted(query.groups)
        if groups:
            values |= spread("group_", groups)
        size = None if groups is None else bucket(len(groups)) if groups else 0
        shape = ("kind" in values, "state" in values, "secret_id" in values, size, query.include_instance)
        count, window = _page(shape)
        counted = self._connection.row(count, **values)
        rows = self._connection.rows(window, **values, limit=limit, offset=offset)
        return Page(items=[_job(row) for row in rows], total=counted[0] if counted else 0, limit=limit, offset=offset)

    def enqueue(self, job: Job) -> bool:
        """Store it, or return ``False`` when a job with its dedupe key has not ended yet."""
        stored = self._connection.run(
            _ENQUEUE,
            id=job.id,
            kind=job.kind,
            dedupe_key=job.dedupe_key,
            secret_id=job.secret_id,
            group_id=job.group_id,
            created_at=to_microseconds(job.created_at),
            **_progress(job),
        )
        if stored:
            self._pending.tell_of_job()
        return stored == 1

    def claim(self, owner: str, now: datetime, lease_until: datetime, kinds: Sequence[str]) -> Job | None:
        """Lease the longest due job whose lease is free or has run out; its fence grows."""
        if not kinds:
            return None
        rows = self._connection.rows(
            _claim(bucket(len(kinds))),
            **spread("kind_", kinds),
            owner=owner,
            now=to_microseconds(now),
            until=to_microseconds(lease_until),
        )
        return _job(rows[0]) if rows else None

    def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next job that has not ended can be claimed: its time, or its lease's end."""
        if not kinds:
            return None
        row = self._connection.row(_next_due(bucket(len(kinds))), **spread("kind_", kinds))
        return None if row is None or row[0] is None else from_microseconds(row[0])

    def save(self, job: Job, *, fence: int) -> None:
        """Store progress, ``job.fence`` included, if ``fence`` is still the stored one.

        Whoever ends a job that another worker runs passes a job whose fence is one higher than
        ``fence``: that worker can then save nothing any more.

        Raises:
            Conflict: ``stale_version`` if another worker claimed it since, ``already_exists`` if it
                would be open again beside a newer job with its dedupe key.
            NotFound: there is no such job.
        """
        is_open = job.state not in ENDED
        if is_open and self._connection.row(_OPEN_WITH_KEY, dedupe_key=job.dedupe_key, id=job.id) is not None:
            raise Conflict(ErrorCode.ALREADY_EXISTS, "A newer job for the same work already exists and has not ended.")
        if self._connection.run(_SAVE, id=job.id, expected_fence=fence, **_progress(job)):
            return
        if self._connection.row(_FIND, id=job.id) is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no job {job.id}.")
        raise Conflict(
            ErrorCode.STALE_VERSION, "The job was taken over by another worker, or changed, since it was read."
        )

    def last_of_secret(self, secret_id: SecretId) -> Job | None:
        """Return the newest open job about the secret, else its newest failed one that no later success made good."""
        row = self._connection.row(_LAST_OF_SECRET, secret_id=secret_id)
        return None if row is None else _job(row)

    def purge_ended(self, before: datetime, limit: int) -> int:
        """Delete jobs that ended before the instant, oldest first, and return how many."""
        return self._connection.run(_PURGE_ENDED, before=to_microseconds(before), limit=limit)


def _progress(job: Job) -> dict[str, Any]:
    error = job.last_error
    return {
        "state": job.state.value,
        "step": job.step,
        "data": _encode(dict(job.data)),
        "attempts": job.attempts,
        "waiting_for": job.waiting_for,
        "last_error": None if error is None else _encode([error.code, error.message, error.reference_code]),
        "run_at": to_microseconds(job.run_at),
        "lease_owner": job.lease_owner,
        "lease_until": None if job.lease_until is None else to_microseconds(job.lease_until),
        "fence": job.fence,
        "result": None if job.result is None else _encode(dict(job.result)),
        "updated_at": to_microseconds(job.updated_at),
    }


def _encode(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _error(text: str | None) -> JobError | None:
    if text is None:
        return None
    code, message, reference_code = json.loads(text)
    return JobError(code=code, message=message, reference_code=reference_code)


def _job(row: Sequence[Any]) -> Job:
    (
        id_,
        kind,
        dedupe_key,
        state,
        step,
        data,
        secret_id,
        group_id,
        attempts,
        waiting_for,
        last_error,
        run_at,
        lease_owner,
        lease_until,
        fence,
        result,
        created_at,
        updated_at,
    ) = row
    return Job(
        id=JobId(id_),
        kind=kind,
        dedupe_key=dedupe_key,
        state=JobState(state),
        step=step,
        data=json.loads(data),
        secret_id=None if secret_id is None else SecretId(secret_id),
        group_id=None if group_id is None else GroupId(group_id),
        attempts=attempts,
        waiting_for=waiting_for,
        last_error=_error(last_error),
        run_at=from_microseconds(run_at),
        lease_owner=lease_owner,
        lease_until=None if lease_until is None else from_microseconds(lease_until),
        fence=fence,
        result=None if result is None else json.loads(result),
        created_at=from_microseconds(created_at),
        updated_at=from_microseconds(updated_at),
    )
