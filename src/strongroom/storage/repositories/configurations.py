"""Configurations of engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.secrets.model import SecretType, State
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.kernel.result import Page, Sort
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import TYPE_NUMBERS, fold, object_of, text_of
from strongroom.storage.statements import (
    SQLITE,
    Statement,
    bucket,
    insert_unless_there,
    one_of,
    sa,
    spread,
    tables,
    values_of,
)

_COLUMNS: Final = (
    "id",
    "config_type",
    "name",
    "document",
    "created_at",
    "created_by",
    "updated_at",
    "row_version",
    "sealed",
)
_SAVED: Final = ("document", "sealed", "updated_at")

SORT_KEYS: Final = ("config_type", "secret_type", "name", "created_at")
"""What lists can be sorted by."""


def _select() -> sa.Select[Any]:
    return sa.select(*(tables.configurations.c[name] for name in _COLUMNS))


def _is(column: str) -> sa.ColumnElement[bool]:
    return tables.configurations.c[column] == sa.bindparam(column)


def _save(_: str) -> sa.Executable:
    configurations = tables.configurations.c
    return (
        sa.update(tables.configurations)
        .where(
            configurations.id == sa.bindparam("configuration_id"),
            configurations.row_version == sa.bindparam("expected"),
        )
        .values(**values_of(_SAVED), row_version=configurations.row_version + sa.literal_column("1"))
        .returning(configurations.row_version)
    )


def _rely_on(_: str) -> sa.Executable:
    """Read the state of one or two; in one order always, so that nobody waits for somebody who waits for him."""
    configurations = tables.configurations.c
    return (
        sa.select(configurations.id, configurations.row_version)
        .where(configurations.id.in_([sa.bindparam("first"), sa.bindparam("second")]))
        .order_by(configurations.pk)
        .with_for_update(read=True)
    )


_FIND: Final = Statement("configurations.find", lambda _: _select().where(_is("kind"), _is("name")))
_FIND_BY_ID: Final = Statement("configurations.find_by_id", lambda _: _select().where(_is("id")))
_FIND_FOR_UPDATE: Final = Statement(
    "configurations.find_for_update", lambda _: _select().where(_is("id")).with_for_update()
)
_RELY_ON: Final = Statement("configurations.rely_on", _rely_on)
_NAMED: Final = Statement(
    "configurations.named", lambda _: _select().where(_is("name")).order_by(tables.configurations.c.pk)
)
_OF_KIND: Final = Statement(
    "configurations.of_kind", lambda _: _select().where(_is("kind")).order_by(tables.configurations.c.pk)
)
_ADD: Final = Statement("configurations.add", lambda _: insert_unless_there(tables.configurations))
_SAVE: Final = Statement("configurations.save", _save)
_TOUCH: Final = Statement(
    "configurations.touch",
    lambda _: (
        sa.update(tables.configurations)
        .where(tables.configurations.c.id == sa.bindparam("configuration_id"))
        .values(row_version=tables.configurations.c.row_version + sa.literal_column("1"))
    ),
)
_REMOVE: Final = Statement(
    "configurations.remove",
    lambda _: sa.delete(tables.configurations).where(tables.configurations.c.id == sa.bindparam("configuration_id")),
)


def _public_users(dialect: str) -> sa.Executable:
    """Walk the public certificates; only who deletes a configuration asks."""
    find = sa.func.instr if dialect == SQLITE else sa.func.strpos
    secrets = tables.secrets.c
    return (
        sa.select(secrets.name)
        .where(
            secrets.type_no == sa.literal_column(str(TYPE_NUMBERS[SecretType.PUBLIC_CERT])),
            secrets.state != sa.literal_column(str(State.DESTROYED.value)),
            find(secrets.attributes, sa.bindparam("needle", type_=sa.Text)) > sa.literal_column("0"),
        )
        .order_by(secrets.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


_NAMED_BY: Final[Mapping[ConfigKind, str]] = {ConfigKind.PUBLIC_CA: "ca", ConfigKind.DNS: "dns"}
"""Member of a public certificate that names a configuration of the kind."""
_PUBLIC_USERS: Final = Statement("configurations.public_users", _public_users)


def _by_type(values: dict[ConfigType, str]) -> sa.ColumnElement[Any]:
    """Return what follows from a configuration's type; the values are SQL."""
    config_type = tables.configurations.c.config_type
    return sa.case(
        *((config_type == sa.literal_column(f"'{type_}'"), sa.literal_column(text)) for type_, text in values.items())
    )


