"""Secret groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.domain.groups.model import SecretGroup
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, IamId
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, DuplicateRow, Row, StillReferenced
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, columns_of, insert_unless_there, sa, tables

_FIND: Final = Statement(
    "groups.find",
    lambda _: sa.select(*columns_of(tables.secret_groups)).where(tables.secret_groups.c.id == sa.bindparam("id")),
)
_FIND_BY_NAME: Final = Statement(
    "groups.find_by_name",
    lambda _: sa.select(*columns_of(tables.secret_groups)).where(tables.secret_groups.c.name == sa.bindparam("name")),
)
_LISTING: Final = Statement(
    "groups.listing",
    lambda _: sa.select(*columns_of(tables.secret_groups)).order_by(
        sa.case(
            (tables.secret_groups.c.id == sa.bindparam("first"), sa.literal_column("0")), else_=sa.literal_column("1")
        ),
        tables.secret_groups.c.pk.desc(),
    ),
)
_COUNT: Final = Statement(
    "groups.count",
    lambda _: (
        sa.select(sa.func.count())
        .select_from(tables.secret_groups)
        .where(tables.secret_groups.c.id != sa.bindparam("first"))
    ),
)
_ADD: Final = Statement("groups.add", lambda _: insert_unless_there(tables.secret_groups))
_SAVE: Final = Statement(
    "groups.save",
    lambda _: (
        sa.update(tables.secret_groups)
        .where(tables.secret_groups.c.id == sa.bindparam("group_id"))
        .values(
            name=sa.bindparam("name"), description=sa.bindparam("description"), updated_at=sa.bindparam("updated_at")
        )
    ),
)
_REMOVE: Final = Statement(
    "groups.remove",
    lambda _: sa.delete(tables.secret_groups).where(tables.secret_groups.c.id == sa.bindparam("group_id")),
)


class SqlGroups:
    """Implements `strongroom.domain.ports.GroupRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def find(self, group_id: GroupId) -> SecretGroup | None:
        """Return the group."""
        row = self._connection.row(_FIND, id=group_id)
        return None if row is None else _group(row)

    def find_by_name(self, name: str) -> SecretGroup | None:
        """Return the group of this name."""
        row = self._connection.row(_FIND_BY_NAME, name=name)
        return None if row is None else _group(row)

    def listing(self) -> Sequence[SecretGroup]:
        """Return every group: ``default`` first, then newest first."""
        return [_group(row) for row in self._connection.rows(_LISTING, first=DEFAULT_GROUP)]

    def count(self) -> int:
        """Return how many there are beside ``default``."""
        row = self._connection.row(_COUNT, first=DEFAULT_GROUP)
        return 0 if row is None else int(row[0])

    def add(self, group: SecretGroup) -> None:
        """Store a new group.

        Raises:
            Conflict: ``already_exists`` if the name or the id is taken.
        """
        added = self._connection.run(
            _ADD,
            id=group.id,
            name=group.name,
            description=group.description,
            created_at=to_microseconds(group.created_at),
            created_by=group.created_by,
            updated_at=to_microseconds(group.updated_at),
        )
        if not added:
            raise _taken(group.name)

    def save(self, group: SecretGroup) -> None:
        """Store a changed name or description.

        Raises:
            Conflict: ``already_exists`` if another group has the name.
            NotFound: it is not there any more.
        """
        other = self.find_by_name(group.name)
        if other is not None and other.id != group.id:
            raise _taken(group.name)
        try:
            saved = self._connection.run(
                _SAVE,
                group_id=group.id,
                name=group.name,
                description=group.description,
                updated_at=to_microseconds(group.updated_at),
            )
        except DuplicateRow as error:
            raise _taken(group.name) from error
        if not saved:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no secret group {group.id}.")

    def remove(self, group_id: GroupId) -> None:
        """Delete an empty group.

        Raises:
            Conflict: ``group_not_empty`` if it has secrets.
        """
        try:
            self._connection.run(_REMOVE, group_id=group_id)
        except StillReferenced as error:
            raise Conflict(ErrorCode.GROUP_NOT_EMPTY, f"The secret group {group_id} still has secrets.") from error


def _taken(name: str) -> Conflict:
    return Conflict(ErrorCode.ALREADY_EXISTS, f"A secret group with the same name already exists: {name}")


def _group(row: Row) -> SecretGroup:
    return SecretGroup(
        id=GroupId(row[1]),
        name=row[2],
        description=row[3],
        created_at=from_microseconds(row[4]),
        created_by=IamId(row[5]),
        updated_at=from_microseconds(row[6]),
    )
