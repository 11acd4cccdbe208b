"""Outbox of lifecycle events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from strongroom.domain.notifications.model import WaitingEvent
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.ids import GroupId
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, sa, tables


def _purge(_: str) -> sa.Executable:
    events = tables.events.c
    old = (
        sa.select(events.pk)
        .where(events.at < sa.bindparam("before"), events.noticed_at.is_not(None))
        .order_by(events.at, events.pk)
        .limit(sa.bindparam("limit"))
    )
    return sa.delete(tables.events).where(events.pk.in_(old))


_PURGE = Statement("events.purge", _purge)
_WAITING = Statement(
    "events.waiting",
    lambda _: (
        sa.select(
            tables.events.c.pk,
            tables.events.c.event_type,
            tables.events.c.sub_type,
            tables.events.c.group_id,
            tables.events.c.payload,
        )
        .where(tables.is_waiting_event)
        .order_by(tables.events.c.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    ),
)
_NOTICED = Statement(
    "events.noticed",
    lambda _: (
        sa.update(tables.events)
        .where(tables.events.c.pk == sa.bindparam("event_pk"))
        .values(noticed_at=sa.bindparam("at", type_=sa.BigInteger))
    ),
)


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

    def waiting(self, limit: int) -> Sequence[WaitingEvent]:
        """Return events that no notice was made of yet, oldest first; those of this unit are not among them."""
        return [
            WaitingEvent(
                pk=row[0],
                event_type=row[1],
                sub_type=row[2],
                group_id=None if row[3] is None else GroupId(row[3]),
                payload=json.loads(row[4]),
            )
            for row in self._connection.rows(_WAITING, limit=limit)
        ]

    def noticed(self, events: Sequence[WaitingEvent], at: datetime) -> None:
        """Mark events as done with."""
        self._connection.many(_NOTICED, [{"event_pk": event.pk, "at": to_microseconds(at)} for event in events])

    def purge(self, before: datetime, limit: int) -> int:
        """Delete events older than ``before`` that do not wait, oldest first, and return how many."""
        return self._connection.run(_PURGE, before=to_microseconds(before), limit=limit)