def _contains(dialect: str) -> sa.ColumnElement[bool]:
    """Match a part of the name or of one of the two types; names have no letters beyond ASCII."""
    find = sa.func.instr if dialect == SQLITE else sa.func.strpos
    needle, columns = sa.bindparam("needle", type_=sa.Text), tables.configurations.c
    secret_type = _by_type({type_: f"'{type_.secret_type.value}'" for type_ in ConfigType})
    places = (sa.func.lower(columns.name), columns.config_type, secret_type)
    return sa.or_(*(find(place, needle) > sa.literal_column("0") for place in places))


def _order(sort: Sort | None) -> list[sa.ColumnElement[Any]]:
    columns = tables.configurations.c
    if sort is None:
        return [columns.pk.desc()]
    keys: dict[str, list[sa.ColumnElement[Any]]] = {
        "config_type": [columns.config_type, columns.pk],
        # The numbers are in the order of the words.
        "secret_type": [_by_type({type_: str(TYPE_NUMBERS[type_.secret_type]) for type_ in ConfigType}), columns.pk],
        "name": [columns.name, columns.pk],
        "created_at": [columns.pk],
    }
    return [key.desc() for key in keys[sort.key]] if sort.descending else keys[sort.key]


@cache
def list_statements(*, types: int, search: bool, sort: Sort | None) -> tuple[Statement, Statement]:
    """Return the statements that count and that list.

    Args:
        types: among how many types, padded; 0 for all.
        search: whether for a part of a name or type.
        sort: the order; without one, newest first.
    """

    def conditions(dialect: str) -> list[sa.ColumnElement[bool]]:
        found = [one_of(tables.configurations.c.config_type, "type", types)] if types else []
        return [*found, _contains(dialect)] if search else found

    def count(dialect: str) -> sa.Executable:
        return sa.select(sa.func.count()).select_from(tables.configurations).where(*conditions(dialect))

    def window(dialect: str) -> sa.Executable:
        return (
            _select()
            .where(*conditions(dialect))
            .order_by(*_order(sort))
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.Integer))
        )

    name = f"{types}.{search}"
    order = "newest" if sort is None else f"{sort.key}.{sort.descending}"
    return (
        Statement(f"configurations.count.{name}", count),
        Statement(f"configurations.page.{name}.{order}", window),
    )


