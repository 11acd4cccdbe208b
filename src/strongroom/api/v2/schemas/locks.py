"""Locks. Source: api-v2-models M1.6."""

from __future__ import annotations

from pydantic import BaseModel, Field

from strongroom.api.v2.schemas.base import Alias, Answer, DateTime, FreeObject, Paginated, Request, SecretTypeName


class SecretLockPrototype(Request):
    """A new lock."""

    name: str
    description: str | None = None
    attributes: FreeObject | None = None


class SecretLocksPrototype(Request):
    """Several new locks."""

    locks: list[SecretLockPrototype]


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


class LocksQuery(BaseModel):
    """Parameters of the lists of one secret's or version's locks."""

    offset: int = Field(default=0, ge=0, le=1000)
    limit: int = Field(default=25, ge=1, le=100)
    sort: str | None = None
    search: str | None = Field(default=None, min_length=2, max_length=128)


class SecretsLocksQuery(BaseModel):
    """Parameters of the list of locked secrets."""

    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)
    search: str | None = Field(default=None, min_length=2, max_length=128)
    groups: str | None = None


class CreateLocksQuery(BaseModel):
    """Parameters of creating locks."""

    mode: str | None = None


class DeleteLocksQuery(BaseModel):
    """Parameters of deleting locks."""

    name: str | None = None
