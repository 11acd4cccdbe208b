"""Operations on notification destinations. Source: design, section 12."""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.extensions import destination_schemas as schemas
from strongroom.api.extensions.schemas import EmptyRequest
from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.paging import page_body
from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_instance
from strongroom.domain.audit.record import Target
from strongroom.domain.notifications.model import Delivery, Destination, DestinationType
from strongroom.kernel.time import format_rfc3339

_TAG: Final = "Notifications"
_TYPE: Final = "notifications-destination"
_PATH: Final = "/api/v2/notifications/destinations"


def destination_body(destination: Destination) -> dict[str, Any]:
    """Return a destination; members that its type does not have are left out."""
    filters = destination.filters
    body: dict[str, Any] = {
        "id": destination.id,
        "name": destination.name,
        "type": destination.destination_type.value,
        "enabled": destination.enabled,
        "filters": {
            "event_types": list(filters.event_types),
            "secret_types": [secret_type.value for secret_type in filters.secret_types],
            "secret_group_ids": list(filters.secret_group_ids),
        },
        "created_at": format_rfc3339(destination.created_at),
        "created_by": destination.created_by,
        "updated_at": format_rfc3339(destination.updated_at),
    }
    if destination.shown_url is not None:
        body["url"] = destination.shown_url
    if destination.destination_type is DestinationType.EMAIL:
        body["recipients"] = list(destination.recipients)
        body["attach_payload"] = destination.attach_payload
    return body


def delivery_body(delivery: Delivery) -> dict[str, Any]:
    """Return an entry of the delivery log."""
    body: dict[str, Any] = {
        "id": delivery.id,
        "event_type": delivery.event_type,
        "event_id": delivery.event_id,
        "attempt": delivery.attempt,
        "state": delivery.state.value,
        "message": delivery.message,
        "sent_at": format_rfc3339(delivery.sent_at or delivery.created_at),
    }
    if delivery.answer_code is not None:
        body["status_code"] = delivery.answer_code
    if delivery.next_try_at is not None:
        body["next_try_at"] = format_rfc3339(delivery.next_try_at)
    return body


def _on_instance(call: Call) -> None:
    assert isinstance(call.operation.action, Action)  # noqa: S101  (every operation here has one)
    require_instance(call.principal, call.operation.action)


def _find(call: Call) -> None:
    """Guard: find the destination of the path."""
    _on_instance(call)
    destination_id = call.path["id"]
    call.target = Target(type=_TYPE, id=destination_id)
    found = call.services.storage.read(lambda unit: call.services.notifications.get(unit, destination_id))
    call.target = Target(type=_TYPE, id=found.id, name=found.name)
    call.found = found


def _create(call: Call) -> Pending:
    body = call.parse(schemas.NotificationDestinationPrototype)
    call.target = Target(type=_TYPE, name=body.name)
    change = call.services.notifications.create(call.principal, body.model_dump())
    return Pending(commit=change.commit, reply=lambda destination: Reply(body=destination_body(destination)))


def _list(call: Call) -> Reply:
    found = call.services.storage.read(call.services.notifications.listing)
    return Reply(body={"destinations": [destination_body(item) for item in found], "total_count": len(found)})


def _get(call: Call) -> Reply:
    return Reply(body=destination_body(call.found))


def _update(call: Call) -> Pending:
    changes = call.parse(schemas.NotificationDestinationPatch).model_dump(exclude_unset=True)
    change = call.services.notifications.patch(call.principal, call.found, changes)
    return Pending(commit=change.commit, reply=lambda destination: Reply(body=destination_body(destination)))


def _delete(call: Call) -> Pending:
    change = call.services.notifications.delete(call.principal, call.found)
    return Pending(commit=change.commit, reply=lambda _: Reply())


def _test(call: Call) -> Reply:
    if call.raw_body:
        call.parse(EmptyRequest)
    attempt = call.services.notifications.test(call.principal, call.found)
    body: dict[str, Any] = {"success": attempt.success, "message": attempt.message}
    if attempt.answer_code is not None:
        body["status_code"] = attempt.answer_code
    return Reply(body=body)


def _deliveries(call: Call) -> Reply:
    query = call.parse_query(schemas.DeliveriesQuery)
    destination: Destination = call.found
    page = call.services.storage.read(
        lambda unit: call.services.notifications.deliveries(
            unit, destination.id, limit=query.limit, offset=query.offset
        )
    )
    return Reply(body=page_body(call, page, "deliveries", delivery_body))


OPERATIONS: Final = (
    Operation(
        name="create_notification_destination",
        method="POST",
        path=_PATH,
        action=Action.NOTIFICATIONS_DESTINATION_CREATE,
        guard=_on_instance,
        handler=_create,
        work=Work.SLOW_WRITE,
        summary="Create a notification destination",
        tag=_TAG,
        status=201,
        request=schemas.NotificationDestinationPrototype,
        response=schemas.NotificationDestination,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="list_notification_destinations",
        method="GET",
        path=_PATH,
        action=Action.NOTIFICATIONS_DESTINATION_READ,
        guard=_on_instance,
        handler=_list,
        work=Work.SCAN,
        summary="List the notification destinations",
        tag=_TAG,
        response=schemas.NotificationDestinationCollection,
        target_type=_TYPE,
        audit_as="notifications-destinations.list",
        extension=True,
    ),
    Operation(
        name="get_notification_destination",
        method="GET",
        path=_PATH + "/{id}",
        action=Action.NOTIFICATIONS_DESTINATION_READ,
        guard=_find,
        handler=_get,
        work=Work.POINT,
        summary="Get a notification destination",
        tag=_TAG,
        response=schemas.NotificationDestination,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="update_notification_destination",
        method="PATCH",
        path=_PATH + "/{id}",
        action=Action.NOTIFICATIONS_DESTINATION_UPDATE,
        guard=_find,
        handler=_update,
        work=Work.SLOW_WRITE,
        summary="Change a notification destination",
        tag=_TAG,
        media_types=MERGE_PATCH,
        request=schemas.NotificationDestinationPatch,
        response=schemas.NotificationDestination,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="delete_notification_destination",
        method="DELETE",
        path=_PATH + "/{id}",
        action=Action.NOTIFICATIONS_DESTINATION_DELETE,
        guard=_find,
        handler=_delete,
        work=Work.WRITE,
        summary="Delete a notification destination with its delivery log",
        tag=_TAG,
        status=204,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="test_notification_destination",
        method="POST",
        path=_PATH + "/{id}/test",
        action=Action.NOTIFICATIONS_DESTINATION_TEST,
        guard=_find,
        handler=_test,
        work=Work.OUTSIDE,
        summary="Send a test event to a notification destination now",
        tag=_TAG,
        request=EmptyRequest,
        body_required=False,
        response=schemas.NotificationTestResult,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="list_notification_deliveries",
        method="GET",
        path=_PATH + "/{id}/deliveries",
        action=Action.NOTIFICATIONS_DESTINATION_READ,
        guard=_find,
        handler=_deliveries,
        work=Work.SCAN,
        summary="List what was sent to a notification destination",
        description="Newest first. A notice that failed is tried five times over a day.",
        tag=_TAG,
        query=schemas.DeliveriesQuery,
        response=schemas.NotificationDeliveryCollection,
        target_type=_TYPE,
        audit_as="notifications-deliveries.list",
        extension=True,
    ),
)
