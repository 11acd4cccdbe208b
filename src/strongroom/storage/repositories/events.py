"""Outbox of lifecycle events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from strongroom.domain.secrets.model import Secret
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, sa, tables


def _purge(_: str) -> sa.Executable:
    events = tables.events.c
    old = (
        sa.select(events.pk)
        .where(events.at < sa.bindparam("before"))
        .order_by(events.at, events.pk)
        .limit(sa.bindparam("limit"))
    )
    return sa.delete(tables.events).where(events.pk.in_(old))


_PURGE = Statement("events.purge", _purge)


class SqlEvents:
    """Implements `EventRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def add(self, event_type: str, sub_type: str, secret: Secret | None, at: datetime, payload: dict[str, Any]) -> None:
        """Put an event into the outbox; ``payload`` holds what notices show, never a secret value."""
        self._pending.events.append(
            (
                event_type,
                sub_type,
                None if secret is None else secret.id,
                None if secret is None else secret.group_id,
                to_microseconds(at),
                json.dumps(payload, separators=(",", ":")),
            )
        )

    def purge(self, before: datetime, limit: int) -> int:
        """Delete events older than ``before``, oldest first, and return how many."""
        return self._connection.run(_PURGE, before=to_microseconds(before), limit=limit)
