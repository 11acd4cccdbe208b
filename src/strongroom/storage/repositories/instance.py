"""The single row that says whose store this is."""

from __future__ import annotations

from datetime import datetime

from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import Instance
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, insert_unless_there, sa, tables

_ROW = 1

_FIND = Statement("instance.find", lambda _: sa.select(tables.instance.c.id, tables.instance.c.account_id))
_CREATE = Statement("instance.create", lambda _: insert_unless_there(tables.instance, conflict=["pk"], without=()))


class SqlInstance:
    """Implements `InstanceRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def find(self) -> Instance | None:
        """Return it with an empty region (the region is a setting)."""
        row = self._connection.row(_FIND)
        return None if row is None else Instance(id=row[0], account_id=row[1], region="")

    def create(self, instance: Instance, at: datetime) -> None:
        """Store it.

        Raises:
            Conflict: ``already_exists`` if another process was first.
        """
        created = self._connection.run(
            _CREATE, pk=_ROW, id=instance.id, account_id=instance.account_id, created_at=to_microseconds(at)
        )
        if not created:
            raise Conflict(ErrorCode.ALREADY_EXISTS, "The store already exists: it belongs to another instance.")
