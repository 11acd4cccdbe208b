"""What is asked of the tables of orders, of uses of CAs, and of renewal checks."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from strongroom.storage.statements import (
    Statement,
    conflict_insert,
    insert_into,
    insert_unless_there,
    one_of,
    sa,
    tables,
    values_of,
)

ORDER_COLUMNS: Final = (
    "id",
    "secret_id",
    "state",
    "names_key",
    "created_at",
    "updated_at",
    "row_version",
    "document",
    "sealed_key",
)
"""What is read of an order, in this order."""
SAVED_COLUMNS: Final = ("state", "names_key", "has_records", "updated_at", "document", "sealed_key")
CHECK_COLUMNS: Final = (
    "version_id",
    "check_at",
    "window_start",
    "window_end",
    "explanation_url",
    "renew_at",
    "failures",
)
"""What is read of a renewal check after the id of its secret, in this order."""


def _orders() -> sa.Select[Any]:
    return sa.select(*(tables.orders.c[name] for name in ORDER_COLUMNS))


def _is(column: str) -> sa.ColumnElement[bool]:
    return tables.orders.c[column] == sa.bindparam(column)


def _limit() -> sa.BindParameter[int]:
    return sa.bindparam("limit", type_=sa.Integer)


def _save(_: str) -> sa.Executable:
    orders = tables.orders.c
    return (
        sa.update(tables.orders)
        .where(orders.id == sa.bindparam("order_id"), orders.row_version == sa.bindparam("expected"))
        .values(**values_of(SAVED_COLUMNS), row_version=orders.row_version + sa.literal_column("1"))
        .returning(orders.row_version)
    )


def _forsaken(_: str) -> sa.Executable:
    orders = tables.orders.c
    one: sa.ColumnElement[int] = sa.literal_column("1")
    works_on_it = sa.select(one).select_from(tables.jobs).where(tables.jobs.c.id == orders.id, tables.is_open_job)
    has_secret = sa.select(one).select_from(tables.secrets).where(tables.secrets.c.id == orders.secret_id)
    return (
        sa.select(orders.id)
        .where(tables.is_open_order, ~works_on_it.exists() | ~has_secret.exists())
        .order_by(orders.pk)
        .limit(_limit())
    )


def _purge(_: str) -> sa.Executable:
    orders = tables.orders.c
    old = (
        sa.select(orders.pk)
        .where(tables.is_ended_order, orders.updated_at < sa.bindparam("before", type_=sa.BigInteger))
        .order_by(orders.updated_at, orders.pk)
        .limit(_limit())
    )
    return sa.delete(tables.orders).where(orders.pk.in_(old))


def _uses(_: str) -> sa.Executable:
    uses = tables.ca_uses.c
    return (
        sa.select(uses.at)
        .where(
            uses.ca_key == sa.bindparam("ca_key"),
            uses.kind == sa.bindparam("kind"),
            uses.subject == sa.bindparam("subject"),
            uses.at >= sa.bindparam("since", type_=sa.BigInteger),
        )
        .order_by(uses.at)
    )


def _purge_uses(_: str) -> sa.Executable:
    uses = tables.ca_uses.c
    old = (
        sa.select(uses.pk)
        .where(uses.at < sa.bindparam("before", type_=sa.BigInteger))
        .order_by(uses.at, uses.pk)
        .limit(_limit())
    )
    return sa.delete(tables.ca_uses).where(uses.pk.in_(old))


def _secret_pk() -> sa.ScalarSelect[Any]:
    return sa.select(tables.secrets.c.pk).where(tables.secrets.c.id == sa.bindparam("secret_id")).scalar_subquery()


def _checks() -> sa.Select[Any]:
    checks = tables.renewal_checks
    return sa.select(tables.secrets.c.id, *(checks.c[name] for name in CHECK_COLUMNS)).join_from(
        checks, tables.secrets, tables.secrets.c.pk == checks.c.secret_pk
    )


def _put_check(_: str) -> sa.Executable:
    columns = tables.renewal_checks.c
    given = {name: sa.bindparam(name, type_=columns[name].type) for name in CHECK_COLUMNS}
    # A secret that is gone gives no row: nothing is left to ask for.
    row = sa.select(tables.secrets.c.pk, *given.values()).where(tables.secrets.c.id == sa.bindparam("secret_id"))
    insert = conflict_insert(tables.renewal_checks).from_select(["secret_pk", *given], row)
    return insert.on_conflict_do_update(
        index_elements=["secret_pk"], set_={name: insert.excluded[name] for name in CHECK_COLUMNS}
    )


def _checks_due(_: str) -> sa.Executable:
    checks = tables.renewal_checks.c
    return (
        _checks()
        .where(checks.check_at <= sa.bindparam("now", type_=sa.BigInteger))
        .order_by(checks.check_at, checks.secret_pk)
        .limit(_limit())
    )


FIND: Final = Statement("orders.find", lambda _: _orders().where(_is("id")))
FIND_FOR_UPDATE: Final = Statement("orders.find_for_update", lambda _: _orders().where(_is("id")).with_for_update())
OPEN_OF_SECRET: Final = Statement(
    "orders.open_of_secret", lambda _: _orders().where(_is("secret_id"), tables.is_open_order)
)
OPEN_OF_NAMES: Final = Statement(
    "orders.open_of_names", lambda _: sa.select(tables.orders.c.id).where(_is("names_key"), tables.is_open_order)
)
LAST_OF_SECRET: Final = Statement(
    "orders.last_of_secret",
    lambda _: _orders().where(_is("secret_id")).order_by(tables.orders.c.pk.desc()).limit(sa.literal_column("1")),
)
OPEN_TOTAL: Final = Statement(
    "orders.open_total", lambda _: sa.select(sa.func.count()).select_from(tables.orders).where(tables.is_open_order)
)
ADD: Final = Statement("orders.add", lambda _: insert_unless_there(tables.orders))
SAVE: Final = Statement("orders.save", _save)
FORSAKEN: Final = Statement("orders.forsaken", _forsaken)
WITH_RECORDS: Final = Statement(
    "orders.with_records",
    lambda _: sa.select(tables.orders.c.id).where(tables.is_left_order).order_by(tables.orders.c.pk).limit(_limit()),
)
PURGE: Final = Statement("orders.purge", _purge)
NOTE_USE: Final = Statement("orders.uses.note", lambda _: insert_into(tables.ca_uses))
USES: Final = Statement("orders.uses.since", _uses)
PURGE_USES: Final = Statement("orders.uses.purge", _purge_uses)
PUT_CHECK: Final = Statement("orders.checks.put", _put_check)
FIND_CHECK: Final = Statement(
    "orders.checks.find", lambda _: _checks().where(tables.secrets.c.id == sa.bindparam("secret_id"))
)
REMOVE_CHECK: Final = Statement(
    "orders.checks.remove",
    lambda _: sa.delete(tables.renewal_checks).where(tables.renewal_checks.c.secret_pk == _secret_pk()),
)
CHECKS_DUE: Final = Statement("orders.checks.due", _checks_due)


@cache
def find_many(size: int) -> Statement:
    """Return the statement that reads so many orders, a number of `bucket`."""
    return Statement(f"orders.find_many.{size}", lambda _: _orders().where(one_of(tables.orders.c.id, "id", size)))
