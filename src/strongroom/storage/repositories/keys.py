"""The server's own keys, sealed or wrapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from strongroom.domain.ports import StoredKey
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, columns_of, conflict_insert, sa, tables, values_of

_REPLACED = ("active", "master_key_id", "public", "created_at", "blob")


def _listing(*, of_kind: bool) -> sa.Select[Any]:
    keys = tables.keys.c
    query = sa.select(*columns_of(tables.keys, without=["pk"])).order_by(keys.created_at, keys.pk)
    return query.where(keys.kind == sa.bindparam("kind")) if of_kind else query


def _put(_: str) -> sa.Executable:
    insert = conflict_insert(tables.keys).values(values_of(("id", "kind", *_REPLACED))).inline()
    return insert.on_conflict_do_update(
        index_elements=["kind", "id"], set_={name: insert.excluded[name] for name in _REPLACED}
    )


_ALL = Statement("keys.all", lambda _: _listing(of_kind=False))
_OF_KIND = Statement("keys.of_kind", lambda _: _listing(of_kind=True))
_PUT = Statement("keys.put", _put)


class SqlKeys:
    """Implements `KeyRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def listing(self, kind: str | None = None) -> Sequence[StoredKey]:
        """Return keys, oldest first."""
        rows = self._connection.rows(_ALL) if kind is None else self._connection.rows(_OF_KIND, kind=kind)
        return [_key(row) for row in rows]

    def put(self, key: StoredKey) -> None:
        """Store it, in place of one with the same kind and id."""
        self._connection.run(
            _PUT,
            id=key.id,
            kind=key.kind,
            active=key.active,
            master_key_id=key.master_key_id,
            public=key.public,
            created_at=to_microseconds(key.created_at),
            blob=key.blob,
        )


def _key(row: Sequence[Any]) -> StoredKey:
    id_, kind, active, master_key_id, public, created_at, blob = row
    return StoredKey(
        id=id_,
        kind=kind,
        active=bool(active),
        master_key_id=master_key_id,
        blob=bytes(blob),
        public=public,
        created_at=from_microseconds(created_at),
    )
