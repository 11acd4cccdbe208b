"""Names of lifecycle events, and writing them into the outbox.

Source: contract domain section 7.1. Payloads are metadata only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.ids import Instance
from strongroom.kernel.time import format_rfc3339

PREFIX = "com.ibm.cloud.secrets-manager."


class EventType(StrEnum):
    """What happened to a secret."""

    CREATED = "secret_created"
    ROTATED = "secret_rotated"
    ROTATION_FAILED = "secret_rotation_failed"
    ROTATION_BLOCKED = "secret_rotation_blocked"
    EXPIRED = "secret_expired"
    EXPIRATION_BLOCKED = "secret_expiration_blocked"
    DELETED = "secret_deleted"
    DELETION_BLOCKED = "secret_deletion_blocked"
    DATA_REMOVED = "secret_data_removed"
    REVOKED = "secret_revoked"
    REVOCATION_BLOCKED = "secret_revocation_blocked"
    VERSION_DATA_DELETED = "secret_version_data_deleted"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Writes events into the outbox of this instance.

    An event holds everything that a notice of it shows about the secret, which may be gone when the notice is sent.
    """

    instance: Instance

    def emit(
        self, unit: Unit, event: EventType, secret: Secret, *, by: str, at: datetime, reason: str | None = None
    ) -> None:
        """Write an event about a secret with the change that it tells of."""
        details: dict[str, Any] = {
            "secret_type": secret.secret_type.value,
            "event_time": format_rfc3339(at),
            "event_triggered_by": by,
            "secret_id": self.instance.secret_crn(secret.id),
            "secret_name": secret.name,
            "secret_group_id": secret.group_id,
        }
        names = [secret.attributes.get("common_name"), *secret.attributes.get("alt_names", ())]
        domains = list(dict.fromkeys(name for name in names if name))
        if domains:
            details["domains"] = ",".join(domains)
        if "serial_number" in secret.attributes:
            details["serial_number"] = secret.attributes["serial_number"]
        if secret.expires_at is not None:
            details["secret_expiration"] = format_rfc3339(secret.expires_at)
        if reason is not None:
            details["failure_reason"] = reason
        unit.events.add(PREFIX + event.value, "", secret, at, details)

    def emit_about_server(
        self, unit: Unit, event: StrEnum, details: Mapping[str, Any], *, by: str, at: datetime, sub_type: str = ""
    ) -> None:
        """Write an event that is about no secret: ``details`` say what it is about."""
        stamped = {"event_time": format_rfc3339(at), "event_triggered_by": by, **details}
        unit.events.add(PREFIX + event.value, sub_type, None, at, stamped)
