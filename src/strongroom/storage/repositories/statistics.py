"""Counts for the metrics, each by an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from strongroom.domain.jobs.model import JobState
from strongroom.domain.ports import AuthorityFigures, Statistics
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import TYPE_NUMBERS, instant_of
from strongroom.storage.statements import SQLITE, Statement, sa, tables

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


def _trouble(_: str) -> sa.Executable:
    secrets = tables.secrets.c
    return (
        sa.select(secrets.rotation_status, sa.func.count())
        .where(tables.is_in_trouble)
        .group_by(secrets.rotation_status)
    )


def _failed_by_ca(dialect: str) -> sa.Executable:
    secrets = tables.secrets.c
    ca = _member(dialect, "secrets.attributes", "ca")
    return (
        sa.select(ca, sa.func.count())
        .select_from(tables.secrets)
        .where(
            tables.is_in_trouble,
            secrets.rotation_status == sa.literal_column("'failed'"),
            secrets.type_no == sa.literal_column(str(TYPE_NUMBERS[SecretType.PUBLIC_CERT])),
        )
        .group_by(ca)
    )


def _renewals(_: str) -> sa.Executable:
    secrets = tables.secrets.c
    return (
        sa.select(sa.func.count())
        .select_from(tables.secrets)
        .where(tables.is_rotating, secrets.next_rotation_at <= sa.bindparam("until", type_=sa.BigInteger))
    )


def _next_renewal(_: str) -> sa.Executable:
    return sa.select(sa.func.min(tables.secrets.c.next_rotation_at)).where(tables.is_rotating)


def _orders(dialect: str) -> sa.Executable:
    orders, jobs = tables.orders.c, tables.jobs.c
    ca = _member(dialect, "orders.document", "ca")
    return (
        sa.select(ca, jobs.state, jobs.step, sa.func.count())
        .join_from(tables.orders, tables.jobs, jobs.id == orders.id)
        .where(tables.is_open_order)
        .group_by(ca, jobs.state, jobs.step)
    )


def _member(dialect: str, column: str, name: str) -> sa.ColumnElement[str]:
    """Return a member of a JSON text."""
    text = f"json_extract({column}, '$.{name}')" if dialect == SQLITE else f"({column}::json ->> '{name}')"
    return sa.literal_column(text, type_=sa.Text)


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
_TROUBLE: Final = Statement("statistics.trouble", _trouble)
_FAILED_BY_CA: Final = Statement("statistics.failed_by_ca", _failed_by_ca)
_RENEWALS: Final = Statement("statistics.renewals", _renewals)
_NEXT_RENEWAL: Final = Statement("statistics.next_renewal", _next_renewal)
_ORDERS: Final = Statement("statistics.orders", _orders)
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
        trouble = {str(row[0]): int(row[1]) for row in self._connection.rows(_TROUBLE)}
        next_renewal = self._connection.row(_NEXT_RENEWAL)
        return Statistics(
            expired=expired,
            expiring=tuple(expiring),
            rotations_failed=trouble.get("failed", 0),
            rotations_blocked=trouble.get("blocked", 0),
            renewals=tuple(self._count_renewals(until) for until in (now, *bounds)),
            next_renewal_at=None if next_renewal is None else instant_of(next_renewal[0]),
            orders={(row[0], JobState(row[1]), row[2]): row[3] for row in self._connection.rows(_ORDERS)},
            orders_failed={row[0]: row[1] for row in self._connection.rows(_FAILED_BY_CA)},
            jobs={(row[0], JobState(row[1])): row[2] for row in self._connection.rows(_JOBS)},
            authorities=tuple(_figures(row) for row in self._connection.rows(_AUTHORITIES)),
        )

    def _count_expiring(self, after: int, until: int) -> int:
        row = self._connection.row(_EXPIRING, after=after, until=until)
        return 0 if row is None else int(row[0])

    def _count_renewals(self, until: datetime) -> int:
        row = self._connection.row(_RENEWALS, until=to_microseconds(until))
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
