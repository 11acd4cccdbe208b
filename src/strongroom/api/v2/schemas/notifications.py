"""The registration of a notification service. Source: api-v2-models M1.7."""

from __future__ import annotations

from typing import Annotated

from pydantic import WithJsonSchema

from strongroom.api.parameters import text
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.domain.notifications.registering import CRN, CRN_LENGTHS, SOURCE_DESCRIPTION_MAX, SOURCE_NAME_LENGTHS

Crn = Annotated[str, WithJsonSchema(text(*CRN_LENGTHS, pattern=f"^{CRN.pattern}$"))]


class NotificationsRegistrationPrototype(Request):
    """What to register."""

    event_notifications_instance_crn: Crn
    event_notifications_source_name: Annotated[str, WithJsonSchema(text(*SOURCE_NAME_LENGTHS))]
    event_notifications_source_description: Annotated[str, WithJsonSchema(text(0, SOURCE_DESCRIPTION_MAX))] | None = (
        None
    )


class NotificationsRegistration(Answer):
    """What is registered."""

    event_notifications_instance_crn: Crn
