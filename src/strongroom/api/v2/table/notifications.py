"""Operations on the registration of a notification service. Source: api-v2 section 2.6."""

from __future__ import annotations

from typing import Final

from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.api.v2.schemas import notifications as schemas
from strongroom.domain.access.actions import Action
from strongroom.domain.notifications.model import Registration

_TAG: Final = "Notifications"
_TYPE: Final = "notifications-registration"
_PATH: Final = "/api/v2/notifications/registration"


def _body(registration: Registration) -> dict[str, str]:
    return {"event_notifications_instance_crn": registration.instance_crn}


def _create(call: Call) -> Pending:
    body = call.parse(schemas.NotificationsRegistrationPrototype)
    change = call.services.notifications.register(
        call.principal,
        instance_crn=body.event_notifications_instance_crn,
        source_name=body.event_notifications_source_name,
        source_description=body.event_notifications_source_description or "",
    )
    return Pending(commit=change.commit, reply=lambda registration: Reply(body=_body(registration)))


def _get(call: Call) -> Reply:
    return Reply(body=_body(call.services.storage.read(call.services.notifications.registration)))


def _delete(call: Call) -> Pending:
    change = call.services.notifications.unregister(call.principal)
    return Pending(commit=change.commit, reply=lambda _: Reply())


def _test(call: Call) -> Pending:
    change = call.services.notifications.test_registration(call.principal)

    def reply(_: None) -> Reply:
        call.services.wake_worker()
        return Reply()

    return Pending(commit=change.commit, reply=reply)


OPERATIONS: Final = [
    Operation(
        name="create_notifications_registration",
        method="POST",
        path=_PATH,
        action=Action.NOTIFICATIONS_REGISTRATION_CREATE,
        handler=_create,
        work=Work.WRITE,
        summary="Register a notification service",
        description="It is stored and shown. Notices go to the notification destinations.",
        tag=_TAG,
        status=201,
        request=schemas.NotificationsRegistrationPrototype,
        response=schemas.NotificationsRegistration,
        target_type=_TYPE,
    ),
    Operation(
        name="get_notifications_registration",
        more_answers={404: None},
        method="GET",
        path=_PATH,
        action=Action.NOTIFICATIONS_REGISTRATION_READ,
        handler=_get,
        work=Work.POINT,
        summary="Get the registration",
        tag=_TAG,
        response=schemas.NotificationsRegistration,
        target_type=_TYPE,
    ),
    Operation(
        name="delete_notifications_registration",
        more_answers={404: None},
        method="DELETE",
        path=_PATH,
        action=Action.NOTIFICATIONS_REGISTRATION_DELETE,
        handler=_delete,
        work=Work.WRITE,
        summary="Delete the registration",
        tag=_TAG,
        status=204,
        target_type=_TYPE,
    ),
    Operation(
        name="get_notifications_registration_test",
        more_answers={404: None},
        method="GET",
        path=f"{_PATH}/test",
        action=Action.NOTIFICATIONS_REGISTRATION_TEST,
        handler=_test,
        work=Work.WRITE,
        summary="Send a test event to every notification destination",
        tag=_TAG,
        status=204,
        target_type=_TYPE,
    ),
]
