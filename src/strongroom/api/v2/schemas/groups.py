"""Secret groups. Source: api-v2-models M1.5."""

from __future__ import annotations

from strongroom.api.parameters import DateTime, Description, GroupName
from strongroom.api.v2.schemas.base import Answer, Request


class SecretGroupPrototype(Request):
    """A new group."""

    name: GroupName
    description: Description | None = None


class SecretGroupPatch(Request):
    """Changes to a group."""

    name: GroupName | None = None
    description: Description | None = None


class SecretGroup(Answer):
    """A set of secrets that access is granted on."""

    id: str
    name: str
    description: str
    created_at: DateTime
    created_by: str
    updated_at: DateTime


class SecretGroupCollection(Answer):
    """Every group the caller may see."""

    secret_groups: list[SecretGroup]
    total_count: int
