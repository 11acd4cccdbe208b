"""Locks. Source: api-v2-models M1.6."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from strongroom.api.parameters import (
    DateTime,
    Description,
    LockName,
    Metadata,
    comma_list,
    one_of,
    sort_key,
)
from strongroom.api.v2.schemas.base import Alias, Answer, FreeObject, Paginated, Request, SecretTypeName


class SecretLockPrototype(Request):
    """A new lock."""

    name: LockName
    description: Description | None = None
    attributes: Metadata | None = None


class SecretLocksPrototype(Request):
    """Several new locks."""

    locks: list[SecretLockPrototype] = Field(json_schema_extra={"minItems": 1, "maxItems": 1000})


class SecretLock(Answer):
    """Says that something uses a version."""

    name: str
    description: str | None = None
    attributes: FreeObject | None = None
    created_at: DateTime
    updated_at: DateTime
    created_by: str
    secret_group_id: str
    secret_id: str
    secret_version_id: str
    secret_version_alias: Alias


class SecretVersionLocks(Answer):
    """Lock names on one version."""

    version_id: str
    version_alias: Alias
    locks: list[str]
    payload_available: bool | None = None


class SecretLocks(Answer):
    """Lock names of one secret."""

    secret_id: str
    secret_group_id: str
    secret_type: SecretTypeName
    secret_name: str | None = None
    versions: list[SecretVersionLocks]


class SecretLocksPaginatedCollection(Paginated):
    """Locks of one secret."""

    locks: list[SecretLock]


class SecretVersionLocksPaginatedCollection(Paginated):
    """Locks of one version."""

    locks: list[SecretLock]


class SecretsLocksPaginatedCollection(Paginated):
    """Secrets that carry locks."""

    secrets_locks: list[SecretLocks]


class LocksQuery(BaseModel, defer_build=True):
    """Parameters of the lists of one secret's or version's locks."""

    offset: int = Field(default=0, ge=0, le=1000)
    limit: int = Field(default=25, ge=1, le=100)
    sort: Annotated[str | None, sort_key("created_at", "updated_at", "name")] = None
    search: str | None = Field(default=None, min_length=2, max_length=128)


class SecretsLocksQuery(BaseModel, defer_build=True):
    """Parameters of the list of locked secrets."""

    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)
    search: str | None = Field(default=None, min_length=2, max_length=128)
    groups: Annotated[str | None, comma_list({"type": "string"}, most=201)] = None


class CreateLocksQuery(BaseModel, defer_build=True):
    """Parameters of creating locks."""

    mode: Annotated[str | None, one_of("remove_previous", "remove_previous_and_delete")] = None


class DeleteLocksQuery(BaseModel, defer_build=True):
    """Parameters of deleting locks."""

    name: Annotated[str | None, comma_list({"type": "string"}, most=1000)] = None
