"""What the models of all secret types share. Source: api-v2-models M1.1, M1.2 and M1.4."""

from __future__ import annotations

from typing import Literal

from strongroom.api.parameters import DateTime, Description, GroupReference, Interval, Labels, Metadata, SecretName
from strongroom.api.v2.schemas.base import Alias, Answer, FreeObject, Notice, Request, StateDescription

State = Literal[0, 1, 2, 3, 5]


class CertificateValidity(Answer):
    """When a certificate is valid."""

    not_before: DateTime
    not_after: DateTime


class CommonRotationPolicy(Request):
    """Automatic rotation by interval."""

    auto_rotate: bool
    interval: Interval | None = None
    unit: Literal["day", "month", "hour"] | None = None


class SecretOptions(Request):
    """What every new secret may have."""

    description: Description | None = None
    secret_group_id: GroupReference | None = None
    labels: Labels | None = None
    custom_metadata: Metadata | None = None
    version_custom_metadata: Metadata | None = None


class SecretPrototypeBase(SecretOptions):
    """Members of every new secret."""

    name: SecretName


class SecretBase(Answer):
    """Members of every secret."""

    created_by: str
    created_at: DateTime
    retrieved_at: DateTime | None = None
    crn: str
    custom_metadata: FreeObject | None = None
    description: str | None = None
    downloaded: bool | None = None
    id: str
    labels: list[str] | None = None
    locks_total: int | None = None
    name: str | None = None
    secret_group_id: str
    state: State | None = None
    state_description: StateDescription | None = None
    updated_at: DateTime
    versions_total: int
    referenced_by: list[str] | None = None
    warnings: list[Notice] | None = None
    rotation_status: Literal["none", "pending", "failed", "blocked"] | None = None
    job: FreeObject | None = None


class SecretMetadataPatchBase(Request):
    """Members that every secret's metadata patch has; null removes."""

    name: SecretName | None = None
    description: Description | None = None
    labels: Labels | None = None
    custom_metadata: Metadata | None = None


class VersionPrototypeBase(Request):
    """Members of every new version."""

    custom_metadata: Metadata | None = None
    version_custom_metadata: Metadata | None = None


class VersionBase(Answer):
    """Members of every version."""

    auto_rotated: bool | None = None
    created_by: str
    created_at: DateTime
    downloaded: bool | None = None
    id: str
    secret_name: str | None = None
    secret_group_id: str
    payload_available: bool
    alias: Alias | None = None
    version_custom_metadata: FreeObject | None = None
    secret_id: str
    expiration_date: DateTime | None = None
