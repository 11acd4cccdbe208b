"""Who is told of events, and what was sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from strongroom.domain.notifications.model import (
    Delivery,
    DeliveryId,
    DeliveryState,
    Destination,
    DestinationId,
    DestinationType,
    EventId,
    Filters,
    Registration,
)
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import GroupId, IamId
from strongroom.kernel.result import Page
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Connection, DuplicateRow, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import instant_of, micros_of, object_of, text_of
from strongroom.storage.statements import (
    Statement,
    conflict_insert,
    insert_unless_there,
    sa,
    tables,
    values_of,
)

_REGISTRATION_COLUMNS: Final = ("instance_crn", "source_name", "source_description", "created_at", "created_by")
_COLUMNS: Final = (
    "id",
    "name",
    "destination_type",
    "enabled",
    "document",
    "created_at",
    "created_by",
    "updated_at",
    "row_version",
    "sealed",
)
_SAVED: Final = ("name", "enabled", "document", "updated_at", "sealed")
_DELIVERY_COLUMNS: Final = (
    "id",
    "event_type",
    "event_id",
    "state",
    "attempt",
    "answer_code",
    "message",
    "created_at",
    "sent_at",
    "next_try_at",
    "payload",
)
_OUTCOME: Final = ("state", "attempt", "answer_code", "message", "sent_at", "next_try_at", "ended_at", "payload")


def _register(_: str) -> sa.Executable:
    insert = conflict_insert(tables.notification_registration).values(
        pk=sa.literal_column("1"), **values_of(_REGISTRATION_COLUMNS)
    )
    return insert.inline().on_conflict_do_update(
        index_elements=["pk"], set_={name: insert.excluded[name] for name in _REGISTRATION_COLUMNS}
    )


def _select() -> sa.Select[Any]:
    return sa.select(*(tables.notification_destinations.c[name] for name in _COLUMNS))


def _save(_: str) -> sa.Executable:
    destinations = tables.notification_destinations.c
    return (
        sa.update(tables.notification_destinations)
        .where(
            destinations.id == sa.bindparam("destination_id"),
            destinations.row_version == sa.bindparam("expected"),
        )
        .values(**values_of(_SAVED), row_version=destinations.row_version + sa.literal_column("1"))
        .returning(destinations.row_version)
    )


def _deliveries() -> sa.Select[Any]:
    destinations, deliveries = tables.notification_destinations, tables.notification_deliveries
    return sa.select(*(deliveries.c[name] for name in _DELIVERY_COLUMNS), destinations.c.id).join_from(
        destinations, deliveries, deliveries.c.destination_pk == destinations.c.pk
    )


def _is_of_destination() -> sa.ColumnElement[bool]:
    return tables.notification_destinations.c.id == sa.bindparam("destination_id")


def _add_delivery(_: str) -> sa.Executable:
    """Add it while its destination is there: a failed insert would spoil the unit of work."""
    names = ("id", "event_type", "event_id", "state", "attempt", "message", "created_at", "next_try_at", "payload")
    deliveries, destinations = tables.notification_deliveries, tables.notification_destinations
    values = [sa.bindparam(name, type_=deliveries.c[name].type).label(name) for name in names]
    source = sa.select(destinations.c.pk, *values).where(_is_of_destination()).with_for_update(read=True)
    return sa.insert(deliveries).from_select(["destination_pk", *names], source)


def _page(_: str) -> sa.Executable:
    deliveries = tables.notification_deliveries.c
    return (
        _deliveries()
        .where(_is_of_destination(), deliveries.sent_at.is_not(None))
        .order_by(deliveries.sent_at.desc(), deliveries.pk.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .offset(sa.bindparam("offset", type_=sa.Integer))
    )


def _count(_: str) -> sa.Executable:
    destinations, deliveries = tables.notification_destinations, tables.notification_deliveries
    return (
        sa.select(sa.func.count())
        .select_from(destinations)
        .join(deliveries, deliveries.c.destination_pk == destinations.c.pk)
        .where(_is_of_destination(), deliveries.c.sent_at.is_not(None))
    )


def _next(_: str) -> sa.Executable:
    deliveries = tables.notification_deliveries.c
    return (
        _deliveries()
        .where(_is_of_destination(), tables.is_open_delivery)
        .order_by(deliveries.next_try_at, deliveries.pk)
        .limit(sa.literal_column("1"))
    )


def _end(_: str) -> sa.Executable:
    destination = sa.select(tables.notification_destinations.c.pk).where(_is_of_destination()).scalar_subquery()
    return (
        sa.update(tables.notification_deliveries)
        .where(tables.notification_deliveries.c.destination_pk == destination, tables.is_open_delivery)
        .values(
            state=sa.literal_column(f"'{DeliveryState.FAILED}'"),
            message=sa.bindparam("message"),
            # A delivery that was never tried is shown with the others once it has ended.
            sent_at=sa.func.coalesce(tables.notification_deliveries.c.sent_at, sa.bindparam("at", type_=sa.BigInteger)),
            ended_at=sa.bindparam("at", type_=sa.BigInteger),
            next_try_at=sa.null(),
            payload=sa.null(),
        )
    )


def _purge(_: str) -> sa.Executable:
    deliveries = tables.notification_deliveries.c
    old = (
        sa.select(deliveries.pk)
        .where(tables.is_ended_delivery, deliveries.ended_at < sa.bindparam("before"))
        .order_by(deliveries.ended_at, deliveries.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
    return sa.delete(tables.notification_deliveries).where(deliveries.pk.in_(old))


_REGISTRATION: Final = Statement(
    "notifications.registration",
    lambda _: sa.select(*(tables.notification_registration.c[name] for name in _REGISTRATION_COLUMNS)),
)
_REGISTER: Final = Statement("notifications.register", _register)
_UNREGISTER: Final = Statement("notifications.unregister", lambda _: sa.delete(tables.notification_registration))
_FIND: Final = Statement("notifications.find", lambda _: _select().where(_is_of_destination()))
_LISTING: Final = Statement(
    "notifications.listing", lambda _: _select().order_by(tables.notification_destinations.c.pk)
)
_ADD: Final = Statement("notifications.add", lambda _: insert_unless_there(tables.notification_destinations))
_HAS_NAME: Final = Statement(
    "notifications.has_name",
    lambda _: sa.select(tables.notification_destinations.c.id).where(
        tables.notification_destinations.c.name == sa.bindparam("name")
    ),
)
_SAVE: Final = Statement("notifications.save", _save)
_REMOVE: Final = Statement(
    "notifications.remove", lambda _: sa.delete(tables.notification_destinations).where(_is_of_destination())
)
_ADD_DELIVERY: Final = Statement("notifications.add_delivery", _add_delivery)
_FIND_DELIVERY: Final = Statement(
    "notifications.find_delivery",
    lambda _: _deliveries().where(tables.notification_deliveries.c.id == sa.bindparam("id")),
)
_SAVE_DELIVERY: Final = Statement(
    "notifications.save_delivery",
    lambda _: (
        sa.update(tables.notification_deliveries)
        .where(tables.notification_deliveries.c.id == sa.bindparam("delivery_id"))
        .values(values_of(_OUTCOME))
    ),
)
_NEXT: Final = Statement("notifications.next_delivery", _next)
_PAGE: Final = Statement("notifications.deliveries", _page)
_COUNT: Final = Statement("notifications.count", _count)
_END: Final = Statement("notifications.end_deliveries", _end)
_OPEN: Final = Statement(
    "notifications.open_deliveries",
    lambda _: sa.select(sa.func.count()).select_from(tables.notification_deliveries).where(tables.is_open_delivery),
)
_PURGE: Final = Statement("notifications.purge_deliveries", _purge)


class SqlNotifications:
    """Implements `strongroom.domain.notifications.repository.NotificationRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def registration(self) -> Registration | None:
        """Return what was registered."""
        row = self._connection.row(_REGISTRATION)
        if row is None:
            return None
        return Registration(
            instance_crn=row[0],
            source_name=row[1],
            source_description=row[2],
            created_at=from_microseconds(row[3]),
            created_by=IamId(row[4]),
        )

    def register(self, registration: Registration) -> None:
        """Store it in place of the one before."""
        self._connection.run(
            _REGISTER,
            instance_crn=registration.instance_crn,
            source_name=registration.source_name,
            source_description=registration.source_description,
            created_at=to_microseconds(registration.created_at),
            created_by=registration.created_by,
        )

    def unregister(self) -> bool:
        """Forget it; tell whether there was one."""
        return bool(self._connection.run(_UNREGISTER))

    def find(self, destination_id: DestinationId) -> Destination | None:
        """Return the destination."""
        row = self._connection.row(_FIND, destination_id=destination_id)
        return None if row is None else _destination(row)

    def listing(self) -> Sequence[Destination]:
        """Return every destination, oldest first."""
        return [_destination(row) for row in self._connection.rows(_LISTING)]

    def add(self, destination: Destination) -> None:
        """Store a new destination.

        Raises:
            Conflict: ``already_exists`` if there is one of this name.
        """
        added = self._connection.run(
            _ADD,
            id=destination.id,
            destination_type=destination.destination_type.value,
            created_at=to_microseconds(destination.created_at),
            created_by=destination.created_by,
            row_version=destination.row_version,
            **_changing(destination),
        )
        if not added:
            raise _taken(destination.name)

    def save(self, destination: Destination) -> Destination:
        """Store a changed destination and return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read, ``already_exists`` for a taken name.
            NotFound: it is not there any more.
        """
        same_name = self._connection.row(_HAS_NAME, name=destination.name)
        if same_name is not None and same_name[0] != destination.id:
            raise _taken(destination.name)
        try:
            row = self._connection.row(
                _SAVE, destination_id=destination.id, expected=destination.row_version, **_changing(destination)
            )
        except DuplicateRow as error:
            raise _taken(destination.name) from error
        if row is not None:
            return replace(destination, row_version=row[0])
        if self.find(destination.id) is None:
            raise NotFound(ErrorCode.NOT_FOUND, "The destination was not found.")
        raise Conflict(
            ErrorCode.STALE_VERSION,
            f"The destination {destination.name} was changed by somebody else in the meantime; read it and try again.",
        )

    def remove(self, destination_id: DestinationId) -> bool:
        """Delete it with its deliveries; tell whether it was there."""
        return bool(self._connection.run(_REMOVE, destination_id=destination_id))

    def add_delivery(self, delivery: Delivery) -> bool:
        """Store a new delivery; ``False`` if its destination is gone."""
        return bool(
            self._connection.run(
                _ADD_DELIVERY,
                destination_id=delivery.destination_id,
                id=delivery.id,
                event_type=delivery.event_type,
                event_id=delivery.event_id,
                state=delivery.state.value,
                attempt=delivery.attempt,
                message=delivery.message,
                created_at=to_microseconds(delivery.created_at),
                next_try_at=micros_of(delivery.next_try_at),
                payload=text_of(delivery.payload),
            )
        )

    def find_delivery(self, delivery_id: DeliveryId) -> Delivery | None:
        """Return the delivery."""
        row = self._connection.row(_FIND_DELIVERY, id=delivery_id)
        return None if row is None else _delivery(row)

    def save_delivery(self, delivery: Delivery) -> None:
        """Store what came of a try; does nothing for one that is gone."""
        ended = delivery.state is not DeliveryState.RETRYING
        self._connection.run(
            _SAVE_DELIVERY,
            delivery_id=delivery.id,
            state=delivery.state.value,
            attempt=delivery.attempt,
            answer_code=delivery.answer_code,
            message=delivery.message,
            sent_at=micros_of(delivery.sent_at),
            next_try_at=None if ended else micros_of(delivery.next_try_at),
            ended_at=micros_of(delivery.sent_at) if ended else None,
            payload=None if ended else text_of(delivery.payload),
        )

    def next_delivery(self, destination_id: DestinationId) -> Delivery | None:
        """Return the open delivery of a destination that is due first."""
        row = self._connection.row(_NEXT, destination_id=destination_id)
        return None if row is None else _delivery(row)

    def deliveries(self, destination_id: DestinationId, *, limit: int, offset: int) -> Page[Delivery]:
        """Return the deliveries of a destination that were tried, newest first."""
        counted = self._connection.row(_COUNT, destination_id=destination_id)
        rows = self._connection.rows(_PAGE, destination_id=destination_id, limit=limit, offset=offset)
        return Page(
            items=[_delivery(row) for row in rows], total=int(counted[0]) if counted else 0, limit=limit, offset=offset
        )

    def end_deliveries(self, destination_id: DestinationId, at: datetime, message: str) -> int:
        """Mark every open delivery of a destination failed; return how many."""
        return self._connection.run(_END, destination_id=destination_id, at=to_microseconds(at), message=message)

    def open_deliveries(self) -> int:
        """Return how many deliveries have not ended."""
        row = self._connection.row(_OPEN)
        return int(row[0]) if row else 0

    def purge_deliveries(self, before: datetime, limit: int) -> int:
        """Forget deliveries that ended before then; return how many."""
        return self._connection.run(_PURGE, before=to_microseconds(before), limit=limit)


def _taken(name: str) -> Conflict:
    return Conflict(ErrorCode.ALREADY_EXISTS, f"A destination with this name already exists: {name}", field="name")


def _changing(destination: Destination) -> dict[str, Any]:
    filters = destination.filters
    return {
        "name": destination.name,
        "enabled": destination.enabled,
        "document": text_of(
            {
                "shown_url": destination.shown_url,
                "recipients": destination.recipients,
                "attach_payload": destination.attach_payload,
                "event_types": filters.event_types,
                "secret_types": filters.secret_types,
                "secret_group_ids": filters.secret_group_ids,
            }
        ),
        "updated_at": to_microseconds(destination.updated_at),
        "sealed": destination.sealed,
    }


def _destination(row: Row) -> Destination:
    document = object_of(row[4])
    return Destination(
        id=DestinationId(row[0]),
        name=row[1],
        destination_type=DestinationType(row[2]),
        enabled=bool(row[3]),
        shown_url=document["shown_url"],
        recipients=tuple(document["recipients"]),
        attach_payload=document["attach_payload"],
        filters=Filters(
            event_types=tuple(document["event_types"]),
            secret_types=tuple(SecretType(name) for name in document["secret_types"]),
            secret_group_ids=tuple(GroupId(name) for name in document["secret_group_ids"]),
        ),
        created_at=from_microseconds(row[5]),
        created_by=IamId(row[6]),
        updated_at=from_microseconds(row[7]),
        row_version=row[8],
        sealed=row[9],
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=DeliveryId(row[0]),
        event_type=row[1],
        event_id=EventId(row[2]),
        state=DeliveryState(row[3]),
        attempt=row[4],
        answer_code=row[5],
        message=row[6],
        created_at=from_microseconds(row[7]),
        sent_at=instant_of(row[8]),
        next_try_at=instant_of(row[9]),
        payload=None if row[10] is None else json.loads(row[10]),
        destination_id=DestinationId(row[11]),
    )
