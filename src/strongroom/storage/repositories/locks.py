"""Locks on versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import Lock, LockQuery, SecretLocks, VersionAlias, VersionLocks
from strongroom.kernel.errors import ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import GroupId, IamId, SecretId, VersionId
from strongroom.kernel.result import Page, Sort
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import TYPES, fold, like_pattern, object_or_none, text_or_none
from strongroom.storage.repositories.secret_lists import group_numbers
from strongroom.storage.statements import (
    SQLITE,
    Statement,
    bucket,
    conflict_insert,
    one_of,
    sa,
    spread,
    tables,
    values_of,
)

KEYS: Final = ("created_at", "updated_at", "name")
_COLUMNS: Final = (
    "version_pk",
    "secret_pk",
    "group_no",
    "name",
    "folded_name",
    "description",
    "attributes",
    "created_at",
    "updated_at",
    "created_by",
)


def _contains(dialect: str, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    if dialect == SQLITE:
        return sa.func.instr(column, sa.bindparam("needle")) > sa.literal_column("0")
    return column.like(sa.bindparam("pattern"))


def _search_parameters(dialect: str, search: str | None) -> dict[str, Any]:
    if search is None:
        return {}
    needle = fold(search)
    return {"needle": needle} if dialect == SQLITE else {"pattern": like_pattern(needle)}


def _of_secret() -> sa.ColumnElement[bool]:
    secret = sa.select(tables.secrets.c.pk).where(tables.secrets.c.id == sa.bindparam("secret_id"))
    return tables.locks.c.secret_pk == secret.scalar_subquery()


def _of_version() -> sa.ColumnElement[bool]:
    version = sa.select(tables.versions.c.pk).where(tables.versions.c.id == sa.bindparam("version_id"))
    return tables.locks.c.version_pk == version.scalar_subquery()


@cache
def _list_statements(*, of_version: bool, search: bool, key: str, descending: bool) -> tuple[Statement, Statement]:
    """Return the statements that count and read the locks of one secret or version."""

    def where(dialect: str) -> list[sa.ColumnElement[bool]]:
        conditions = [_of_secret()]
        if of_version:
            conditions.append(_of_version())
        if search:
            conditions.append(_contains(dialect, tables.locks.c.folded_name))
        return conditions

    def count(dialect: str) -> sa.Executable:
        return sa.select(sa.func.count()).select_from(tables.locks).where(*where(dialect))

    def window(dialect: str) -> sa.Executable:
        locks, secrets, versions = tables.locks.c, tables.secrets.c, tables.versions.c
        order = [locks.pk] if key == "pk" else [locks[key], locks.pk]
        return (
            sa.select(
                locks.name,
                locks.description,
                locks.attributes,
                locks.created_at,
                locks.updated_at,
                locks.created_by,
                secrets.id,
                versions.id,
                secrets.group_id,
                secrets.current_version_id,
            )
            .join_from(tables.locks, tables.secrets, secrets.pk == locks.secret_pk)
            .join(tables.versions, versions.pk == locks.version_pk)
            .where(*where(dialect))
            .order_by(*(column.desc() if descending else column for column in order))
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.Integer))
        )

    name = f"{of_version}.{search}.{key}.{descending}"
    return Statement(f"locks.count.{name}", count), Statement(f"locks.page.{name}", window)


@cache
def _locked_secrets(*, groups: int, search: bool) -> tuple[Statement, Statement]:
    """Return the statements that count and read the keys of secrets with locks."""

    def source(dialect: str) -> sa.Select[Any]:
        locks = tables.locks.c
        select = sa.select(locks.secret_pk).distinct()
        if groups:
            select = select.where(one_of(locks.group_no, "group", groups))
        return select.where(_contains(dialect, locks.folded_name)) if search else select

    def count(dialect: str) -> sa.Executable:
        return sa.select(sa.func.count()).select_from(source(dialect).subquery("locked"))

    def window(dialect: str) -> sa.Executable:
        return (
            source(dialect)
            .order_by(tables.locks.c.secret_pk.desc())
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.Integer))
        )

    name = f"{groups}.{search}"
    return (
        Statement(f"locks.count_secrets.{name}", count, prepare=False),
        Statement(f"locks.page_secrets.{name}", window, prepare=False),
    )


@cache
def _secrets_by_pk(size: int) -> Statement:
    def build(_: str) -> sa.Executable:
        secrets = tables.secrets.c
        return (
            sa.select(
                secrets.pk,
                secrets.id,
                secrets.name,
                secrets.type_no,
                secrets.group_id,
                secrets.current_version_id,
                secrets.previous_version_id,
            )
            .where(one_of(secrets.pk, "pk", size))
            .order_by(secrets.pk.desc())
        )

    return Statement(f"locks.secrets_by_pk.{size}", build)


@cache
def _lockable_versions(size: int) -> Statement:
    def build(_: str) -> sa.Executable:
        versions, secrets = tables.versions.c, tables.secrets.c
        return (
            sa.select(versions.secret_pk, versions.id, versions.payload_available)
            .join_from(tables.secrets, tables.versions, versions.secret_pk == secrets.pk)
            .where(
                one_of(secrets.pk, "pk", size),
                versions.id.in_([secrets.current_version_id, secrets.previous_version_id]),
            )
        )

    return Statement(f"locks.lockable_versions.{size}", build)


@cache
def _names_by_pk(size: int) -> Statement:
    def build(_: str) -> sa.Executable:
        locks, versions = tables.locks.c, tables.versions.c
        return (
            sa.select(versions.id, locks.name)
            .join_from(tables.locks, tables.versions, versions.pk == locks.version_pk)
            .where(one_of(locks.secret_pk, "pk", size))
            .order_by(locks.pk)
        )

    return Statement(f"locks.names_by_pk.{size}", build)


_NAMES: Final = Statement(
    "locks.names",
    lambda _: (
        sa.select(tables.versions.c.id, tables.locks.c.name)
        .join_from(tables.locks, tables.versions, tables.versions.c.pk == tables.locks.c.version_pk)
        .where(_of_secret())
        .order_by(tables.locks.c.pk)
    ),
)
_PLACE: Final = Statement(
    "locks.place",
    lambda _: (
        sa.select(tables.secrets.c.pk, tables.secrets.c.group_no, tables.versions.c.pk)
        .join_from(tables.secrets, tables.versions, tables.versions.c.secret_pk == tables.secrets.c.pk)
        .where(tables.secrets.c.id == sa.bindparam("secret_id"), tables.versions.c.id == sa.bindparam("version_id"))
    ),
)


def _build_put(_: str) -> sa.Executable:
    insert = conflict_insert(tables.locks)
    changed = ("description", "attributes", "updated_at", "created_by")
    return (
        insert.values(values_of(_COLUMNS))
        .inline()
        .on_conflict_do_update(
            index_elements=["version_pk", "name"], set_={name: insert.excluded[name] for name in changed}
        )
    )


_PUT: Final = Statement("locks.put", _build_put)


@cache
def _remove(*, of_version: bool, names: int) -> Statement:
    def build(_: str) -> sa.Executable:
        delete = sa.delete(tables.locks).where(_of_secret())
        if of_version:
            delete = delete.where(_of_version())
        return delete.where(one_of(tables.locks.c.name, "name", names)) if names else delete

    return Statement(f"locks.remove.{of_version}.{names}", build)


class SqlLocks:
    """Implements `strongroom.domain.ports.LockRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def page_of_secret(self, secret_id: SecretId, query: LockQuery) -> Page[Lock]:
        """Return the locks on all versions of a secret, newest first."""
        return self._page(query, secret_id=secret_id)

    def page_of_version(self, secret_id: SecretId, version_id: VersionId, query: LockQuery) -> Page[Lock]:
        """Return the locks on one version, newest first."""
        return self._page(query, secret_id=secret_id, version_id=version_id)

    def page_of_secrets(self, query: LockQuery) -> Page[SecretLocks]:
        """Return secrets that carry at least one lock, newest secret first."""
        parameters = _search_parameters(self._connection.dialect, query.search)
        groups: list[int] = []
        if query.groups is not None:
            groups = group_numbers(self._connection, sorted(query.groups))
            if not groups:
                return Page(items=(), total=0, limit=query.limit, offset=query.offset)
            parameters |= spread("group", groups)
        size = bucket(len(groups)) if groups else 0
        count, window = _locked_secrets(groups=size, search=query.search is not None)
        row = self._connection.row(count, **parameters)
        total = 0 if row is None else int(row[0])
        rows = self._connection.rows(window, limit=query.limit, offset=query.offset, **parameters)
        items = self._secret_locks([int(row[0]) for row in rows])
        return Page(items=items, total=total, limit=query.limit, offset=query.offset)

    def names(self, secret_id: SecretId) -> dict[VersionId, tuple[str, ...]]:
        """Return the lock names of each locked version, in order of creation."""
        return _grouped(self._connection.rows(_NAMES, secret_id=secret_id))

    def put(self, lock: Lock) -> None:
        """Store it in place of the one of the same name on the same version (keeps its ``created_at``).

        Raises:
            NotFound: the secret has no such version.
        """
        place = self._connection.row(_PLACE, secret_id=lock.secret_id, version_id=lock.version_id)
        if place is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no version {lock.version_id} of the secret.")
        self._connection.run(
            _PUT,
            secret_pk=place[0],
            group_no=place[1],
            version_pk=place[2],
            name=lock.name,
            folded_name=fold(lock.name),
            description=lock.description,
            attributes=text_or_none(lock.attributes),
            created_at=to_microseconds(lock.created_at),
            updated_at=to_microseconds(lock.updated_at),
            created_by=lock.created_by,
        )

    def remove(self, secret_id: SecretId, version_id: VersionId | None, names: Iterable[str] | None) -> int:
        """Delete locks of one version (or of all), all or by name; unknown names are ignored."""
        parameters: dict[str, Any] = {"secret_id": secret_id}
        size = 0
        if version_id is not None:
            parameters["version_id"] = version_id
        if names is not None:
            wanted = sorted(set(names))
            if not wanted:
                return 0
            size = bucket(len(wanted))
            parameters |= spread("name", wanted)
        return self._connection.run(_remove(of_version=version_id is not None, names=size), **parameters)

    def _page(self, query: LockQuery, **scope: str) -> Page[Lock]:
        key, descending = _order(query.sort)
        count, window = _list_statements(
            of_version="version_id" in scope, search=query.search is not None, key=key, descending=descending
        )
        parameters = {**scope, **_search_parameters(self._connection.dialect, query.search)}
        row = self._connection.row(count, **parameters)
        rows = self._connection.rows(window, limit=query.limit, offset=query.offset, **parameters)
        total = 0 if row is None else int(row[0])
        return Page(items=[_lock(row) for row in rows], total=total, limit=query.limit, offset=query.offset)

    def _secret_locks(self, pks: Sequence[int]) -> list[SecretLocks]:
        if not pks:
            return []
        parameters, size = spread("pk", pks), bucket(len(pks))
        available = {
            (secret, version): bool(payload)
            for secret, version, payload in self._connection.rows(_lockable_versions(size), **parameters)
        }
        names = _grouped(self._connection.rows(_names_by_pk(size), **parameters))
        return [
            SecretLocks(
                secret_id=SecretId(id_),
                secret_name=name,
                secret_type=TYPES[type_no],
                group_id=GroupId(group_id),
                versions=tuple(
                    VersionLocks(
                        version_id=VersionId(version),
                        alias=alias,
                        names=names.get(VersionId(version), ()),
                        payload_available=available[pk, version],
                    )
                    for version, alias in ((current, VersionAlias.CURRENT), (previous, VersionAlias.PREVIOUS))
                    if (pk, version) in available
                ),
            )
            for pk, id_, name, type_no, group_id, current, previous in self._connection.rows(
                _secrets_by_pk(size), **parameters
            )
        ]


def _order(sort: Sort | None) -> tuple[str, bool]:
    if sort is None:
        return "pk", True
    if sort.key not in KEYS:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"sort must be one of {', '.join(KEYS)}, with - before it to turn it round.",
            field="sort",
        )
    return sort.key, sort.descending


def _grouped(rows: Sequence[Row]) -> dict[VersionId, tuple[str, ...]]:
    names: dict[VersionId, list[str]] = {}
    for version, name in rows:
        names.setdefault(VersionId(version), []).append(name)
    return {version: tuple(found) for version, found in names.items()}


def _lock(row: Row) -> Lock:
    return Lock(
        name=row[0],
        description=row[1],
        attributes=object_or_none(row[2]),
        created_at=from_microseconds(row[3]),
        updated_at=from_microseconds(row[4]),
        created_by=IamId(row[5]),
        secret_id=SecretId(row[6]),
        version_id=VersionId(row[7]),
        group_id=GroupId(row[8]),
        alias=VersionAlias.CURRENT if row[7] == row[9] else VersionAlias.PREVIOUS,
    )
