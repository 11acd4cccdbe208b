"""The statements of identities and grants; most tables want the same few."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from strongroom.domain.identity.model import SubjectKind
from strongroom.storage.statements import (
    Statement,
    columns_of,
    insert_into,
    insert_unless_there,
    one_of,
    sa,
    tables,
    values_of,
)

USERS: Final = "users"
SERVICE_IDS: Final = "service_ids"
API_KEYS: Final = "api_keys"
POLICIES: Final = "policies"
ACCESS_GROUPS: Final = "access_groups"
REFRESH_TOKENS: Final = "refresh_tokens"

# What a save writes; the rest never changes (or, like last_used_at, moves by itself).
_SAVED: Final[dict[str, tuple[str, ...]]] = {
    USERS: ("name", "email", "origin", "state", "password_hash", "last_login_at"),
    SERVICE_IDS: ("name", "description", "entity_tag", "locked", "modified_at"),
    API_KEYS: (
        "name",
        "description",
        "entity_tag",
        "disabled",
        "locked",
        "expires_at",
        "allowed_networks",
        "modified_at",
    ),
    POLICIES: (
        "subject_kind",
        "subject",
        "roles",
        "group_id",
        "description",
        "document",
        "entity_tag",
        "modified_at",
        "modified_by",
    ),
    ACCESS_GROUPS: ("name", "description", "oidc_groups", "entity_tag", "modified_at", "modified_by"),
}


def _table(name: str) -> sa.Table:
    table: sa.Table = getattr(tables, name)
    return table


def _columns(name: str) -> list[sa.ColumnElement[Any]]:
    return columns_of(_table(name), without=["pk"])


@cache
def find_by(name: str, by: str) -> Statement:
    """Return the statement that reads the row with a value of a unique column."""

    def build(_: str) -> sa.Executable:
        return sa.select(*_columns(name)).where(_table(name).c[by] == sa.bindparam(by))

    return Statement(f"identities.{name}.find_by_{by}", build)


@cache
def page_by(name: str, by: tuple[str, ...]) -> tuple[Statement, Statement]:
    """Return the statements that count and that list, newest first."""

    def conditions() -> list[sa.ColumnElement[bool]]:
        return [_table(name).c[column] == sa.bindparam(column) for column in by]

    def count(_: str) -> sa.Executable:
        return sa.select(sa.func.count()).select_from(_table(name)).where(*conditions())

    def window(_: str) -> sa.Executable:
        return (
            sa.select(*_columns(name))
            .where(*conditions())
            .order_by(_table(name).c.pk.desc())
            .limit(sa.bindparam("limit"))
            .offset(sa.bindparam("offset"))
        )

    what = f"identities.{name}.{{}}_by_{'_'.join(by)}"
    return Statement(what.format("count"), count), Statement(what.format("page"), window)


@cache
def add_to(name: str) -> Statement:
    """Return the statement that adds a row unless one of its unique values is taken."""
    # Whichever unique key is taken (id, name, digest): no row is counted.
    return Statement(f"identities.{name}.add", lambda _: insert_unless_there(_table(name)))


@cache
def save_in(name: str, key: str, *, checked: bool) -> Statement:
    """Return the statement that changes a row; ``checked`` demands its entity tag."""

    def build(_: str) -> sa.Executable:
        columns = _table(name).c
        update = sa.update(_table(name)).where(columns[key] == sa.bindparam("key")).values(values_of(_SAVED[name]))
        return update.where(columns.entity_tag == sa.bindparam("expected_tag")) if checked else update

    return Statement(f"identities.{name}.save_{checked}", build)


@cache
def remove_by(name: str, by: tuple[str, ...]) -> Statement:
    """Return the statement that deletes the rows with these values."""

    def build(_: str) -> sa.Executable:
        columns = _table(name).c
        return sa.delete(_table(name)).where(*(columns[column] == sa.bindparam(column) for column in by))

    return Statement(f"identities.{name}.remove_by_{'_'.join(by)}", build)


@cache
def policies_of_subjects(iam_ids: int, access_groups: int) -> Statement:
    """Return the statement that reads the policies of so many identities and access groups."""

    def build(_: str) -> sa.Executable:
        policies = tables.policies.c
        either = [
            (policies.subject_kind == sa.literal_column(f"'{kind.value}'")) & one_of(policies.subject, prefix, size)
            for kind, prefix, size in (
                (SubjectKind.IAM_ID, "iam_", iam_ids),
                (SubjectKind.ACCESS_GROUP, "group_", access_groups),
            )
            if size
        ]
        return sa.select(*_columns(POLICIES)).where(sa.or_(*either)).order_by(policies.pk)

    return Statement(f"identities.policies_of.{iam_ids}_{access_groups}", build)


def _generation(_: str) -> sa.Executable:
    return sa.select(tables.identity_generation.c.generation)


def _touch(_: str) -> sa.Executable:
    keys, at = tables.api_keys.c, sa.bindparam("at", type_=sa.BigInteger)
    return (
        sa.update(tables.api_keys)
        .where(keys.id == sa.bindparam("key"), keys.last_used_at.is_(None) | (keys.last_used_at < at))
        .values(last_used_at=at)
    )


def _in_group() -> sa.ColumnElement[bool]:
    members, groups = tables.access_group_members.c, tables.access_groups.c
    return members.group_pk == groups.pk


def _count_groups_of(_: str) -> sa.Executable:
    members = tables.access_group_members.c
    return (
        sa.select(sa.func.count())
        .select_from(tables.access_group_members)
        .where(members.iam_id == sa.bindparam("iam_id"))
    )


@cache
def groups_of_member(*, windowed: bool) -> Statement:
    """Return the statement that lists the access groups of an identity, newest first."""

    def build(_: str) -> sa.Executable:
        members, groups = tables.access_group_members.c, tables.access_groups.c
        query = (
            sa.select(*_columns(ACCESS_GROUPS))
            .join_from(tables.access_groups, tables.access_group_members, _in_group())
            .where(members.iam_id == sa.bindparam("iam_id"))
            .order_by(groups.pk.desc())
        )
        return query.limit(sa.bindparam("limit")).offset(sa.bindparam("offset")) if windowed else query

    return Statement(f"identities.access_groups.of_{windowed}", build)


def _find_group_pk(_: str) -> sa.Executable:
    return sa.select(tables.access_groups.c.pk).where(tables.access_groups.c.id == sa.bindparam("id"))


def _count_members(_: str) -> sa.Executable:
    members = tables.access_group_members.c
    return (
        sa.select(sa.func.count())
        .select_from(tables.access_group_members)
        .where(members.group_pk == sa.bindparam("group_pk"))
    )


def _members(_: str) -> sa.Executable:
    members = tables.access_group_members.c
    return (
        sa.select(members.iam_id, members.type, members.created_at, members.created_by)
        .where(members.group_pk == sa.bindparam("group_pk"))
        .order_by(members.pk)
        .limit(sa.bindparam("limit"))
        .offset(sa.bindparam("offset"))
    )


def _remove_member(_: str) -> sa.Executable:
    members = tables.access_group_members.c
    group = sa.select(tables.access_groups.c.pk).where(tables.access_groups.c.id == sa.bindparam("id"))
    return sa.delete(tables.access_group_members).where(
        members.group_pk == group.scalar_subquery(), members.iam_id == sa.bindparam("iam_id")
    )


def _purge_tokens(_: str) -> sa.Executable:
    return sa.delete(tables.refresh_tokens).where(tables.refresh_tokens.c.expires_at <= sa.bindparam("now"))


def _remove_tokens_of_keys(_: str) -> sa.Executable:
    keys = sa.select(tables.api_keys.c.id).where(tables.api_keys.c.iam_id == sa.bindparam("iam_id"))
    return sa.delete(tables.refresh_tokens).where(tables.refresh_tokens.c.api_key_id.in_(keys))


GENERATION = Statement("identities.generation", _generation)
# An advisory lock, not the row of the generation: that one is written at the end of a batch, after the
# counters, and whoever held it earlier could wait for a counter of somebody who waits for it.
HOLD_POSTGRESQL = Statement("identities.hold", lambda _: "SELECT pg_advisory_xact_lock(7164775312210497)")
TOUCH = Statement("identities.api_keys.touch", _touch)
COUNT_GROUPS_OF = Statement("identities.access_groups.count_of", _count_groups_of)
FIND_GROUP_PK = Statement("identities.access_groups.find_pk", _find_group_pk)
COUNT_MEMBERS = Statement("identities.members.count", _count_members)
MEMBERS = Statement("identities.members.page", _members)
ADD_MEMBER = Statement(
    "identities.members.add",
    lambda _: insert_unless_there(tables.access_group_members, conflict=["group_pk", "iam_id"]),
)
REMOVE_MEMBER = Statement("identities.members.remove", _remove_member)
REMOVE_MEMBERSHIPS = Statement(
    "identities.members.remove_all",
    lambda _: sa.delete(tables.access_group_members).where(
        tables.access_group_members.c.iam_id == sa.bindparam("iam_id")
    ),
)
ADD_TOKEN = Statement("identities.refresh_tokens.add", lambda _: insert_into(tables.refresh_tokens))
PURGE_TOKENS = Statement("identities.refresh_tokens.purge", _purge_tokens)
REMOVE_TOKENS_OF_KEYS = Statement("identities.refresh_tokens.remove_of_keys", _remove_tokens_of_keys)
