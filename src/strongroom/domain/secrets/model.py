"""Secrets, versions and locks as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from strongroom.kernel.ids import GroupId, IamId, SecretId, VersionId
from strongroom.kernel.result import Notice, Sort
from strongroom.kernel.value import value


class SecretType(StrEnum):
    """The API's discriminator ``secret_type``."""

    ARBITRARY = "arbitrary"
    IAM_CREDENTIALS = "iam_credentials"
    IMPORTED_CERT = "imported_cert"
    KV = "kv"
    PRIVATE_CERT = "private_cert"
    PUBLIC_CERT = "public_cert"
    SERVICE_CREDENTIALS = "service_credentials"
    USERNAME_PASSWORD = "username_password"  # noqa: S105  (the API's word for the type)
    CUSTOM_CREDENTIALS = "custom_credentials"


CERTIFICATE_TYPES = frozenset({SecretType.IMPORTED_CERT, SecretType.PUBLIC_CERT, SecretType.PRIVATE_CERT})


class State(IntEnum):
    """Life of a secret; the numbers follow NIST SP 800-57 (contract domain section 2.1)."""

    PRE_ACTIVATION = 0
    ACTIVE = 1
    SUSPENDED = 2
    DEACTIVATED = 3
    DESTROYED = 5

    @property
    def description(self) -> str:
        """Return the API's ``state_description``."""
        return self.name.lower()


class RotationUnit(StrEnum):
    """Unit of a rotation interval."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class VersionAlias(StrEnum):
    """Names for the two versions that keep their payload."""

    CURRENT = "current"
    PREVIOUS = "previous"


@value
class Secret:
    """A named object with metadata; its values are versions.

    Attributes:
        attributes: clear metadata of its type, in the API's spelling and wire form
            (certificate facts, ``managed_csr`` inputs, ``password_generation_policy``, ...).
        rotation: the policy in wire form, or ``None`` where the type has none.
        private_state: sealed bytes that the engine keeps beside the versions (the key of a
            managed CSR), never shown to Readers.
        warnings: notices of the last import or rotation.
        retrieved_at: last payload read; ``None`` means never.
        downloaded: whether the current version's payload was ever in an answer.
        versions_made: how many versions there ever were; numbers the next one.
        row_version: optimistic lock; grows with every save.
    """

    id: SecretId
    secret_type: SecretType
    name: str
    description: str = ""
    group_id: GroupId
    labels: tuple[str, ...] = ()
    custom_metadata: Mapping[str, Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rotation: Mapping[str, Any] | None = None
    private_state: bytes | None = field(default=None, repr=False)
    warnings: tuple[Notice, ...] = ()
    state: State
    created_at: datetime
    created_by: IamId
    updated_at: datetime
    retrieved_at: datetime | None = None
    downloaded: bool = False
    expires_at: datetime | None = None
    next_rotation_at: datetime | None = None
    rotation_status: str = "none"
    versions_total: int = 0
    versions_made: int = 0
    locks_total: int = 0
    current_version_id: VersionId | None = None
    previous_version_id: VersionId | None = None
    row_version: int = 0


@value
class Version:
    """One value of a secret, without the value.

    Attributes:
        number: 1 for the first version of the secret.
        attributes: clear metadata of its type in wire form (``serial_number``, ``validity``, ``lint``, ...).
        payload_available: whether the sealed payload still exists.
    """

    id: VersionId
    secret_id: SecretId
    number: int
    created_at: datetime
    created_by: IamId
    auto_rotated: bool = False
    downloaded: bool = False
    payload_available: bool = True
    expires_at: datetime | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    custom_metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Says that something uses a version."""

    name: str
    description: str | None = None
    attributes: Mapping[str, Any] | None = None
    created_at: datetime
    updated_at: datetime
    created_by: IamId
    secret_id: SecretId
    version_id: VersionId
    group_id: GroupId
    alias: VersionAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLocks:
    """Lock names on one version that can carry locks."""

    version_id: VersionId
    alias: VersionAlias
    names: tuple[str, ...]
    payload_available: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretLocks:
    """Lock names of one secret, version by version, current first."""

    secret_id: SecretId
    secret_name: str
    secret_type: SecretType
    group_id: GroupId
    versions: tuple[VersionLocks, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretQuery:
    """Filters, order and window of a list of secrets.

    Attributes:
        groups: only these groups; ``None`` means all. The caller's scope is already in it.
        search: substring, case-insensitive, 2 characters or more.
        labels: every one of them must be on the secret.
        sort: key by API name; ``None`` means newest first.
    """

    limit: int
    offset: int = 0
    groups: frozenset[GroupId] | None = None
    secret_types: frozenset[SecretType] | None = None
    labels: tuple[str, ...] = ()
    search: str | None = None
    sort: Sort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalQuery:
    """Filters and window of the list of coming renewals; soonest first.

    Attributes:
        groups: only these groups; ``None`` means all. The caller's scope is already in it.
        before: only what is due before then.
    """

    limit: int
    offset: int = 0
    groups: frozenset[GroupId] | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockQuery:
    """Filters, order and window of a list of locks."""

    limit: int
    offset: int = 0
    search: str | None = None
    sort: Sort | None = None
    groups: frozenset[GroupId] | None = None


@value
class StoredPayload:
    """A secret with one of its versions and that version's sealed payload, read in one go."""

    secret: Secret
    version: Version
    sealed: bytes | None = field(repr=False)
