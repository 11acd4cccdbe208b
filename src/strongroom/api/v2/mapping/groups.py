"""Secret groups as the contract shows them."""

from __future__ import annotations

from typing import Any

from strongroom.domain.groups.model import SecretGroup
from strongroom.kernel.time import format_rfc3339


def secret_group(group: SecretGroup) -> dict[str, Any]:
    """Return a group."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "created_at": format_rfc3339(group.created_at),
        "created_by": group.created_by,
        "updated_at": format_rfc3339(group.updated_at),
    }
