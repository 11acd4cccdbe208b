"""Locks as the contract shows them."""

from __future__ import annotations

from typing import Any

from strongroom.domain.secrets.model import Lock, SecretLocks
from strongroom.kernel.time import format_rfc3339


def secret_lock(lock: Lock) -> dict[str, Any]:
    """Return one lock."""
    wire: dict[str, Any] = {
        "name": lock.name,
        "created_at": format_rfc3339(lock.created_at),
        "updated_at": format_rfc3339(lock.updated_at),
        "created_by": lock.created_by,
        "secret_group_id": lock.group_id,
        "secret_id": lock.secret_id,
        "secret_version_id": lock.version_id,
        "secret_version_alias": lock.alias.value,
    }
    if lock.description is not None:
        wire["description"] = lock.description
    if lock.attributes is not None:
        wire["attributes"] = lock.attributes
    return wire


def secret_locks(locks: SecretLocks) -> dict[str, Any]:
    """Return the lock names of one secret."""
    return {
        "secret_id": locks.secret_id,
        "secret_group_id": locks.group_id,
        "secret_type": locks.secret_type.value,
        "secret_name": locks.secret_name,
        "versions": [
            {
                "version_id": version.version_id,
                "version_alias": version.alias.value,
                "locks": list(version.names),
                "payload_available": version.payload_available,
            }
            for version in locks.versions
        ],
    }
