"""Puts notices together: what is sent, by what, and how it is logged and counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from strongroom.domain.limits import Limits
from strongroom.domain.notifications.delivering import Deliveries
from strongroom.domain.notifications.dispatch import Dispatch
from strongroom.domain.notifications.expiry import ExpiryNotices
from strongroom.domain.notifications.mail_room import MailRoom
from strongroom.domain.notifications.model import Delivery, DeliveryState, Destination, DestinationType
from strongroom.domain.notifications.payload import Source
from strongroom.domain.notifications.service import Notifications, NotificationServices
from strongroom.domain.ports import Sealer, Storage
from strongroom.domain.secrets.events import Outbox
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import Instance
from strongroom.kernel.secret import Secret
from strongroom.net.client import HttpClient
from strongroom.net.guard import Guard
from strongroom.notify.apprise import AppriseSender
from strongroom.notify.email import EmailSender, MailServer
from strongroom.notify.posting import TIMEOUT, Post
from strongroom.notify.slack import SlackSender
from strongroom.notify.webhook import WebhookSender
from strongroom.runtime.settings import SMTPS_PORT, Settings, SmtpSettings
from strongroom.runtime.trust_files import read_text, read_trusted

_LARGEST_FILE: Final = 1024 * 1024


class Log(Protocol):
    """Where operators read what was sent."""

    def info(self, event: str, **fields: Any) -> None:
        """Tell of something that went well."""
        ...

    def error(self, event: str, **fields: Any) -> None:
        """Tell of something that did not."""
        ...


class DeliveryWatch:
    """Logs and counts every try. Source: contract domain section 7.4."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, destination: Destination, delivery: Delivery) -> None:
        """Note what came of a try."""
        with self._lock:
            self._counts[destination.destination_type.value, delivery.state.value] += 1
        fields = {
            "destination": destination.id,
            "delivery": delivery.id,
            "notice": delivery.event_id,
            "notice_type": delivery.event_type,
            "attempt": delivery.attempt,
        }
        if delivery.state is DeliveryState.DELIVERED:
            self._log.info("event notification sent", **fields)
        else:
            self._log.error(
                "event notification not sent", state=delivery.state.value, reason=delivery.message, **fields
            )

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return how many tries there were, by type of destination and what came of them."""
        with self._lock:
            return dict(self._counts)


def build_notifications(
    settings: Settings,
    *,
    storage: Storage,
    clock: Clock,
    limits: Limits,
    sealer: Sealer,
    instance: Instance,
    public_url: str,
    outbox: Outbox,
    guard: Guard,
    http: HttpClient,
    watch: DeliveryWatch,
) -> NotificationServices:
    """Put everything about notices together.

    Raises:
        Invalid: ``settings_invalid`` if a file of the table ``[smtp]`` cannot be read.
    """
    # What may be contacted in the operator's own network may be spoken to as it is usual there.
    allow_http = settings.allow_private_addresses
    post = Post(client=http, guard=guard, allow_http=allow_http)

    def session() -> Any:
        from strongroom.net.requests_adapter import guarded_session

        return guarded_session(guard, allow_http=allow_http, timeout=TIMEOUT, clock=clock)

    mail_room = MailRoom(
        sealer,
        {
            DestinationType.WEBHOOK: WebhookSender(post, clock),
            DestinationType.SLACK: SlackSender(post),
            DestinationType.EMAIL: EmailSender(guard, _mail_server(settings.smtp)),
            DestinationType.APPRISE: AppriseSender(session),
        },
    )
    dispatch = Dispatch(clock, Source(instance=instance, public_url=public_url))
    return NotificationServices(
        notifications=Notifications(
            storage=storage, clock=clock, limits=limits, mail_room=mail_room, dispatch=dispatch
        ),
        dispatch=dispatch,
        deliveries=Deliveries(storage, clock, mail_room, watch),
        expiry=ExpiryNotices(clock, outbox),
    )


def _mail_server(smtp: SmtpSettings | None) -> MailServer | None:
    if smtp is None:
        return None
    from strongroom.net.sockets import SmtpSecurity

    security = SmtpSecurity.STARTTLS if smtp.starttls else SmtpSecurity.NONE
    return MailServer(
        host=smtp.host,
        port=smtp.port,
        security=SmtpSecurity.TLS if smtp.port == SMTPS_PORT else security,
        sender=smtp.sender,
        username=smtp.username,
        password=None if smtp.password_file is None else _password(smtp.password_file),
        trust_pem=None if smtp.ca_file is None else read_trusted(smtp.ca_file, "smtp.ca_file"),
    )


def _password(path: Path) -> Secret[str]:
    name = "smtp.password_file"
    text = read_text(path, name).strip("\r\n")
    if not text:
        raise Invalid(ErrorCode.SETTINGS_INVALID, f"{name}: {path} is empty.", field=name)
    if any(sign in text for sign in "\r\n\0"):
        detail = f"{name}: {path} must hold the password alone, on one line."
        raise Invalid(ErrorCode.SETTINGS_INVALID, detail, field=name)
    return Secret(text)
