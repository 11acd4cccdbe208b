"""Identities and grants as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from strongroom.domain.access.actions import Role
from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    RefreshToken,
    ServiceId,
    SubjectKind,
    User,
    UserOrigin,
    UserState,
)
from strongroom.kernel.ids import AccessGroupId, ApiKeyId, GroupId, IamId, PolicyId, ServiceIdId
from strongroom.kernel.time import from_microseconds, to_microseconds


def optional_microseconds(at: datetime | None) -> int | None:
    """Return the stored form of an instant that may be missing."""
    return None if at is None else to_microseconds(at)


def _at(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)


def _encode(values: Sequence[str]) -> str:
    return json.dumps(list(values), separators=(",", ":"))


def user_row(user: User) -> dict[str, Any]:
    """Return what a save of a user writes."""
    return {
        "name": user.name,
        "email": user.email,
        "origin": user.origin.value,
        "state": user.state.value,
        "password_hash": user.password_hash,
        "last_login_at": optional_microseconds(user.last_login_at),
    }


def read_user(row: Sequence[Any]) -> User:
    """Return the user of a row."""
    iam_id, name, email, origin, state, password_hash, created_at, last_login_at = row
    return User(
        iam_id=IamId(iam_id),
        name=name,
        email=email,
        origin=UserOrigin(origin),
        state=UserState(state),
        password_hash=password_hash,
        created_at=from_microseconds(created_at),
        last_login_at=_at(last_login_at),
    )


def service_id_row(service_id: ServiceId) -> dict[str, Any]:
    """Return what a save of a service ID writes."""
    return {
        "name": service_id.name,
        "description": service_id.description,
        "entity_tag": service_id.entity_tag,
        "locked": service_id.locked,
        "modified_at": to_microseconds(service_id.modified_at),
    }


def read_service_id(row: Sequence[Any]) -> ServiceId:
    """Return the service ID of a row."""
    id_, iam_id, name, description, entity_tag, locked, created_at, modified_at = row
    return ServiceId(
        id=ServiceIdId(id_),
        iam_id=IamId(iam_id),
        name=name,
        description=description,
        entity_tag=entity_tag,
        locked=bool(locked),
        created_at=from_microseconds(created_at),
        modified_at=from_microseconds(modified_at),
    )


def api_key_row(api_key: ApiKey) -> dict[str, Any]:
    """Return what a save of an API key writes."""
    return {
        "name": api_key.name,
        "description": api_key.description,
        "entity_tag": api_key.entity_tag,
        "disabled": api_key.disabled,
        "locked": api_key.locked,
        "expires_at": optional_microseconds(api_key.expires_at),
        "allowed_networks": _encode(api_key.allowed_networks),
        "modified_at": to_microseconds(api_key.modified_at),
    }


def read_api_key(row: Sequence[Any]) -> ApiKey:
    """Return the API key of a row."""
    (
        id_,
        iam_id,
        name,
        description,
        digest,
        entity_tag,
        disabled,
        locked,
        expires_at,
        allowed_networks,
        created_at,
        created_by,
        modified_at,
        last_used_at,
    ) = row
    return ApiKey(
        id=ApiKeyId(id_),
        iam_id=IamId(iam_id),
        name=name,
        description=description,
        digest=digest,
        entity_tag=entity_tag,
        disabled=bool(disabled),
        locked=bool(locked),
        expires_at=_at(expires_at),
        allowed_networks=tuple(json.loads(allowed_networks)),
        created_at=from_microseconds(created_at),
        created_by=IamId(created_by),
        modified_at=from_microseconds(modified_at),
        last_used_at=_at(last_used_at),
    )


def policy_row(policy: Policy) -> dict[str, Any]:
    """Return what a save of a policy writes."""
    return {
        "subject_kind": policy.subject_kind.value,
        "subject": policy.subject,
        "roles": _encode([role.value for role in policy.roles]),
        "group_id": policy.group_id,
        "description": policy.description,
        "document": policy.document,
        "entity_tag": policy.entity_tag,
        "modified_at": to_microseconds(policy.modified_at),
        "modified_by": policy.modified_by,
    }


def read_policy(row: Sequence[Any]) -> Policy:
    """Return the policy of a row."""
    (
        id_,
        subject_kind,
        subject,
        roles,
        group_id,
        description,
        document,
        entity_tag,
        created_at,
        created_by,
        modified_at,
        modified_by,
    ) = row
    return Policy(
        id=PolicyId(id_),
        subject_kind=SubjectKind(subject_kind),
        subject=subject,
        roles=tuple(Role(role) for role in json.loads(roles)),
        group_id=None if group_id is None else GroupId(group_id),
        description=description,
        document=document,
        entity_tag=entity_tag,
        created_at=from_microseconds(created_at),
        created_by=IamId(created_by),
        modified_at=from_microseconds(modified_at),
        modified_by=IamId(modified_by),
    )


def access_group_row(group: AccessGroup) -> dict[str, Any]:
    """Return what a save of an access group writes."""
    return {
        "name": group.name,
        "description": group.description,
        "oidc_groups": _encode(group.oidc_groups),
        "entity_tag": group.entity_tag,
        "modified_at": to_microseconds(group.modified_at),
        "modified_by": group.modified_by,
    }


def read_access_group(row: Sequence[Any]) -> AccessGroup:
    """Return the access group of a row."""
    id_, name, description, oidc_groups, entity_tag, created_at, created_by, modified_at, modified_by = row
    return AccessGroup(
        id=AccessGroupId(id_),
        name=name,
        description=description,
        oidc_groups=tuple(json.loads(oidc_groups)),
        entity_tag=entity_tag,
        created_at=from_microseconds(created_at),
        created_by=IamId(created_by),
        modified_at=from_microseconds(modified_at),
        modified_by=IamId(modified_by),
    )


def read_membership(group_id: AccessGroupId, row: Sequence[Any]) -> Membership:
    """Return the member of the group that a row is."""
    iam_id, type_, created_at, created_by = row
    return Membership(
        group_id=group_id,
        iam_id=IamId(iam_id),
        type=type_,
        created_at=from_microseconds(created_at),
        created_by=IamId(created_by),
    )


def read_refresh_token(row: Sequence[Any]) -> RefreshToken:
    """Return the refresh token of a row."""
    digest, iam_id, api_key_id, expires_at = row
    return RefreshToken(
        digest=digest, iam_id=IamId(iam_id), api_key_id=ApiKeyId(api_key_id), expires_at=from_microseconds(expires_at)
    )
