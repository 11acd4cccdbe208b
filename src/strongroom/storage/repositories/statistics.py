"""Counts for the metrics, each by an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from strongroom.domain.jobs.model import JobState
from strongroom.domain.ports import AuthorityFigures, Statistics
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import instant_of
from strongroom.storage.statements import Statement, sa, tables

_NEVER: Final = (1 << 63) - 1
_SHOWN: Final = (JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.FAILED)


def _expiring(_: str) -> sa.Executable:
    secrets = tables.secrets.c
    return (
        sa.select(sa.func.count())
        .select_from(tables.secrets)
        .where(
            tables.is_expiring,
            secrets.expires_at > sa.bindparam("after", type_=sa.BigInteger),
            secrets.expires_at <= sa.bindparam("until", type_=sa.BigInteger),
        )
    )


def _overdue(_: str) -> sa.Executable:
    # A rotation that failed or is blocked stays due: only what is overdue can have trouble.
    secrets = tables.secrets.c
    return (
        sa.select(secrets.rotation_status, sa.func.count())
        .where(tables.is_rotating, secrets.next_rotation_at <= sa.bindparam("now", type_=sa.BigInteger))
        .group_by(secrets.rotation_status)
    )


def _jobs(_: str) -> sa.Executable:
    jobs = tables.jobs.c
    return (
        sa.select(jobs.kind, jobs.state, sa.func.count())
        .where(jobs.state.in_([sa.literal_column(f"'{state.value}'") for state in _SHOWN]))
        .group_by(jobs.kind, jobs.state)
    )


def _authorities(_: str) -> sa.Executable:
    # Without the list itself, which may have megabytes.
    authorities, configurations, crls = tables.authorities.c, tables.configurations.c, tables.crls.c
    return (
        sa.select(
            configurations.name,
            authorities.generation,
            authorities.key_id,
            authorities.not_after,
            authorities.revoked_at,
            authorities.crl_number,
            crls.next_update,
        )
        .join_from(tables.authorities, tables.configurations, configurations.pk == authorities.configuration_pk)
        .join(tables.crls, crls.authority_pk == authorities.pk, isouter=True)
        .where(authorities.not_after.is_not(None))
        .order_by(authorities.configuration_pk, authorities.generation.desc())
    )


_EXPIRING: Final = Statement("statistics.expiring", _expiring)
_OVERDUE: Final = Statement("statistics.overdue", _overdue)
_JOBS: Final = Statement("statistics.jobs", _jobs)
_AUTHORITIES: Final = Statement("statistics.authorities", _authorities)


class SqlStatistics:
    """Implements `StatisticsRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def gather(self, now: datetime, bounds: Sequence[datetime]) -> Statistics:
        """Count; ``bounds`` are later than ``now`` and in order."""
        edges = [-_NEVER, *map(to_microseconds, (now, *bounds)), _NEVER]
        expired, *expiring = (self._count_expiring(after, until) for after, until in pairwise(edges))
        trouble = {str(row[0]): int(row[1]) for row in self._connection.rows(_OVERDUE, now=to_microseconds(now))}
        return Statistics(
            expired=expired,
            expiring=tuple(expiring),
            rotations_failed=trouble.get("failed", 0),
            rotations_blocked=trouble.get("blocked", 0),
            jobs={(row[0], JobState(row[1])): row[2] for row in self._connection.rows(_JOBS)},
            authorities=tuple(_figures(row) for row in self._connection.rows(_AUTHORITIES)),
        )

    def _count_expiring(self, after: int, until: int) -> int:
        row = self._connection.row(_EXPIRING, after=after, until=until)
        return 0 if row is None else int(row[0])


def _figures(row: Row) -> AuthorityFigures:
    return AuthorityFigures(
        name=row[0],
        generation=row[1],
        key_id=row[2],
        not_after=from_microseconds(row[3]),
        is_revoked=row[4] is not None,
        crl_number=row[5],
        crl_next_update=instant_of(row[6]),
    )