class SqlConfigurations:
    """Implements `strongroom.domain.ports.ConfigurationRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def find(self, kind: ConfigKind, name: str) -> Configuration | None:
        """Return the configuration of this name among those of its kind."""
        row = self._connection.row(_FIND, kind=kind.value, name=name)
        return None if row is None else _configuration(row)

    def find_by_id(self, configuration_id: ConfigurationId) -> Configuration | None:
        """Return the configuration."""
        row = self._connection.row(_FIND_BY_ID, id=configuration_id)
        return None if row is None else _configuration(row)

    def find_for_update(self, configuration_id: ConfigurationId) -> Configuration | None:
        """Read it so that no other unit changes it before this one commits."""
        row = self._connection.row(_FIND_FOR_UPDATE, id=configuration_id)
        return None if row is None else _configuration(row)

    def rely_on(self, first: ConfigurationId, second: ConfigurationId | None = None) -> Mapping[ConfigurationId, int]:
        """Return the row versions of those that are there; no other unit changes them before this one commits.

        Others may rely on them, too.
        """
        rows = self._connection.rows(_RELY_ON, first=first, second=first if second is None else second)
        return {ConfigurationId(row[0]): row[1] for row in rows}

    def named(self, name: str) -> Sequence[Configuration]:
        """Return the configurations of this name, of any kind, oldest first."""
        return [_configuration(row) for row in self._connection.rows(_NAMED, name=name)]

    def of_kind(self, kind: ConfigKind) -> Sequence[Configuration]:
        """Return all of a kind, oldest first."""
        return [_configuration(row) for row in self._connection.rows(_OF_KIND, kind=kind.value)]

    def page(self, query: ConfigurationQuery) -> Page[Configuration]:
        """Return one page of a list, with its exact total."""
        values: dict[str, Any] = {}
        types = 0
        if query.config_types is not None:
            if not query.config_types:
                return Page(items=(), total=0, limit=query.limit, offset=query.offset)
            chosen = sorted(type_.value for type_ in query.config_types)
            types = bucket(len(chosen))
            values |= spread("type", chosen)
        if query.search is not None:
            values["needle"] = fold(query.search)
        count, window = list_statements(types=types, search=query.search is not None, sort=query.sort)
        counted = self._connection.row(count, **values)
        rows = self._connection.rows(window, limit=query.limit, offset=query.offset, **values)
        return Page(
            items=[_configuration(row) for row in rows],
            total=int(counted[0]) if counted else 0,
            limit=query.limit,
            offset=query.offset,
        )

    def public_users(self, kind: ConfigKind, name: str, limit: int) -> Sequence[str]:
        """Return names of public certificates, not destroyed, that name a CA or DNS configuration, oldest first."""
        # Names of configurations need no escapes in JSON, and within texts the quotation marks would have theirs.
        needle = f'"{_NAMED_BY[kind]}":"{name}"'
        return [row[0] for row in self._connection.rows(_PUBLIC_USERS, needle=needle, limit=limit)]

    def add(self, configuration: Configuration) -> None:
        """Store a new configuration.

        Raises:
            Conflict: ``already_exists`` if its kind has one of this name.
        """
        added = self._connection.run(
            _ADD,
            id=configuration.id,
            kind=configuration.config_type.kind.value,
            config_type=configuration.config_type.value,
            name=configuration.name,
            created_at=to_microseconds(configuration.created_at),
            created_by=configuration.created_by,
            row_version=configuration.row_version,
            **_changing(configuration),
        )
        if not added:
            raise Conflict(
                ErrorCode.ALREADY_EXISTS,
                f"A configuration with the same name already exists: {configuration.name}",
                field="name",
            )

    def save(self, configuration: Configuration) -> Configuration:
        """Store a changed document; return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read.
            NotFound: it is not there any more.
        """
        row = self._connection.row(
            _SAVE,
            configuration_id=configuration.id,
            expected=configuration.row_version,
            **_changing(configuration),
        )
        if row is not None:
            return replace(configuration, row_version=row[0])
        if self.find_by_id(configuration.id) is None:
            raise _missing(configuration.id)
        raise Conflict(
            ErrorCode.STALE_VERSION,
            f"The configuration {configuration.name} was changed by somebody else in the meantime; "
            "read it and try again.",
        )

    def touch(self, configuration_id: ConfigurationId) -> None:
        """Move its row version, so that nobody who relied on it commits any more."""
        self._connection.run(_TOUCH, configuration_id=configuration_id)

    def remove(self, configuration_id: ConfigurationId) -> None:
        """Delete it with its authorities and all they know.

        Raises:
            NotFound: it is not there.
        """
        if not self._connection.run(_REMOVE, configuration_id=configuration_id):
            raise _missing(configuration_id)


def _missing(configuration_id: ConfigurationId) -> NotFound:
    return NotFound(ErrorCode.NOT_FOUND, f"There is no configuration {configuration_id}.")


def _changing(configuration: Configuration) -> dict[str, Any]:
    return {
        "document": text_of(configuration.document),
        "sealed": configuration.sealed,
        "updated_at": to_microseconds(configuration.updated_at),
    }


def _configuration(row: Row) -> Configuration:
    return Configuration(
        id=ConfigurationId(row[0]),
        config_type=ConfigType(row[1]),
        name=row[2],
        document=object_of(row[3]),
        created_at=from_microseconds(row[4]),
        created_by=IamId(row[5]),
        updated_at=from_microseconds(row[6]),
        row_version=row[7],
        sealed=row[8],
    )
