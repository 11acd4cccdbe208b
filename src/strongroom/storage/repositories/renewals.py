"""The list of coming renewals: a walk over the index that also finds what is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import RenewalQuery, Secret
from strongroom.kernel.result import Page
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.repositories.rows import SECRET_COLUMNS, secret_of
from strongroom.storage.statements import SQLITE, Statement, bucket, one_of, sa, spread, tables

_RENEW_AT: Final = SECRET_COLUMNS.index("next_rotation_at")
# SQLite, which keeps no figures, would rather sort what it finds by the conditions on groups and states.
_BY_TIME: Final = "INDEXED BY ix_secrets_due_for_rotation"


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is filtered by: how many groups, in buckets, and whether there is an end."""

    groups: int
    has_end: bool


def renewals_page(connection: Connection, query: RenewalQuery) -> Page[tuple[Secret, datetime]]:
    """Return one page, with its exact total."""
    if query.groups is not None and not query.groups:
        return Page(items=[], total=0, limit=query.limit, offset=query.offset)
    values: dict[str, Any] = {}
    if query.before is not None:
        values["before"] = to_microseconds(query.before)
    groups = sorted(query.groups or ())
    if groups:
        values |= spread("group", groups)
    shape = _Shape(groups=bucket(len(groups)) if groups else 0, has_end=query.before is not None)
    counted = connection.row(_count(shape), **values)
    rows = connection.rows(_page(shape), **values, limit=query.limit, offset=query.offset)
    return Page(
        items=[(secret_of(row), from_microseconds(row[_RENEW_AT])) for row in rows],
        total=0 if counted is None else int(counted[0]),
        limit=query.limit,
        offset=query.offset,
    )


@cache
def _count(shape: _Shape) -> Statement:
    def build(_: str) -> sa.Executable:
        return _hinted(shape, sa.select(sa.func.count()).select_from(tables.secrets)).where(*_conditions(shape))

    return Statement(f"renewals.count.{shape}", build, prepare=False)


@cache
def _page(shape: _Shape) -> Statement:
    def build(_: str) -> sa.Executable:
        secrets = tables.secrets.c
        return (
            _hinted(shape, sa.select(*(secrets[name] for name in SECRET_COLUMNS)))
            .where(*_conditions(shape))
            .order_by(secrets.next_rotation_at, secrets.pk)
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.Integer))
        )

    return Statement(f"renewals.page.{shape}", build, prepare=False)


def _hinted(shape: _Shape, select: sa.Select[Any]) -> sa.Select[Any]:
    # A few groups are gathered rather than all renewals walked.
    return select if shape.groups else select.with_hint(tables.secrets, _BY_TIME, SQLITE)


def _conditions(shape: _Shape) -> list[sa.ColumnElement[bool]]:
    secrets = tables.secrets.c
    conditions: list[sa.ColumnElement[bool]] = [tables.is_rotating]
    if shape.has_end:
        conditions.append(secrets.next_rotation_at < sa.bindparam("before", type_=sa.BigInteger))
    if shape.groups:
        # By their numbers, which the index of groups has.
        numbers = sa.select(tables.secret_groups.c.pk).where(one_of(tables.secret_groups.c.id, "group", shape.groups))
        conditions.append(secrets.group_no.in_(numbers.scalar_subquery()))
    return conditions
