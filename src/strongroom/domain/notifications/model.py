"""Destinations, notices and deliveries as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NewType, Protocol

from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.ids import GroupId, IamId
from strongroom.kernel.secret import Secret
from strongroom.kernel.value import value

DestinationId = NewType("DestinationId", str)
DeliveryId = NewType("DeliveryId", str)
EventId = NewType("EventId", str)

SECRETS_PER_NOTICE: Final = 100


class DestinationType(StrEnum):
    """How a destination is reached."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    SLACK = "slack"
    APPRISE = "apprise"


@value
class Filters:
    """Which events a destination hears of; an empty list lets everything through.

    Attributes:
        event_types: without the common prefix.
    """

    event_types: tuple[str, ...] = ()
    secret_types: tuple[SecretType, ...] = ()
    secret_group_ids: tuple[GroupId, ...] = ()

    def let_through(self, event_type: str, secret_type: str | None, group_id: GroupId | None) -> bool:
        """Tell whether an event passes; one about no secret does not where secrets are chosen by type or group."""
        return (
            (not self.event_types or event_type in self.event_types)
            and (not self.secret_types or secret_type in self.secret_types)
            and (not self.secret_group_ids or group_id in self.secret_group_ids)
        )


@value
class Destination:
    """Somebody to tell.

    Attributes:
        shown_url: as much of its address as may be shown.
        attach_payload: whether e-mails carry the payload as an attachment.
        sealed: its address and signing secret, encrypted.
        row_version: optimistic lock; grows with every save.
    """

    id: DestinationId
    name: str
    destination_type: DestinationType
    enabled: bool = True
    shown_url: str | None = None
    recipients: tuple[str, ...] = ()
    attach_payload: bool = False
    filters: Filters = field(default_factory=Filters)
    created_at: datetime
    created_by: IamId
    updated_at: datetime
    row_version: int = 0
    sealed: bytes | None = field(default=None, repr=False)


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"


@value
class Delivery:
    """A notice on its way to one destination.

    Attributes:
        event_type: with its prefix.
        event_id: the same at every destination and every try, so that receivers can drop repeats.
        attempt: tries so far.
        next_try_at: ``None`` once it has ended.
        payload: ``None`` once it has ended.
    """

    id: DeliveryId
    destination_id: DestinationId
    event_type: str
    event_id: EventId
    state: DeliveryState = DeliveryState.RETRYING
    attempt: int = 0
    answer_code: int | None = None
    message: str = ""
    created_at: datetime
    sent_at: datetime | None = None
    next_try_at: datetime | None = None
    payload: Mapping[str, Any] | None = field(default=None, repr=False)


@value
class WaitingEvent:
    """An event of the outbox that no notice was made of yet.

    Attributes:
        pk: its place in the outbox.
        event_type: with its prefix.
    """

    pk: int
    event_type: str
    sub_type: str
    group_id: GroupId | None
    payload: Mapping[str, Any]


@value
class Registration:
    """The notification service that a client of the reference registered; stored and shown."""

    instance_crn: str
    source_name: str
    source_description: str
    created_at: datetime
    created_by: IamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is sent: one event type, one secret type, one expiry detail."""

    id: EventId
    event_type: str
    at: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a destination is, with what must not be shown."""

    name: str
    url: Secret[str] | None = None
    signing_secret: Secret[str] | None = None
    recipients: tuple[str, ...] = ()
    attach_payload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one try.

    Attributes:
        message: for people; holds nothing of the address but its host.
        retry_after: what the receiver asked for.
    """

    success: bool
    message: str
    answer_code: int | None = None
    retry_after: timedelta | None = None


class Sender(Protocol):
    """Sends notices to destinations of one type. Safe to use from any thread."""

    def check(self, address: Address) -> None:
        """Refuse an address that can never be reached; sends nothing.

        Raises:
            Invalid: names the field and what would pass.
        """
        ...

    def show(self, url: str) -> str:
        """Return as much of an address as everybody may see."""
        ...

    def send(self, address: Address, notice: Notice) -> Attempt:
        """Send once; takes seconds at most.

        Raises:
            StrongroomError: the receiver could not be reached; counts as a try that failed.
        """
        ...
