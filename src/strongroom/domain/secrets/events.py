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
    CREATION_FAILED = "secret_creation_failed"
    ISSUANCE_PENDING_MANUAL = "secret_issuance_pending_manual"
    CHALLENGE_EXPIRING = "challenge_expiring"
    ROTATED = "secret_rotated"
    ROTATION_FAILED = "secret_rotation_failed"
    ROTATION_BLOCKED = "secret_rotation_blocked"
    ABOUT_TO_EXPIRE = "secret_about_to_expire"
    EXPIRED = "secret_expired"
    EXPIRATION_BLOCKED = "secret_expiration_blocked"
    DELETED = "secret_deleted"
    DELETION_FAILED = "secret_deletion_failed"
    DELETION_BLOCKED = "secret_deletion_blocked"
    DATA_REMOVED = "secret_data_removed"
    REVOKED = "secret_revoked"
    REVOCATION_BLOCKED = "secret_revocation_blocked"
    VERSION_DATA_DELETED = "secret_version_data_deleted"
    TASK_CREATED = "secret_task_created"
    TASK_SUCCEEDED = "secret_task_succeeded"
    TASK_FAILED = "secret_task_failed"
    TASK_DELETED = "secret_task_deleted"


class ServerEvent(StrEnum):
    """What happened to no secret: configurations, and the test of the notices themselves."""

    CONFIGURATION_CREATED = "configuration_created"
    CONFIGURATION_UPDATED = "configuration_updated"
    CONFIGURATION_DELETED = "configuration_deleted"
    CONFIGURATION_DELETED_IN_USE = "configuration_deleted_in_use"
    TEST = "test_event"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Writes events into the outbox of this instance.

    An event holds everything that a notice of it shows about the secret, which may be gone when the notice is sent.
    """

    instance: Instance

    def emit(
        self,
        unit: Unit,
        event: EventType,
        secret: Secret,
        *,
        by: str,
        at: datetime,
        reason: str | None = None,
        sub_type: str = "",
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
        unit.events.add(PREFIX + event.value, sub_type, secret, at, details)

    def emit_about_server(
        self, unit: Unit, event: StrEnum, details: Mapping[str, Any], *, by: str, at: datetime, sub_type: str = ""
    ) -> None:
        """Write an event that is about no secret: ``details`` say what it is about."""
        stamped = {"event_time": format_rfc3339(at), "event_triggered_by": by, **details}
        unit.events.add(PREFIX + event.value, sub_type, None, at, stamped)
