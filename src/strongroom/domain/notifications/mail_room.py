"""Between destinations and what sends to them: opens addresses, and turns every failure into an attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from strongroom.domain.notifications.model import (
    Address,
    Attempt,
    Destination,
    DestinationId,
    DestinationType,
    Notice,
    Sender,
)
from strongroom.domain.ports import Binding, Sealer
from strongroom.kernel.errors import Integrity, Internal, StrongroomError
from strongroom.kernel.secret import Secret

URL: Final = "url"
SIGNING_SECRET: Final = "signing_secret"  # noqa: S105  (the name of a member)


class MailRoom:
    """Sends notices. Safe to use from any thread."""

    def __init__(self, sealer: Sealer, senders: Mapping[DestinationType, Sender]) -> None:
        self._sealer = sealer
        self._senders = senders

    def sender(self, destination_type: DestinationType) -> Sender:
        """Return what sends to destinations of a type."""
        return self._senders[destination_type]

    def seal(self, destination_id: DestinationId, secrets: Mapping[str, str]) -> bytes | None:
        """Return what is to be stored of an address; ``None`` if there is nothing to hide."""
        if not secrets:
            return None
        return self._sealer.seal(json.dumps(dict(secrets)).encode(), _binding(destination_id))

    def open(self, destination: Destination) -> dict[str, str]:
        """Return what is stored of an address.

        Raises:
            Integrity: it was changed, or belongs to another destination.
        """
        if destination.sealed is None:
            return {}
        opened: dict[str, str] = json.loads(self._sealer.unseal(destination.sealed, _binding(destination.id)))
        return opened

    def send(self, destination: Destination, notice: Notice) -> Attempt:
        """Send once and tell what came of it."""
        try:
            address = address_of(destination, self.open(destination))
            return self._senders[destination.destination_type].send(address, notice)
        except (Integrity, Internal):
            # What is inside is the operator's to read; the worker logs it.
            raise
        except StrongroomError as error:
            return Attempt(success=False, message=error.detail, retry_after=error.retry_after)


def address_of(destination: Destination, secrets: Mapping[str, str]) -> Address:
    """Return the address of a destination with its opened secrets."""
    return Address(
        name=destination.name,
        url=Secret(secrets[URL]) if URL in secrets else None,
        signing_secret=Secret(secrets[SIGNING_SECRET]) if SIGNING_SECRET in secrets else None,
        recipients=destination.recipients,
        attach_payload=destination.attach_payload,
    )


def _binding(destination_id: DestinationId) -> Binding:
    return Binding("notification_destinations", destination_id, "sealed")
