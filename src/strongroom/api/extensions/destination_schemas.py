"""Models of notification destinations. Source: design, section 12."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from strongroom.api.parameters import DateTime, GroupReference, text
from strongroom.api.v2.schemas.base import (
    Answer,
    PaginatedCollectionFirst,
    PaginatedCollectionLast,
    PaginatedCollectionNext,
    PaginatedCollectionPrevious,
    Request,
    SecretTypeName,
)
from strongroom.domain.notifications.vocabulary import EVENT_TYPES
from strongroom.domain.secrets.checks import CONFIGURATION_NAME_LENGTHS, NAME

DestinationTypeName = Literal["webhook", "email", "slack", "apprise"]
_MOST_FILTERED: Final = 200
_MOST_RECIPIENTS: Final = 50

_Name = Annotated[str, WithJsonSchema(text(*CONFIGURATION_NAME_LENGTHS, pattern=f"^{NAME.pattern}$"))]
_Url = Annotated[str, Field(min_length=1, max_length=4096)]
_SigningSecret = Annotated[str, Field(min_length=16, max_length=256)]
_EventType = Annotated[
    str,
    Field(max_length=128),
    WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)}),
]
_Recipients = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=_MOST_RECIPIENTS)]


class DestinationFilters(Request):
    """Which events a destination hears of; an empty list lets everything through."""

    event_types: Annotated[list[_EventType], Field(max_length=_MOST_FILTERED)] = Field(default_factory=list)
    secret_types: Annotated[list[SecretTypeName], Field(max_length=_MOST_FILTERED)] = Field(default_factory=list)
    secret_group_ids: Annotated[list[GroupReference], Field(max_length=_MOST_FILTERED)] = Field(default_factory=list)


class NotificationDestinationPrototype(Request):
    """A new destination. `url` and `signing_secret` are never shown again."""

    name: _Name
    type: DestinationTypeName
    enabled: bool = True
    url: _Url | None = None
    recipients: _Recipients | None = None
    signing_secret: _SigningSecret | None = None
    attach_payload: bool = False
    filters: DestinationFilters | None = None


class NotificationDestinationPatch(Request):
    """Changes to a destination; `signing_secret` null takes it away, `filters` are replaced as a whole."""

    name: _Name | None = None
    enabled: bool | None = None
    url: _Url | None = None
    recipients: _Recipients | None = None
    signing_secret: _SigningSecret | None = None
    attach_payload: bool | None = None
    filters: DestinationFilters | None = None


class ShownFilters(Answer):
    """Which events a destination hears of."""

    event_types: list[str]
    secret_types: list[SecretTypeName]
    secret_group_ids: list[str]


class NotificationDestination(Answer):
    """Somebody who is told of events; of the address only what may be seen by everybody."""

    id: str
    name: str
    type: DestinationTypeName
    enabled: bool
    url: str | None = None
    recipients: list[str] | None = None
    attach_payload: bool | None = None
    filters: ShownFilters
    created_at: DateTime
    created_by: str
    updated_at: DateTime


class NotificationDestinationCollection(Answer):
    """Every destination, oldest first."""

    destinations: list[NotificationDestination]
    total_count: int


class NotificationTestResult(Answer):
    """What came of a test."""

    success: bool
    status_code: int | None = None
    message: str


class NotificationDelivery(Answer):
    """A notice to one destination, as of the last try."""

    id: str
    event_type: str
    event_id: str
    attempt: int
    state: Literal["delivered", "retrying", "failed"]
    status_code: int | None = None
    message: str
    sent_at: DateTime
    next_try_at: DateTime | None = None


class NotificationDeliveryCollection(Answer):
    """A page of the delivery log, newest first."""

    total_count: int
    limit: int
    offset: int
    first: PaginatedCollectionFirst
    next: PaginatedCollectionNext | None = None
    previous: PaginatedCollectionPrevious | None = None
    last: PaginatedCollectionLast
    deliveries: list[NotificationDelivery]


class DeliveriesQuery(BaseModel, defer_build=True):
    """Parameters of the delivery log."""

    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=100, ge=1, le=1000)
