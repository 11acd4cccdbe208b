"""Identities and what is granted to them, as plain data.

Shapes follow IBM's IAM Identity Services, Policy Management and Access Groups APIs (design, section 12).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from strongroom.domain.access.actions import Role
from strongroom.kernel.ids import AccessGroupId, ApiKeyId, GroupId, IamId, PolicyId, ServiceIdId


class UserOrigin(StrEnum):
    """Where a user's login is checked."""

    LOCAL = "local"
    OIDC = "oidc"


class UserState(StrEnum):
    """Whether a user may log in."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person."""

    iam_id: IamId
    name: str
    email: str | None = None
    origin: UserOrigin = UserOrigin.LOCAL
    state: UserState = UserState.ACTIVE
    password_hash: str | None = field(default=None, repr=False)
    created_at: datetime
    last_login_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceId:
    """A program's identity."""

    id: ServiceIdId
    iam_id: IamId
    name: str
    description: str | None = None
    entity_tag: str
    locked: bool = False
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A credential of an identity; the key itself is only known as a keyed digest.

    Attributes:
        digest: HMAC-SHA256 of the key under the server's pepper, lower-case hex.
        allowed_networks: CIDRs that exchange and use are allowed from; empty means any.
    """

    id: ApiKeyId
    iam_id: IamId
    name: str
    description: str | None = None
    digest: str = field(repr=False)
    entity_tag: str
    disabled: bool = False
    locked: bool = False
    expires_at: datetime | None = None
    allowed_networks: tuple[str, ...] = ()
    created_at: datetime
    created_by: IamId
    modified_at: datetime
    last_used_at: datetime | None = None


class SubjectKind(StrEnum):
    """What a policy is attached to."""

    IAM_ID = "iam_id"
    ACCESS_GROUP = "access_group_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Roles of one subject on the instance or on one secret group.

    Attributes:
        group_id: the secret group, or ``None`` for the whole instance.
        document: the request body as it was accepted, as JSON text, to be echoed.
    """

    id: PolicyId
    subject_kind: SubjectKind
    subject: str
    roles: tuple[Role, ...]
    group_id: GroupId | None = None
    description: str | None = None
    document: str
    entity_tag: str
    created_at: datetime
    created_by: IamId
    modified_at: datetime
    modified_by: IamId


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGroup:
    """Identities that share policies.

    Attributes:
        oidc_groups: groups of the identity provider whose members belong to it while logged in.
    """

    id: AccessGroupId
    name: str
    description: str | None = None
    oidc_groups: tuple[str, ...] = ()
    entity_tag: str
    created_at: datetime
    created_by: IamId
    modified_at: datetime
    modified_by: IamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One identity's place in an access group."""

    group_id: AccessGroupId
    iam_id: IamId
    type: str
    created_at: datetime
    created_by: IamId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A long-lived opaque token, known only as a keyed digest."""

    digest: str = field(repr=False)
    iam_id: IamId
    api_key_id: ApiKeyId
    expires_at: datetime
