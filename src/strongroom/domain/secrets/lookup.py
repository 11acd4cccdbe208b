"""Finding the addressed thing and deciding who may touch it, in one step."""

from __future__ import annotations

from typing import Final

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import refuse, require, require_group, unknown
from strongroom.domain.access.principals import Principal
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.model import Secret, SecretType, StoredPayload, Version, VersionAlias
from strongroom.kernel.errors import ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, SecretId, VersionId, is_uuid

NO_GROUP: Final = "secret_group_id names no secret group."
NO_VERSION: Final = "The secret has no such version."


def authorised_secret(unit: ReadUnit, principal: Principal, action: Action, secret_id: str) -> Secret:
    """Return the secret.

    Raises:
        Forbidden: its group is outside the caller's scope, or the caller holds the action nowhere.
        NotFound: there is no such secret.
    """
    require(principal, action)
    secret = unit.secrets.find(SecretId(secret_id)) if is_uuid(secret_id) else None
    if secret is None:
        unknown(principal, action, "The secret")
    require_group(principal, action, secret.group_id)
    return secret


def authorised_current(unit: ReadUnit, principal: Principal, action: Action, secret_id: str) -> StoredPayload | Secret:
    """Return the secret with its current version and sealed payload, or alone if it has no version."""
    require(principal, action)
    found = unit.secrets.find_current(SecretId(secret_id)) if is_uuid(secret_id) else None
    if found is None:
        return authorised_secret(unit, principal, action, secret_id)
    require_group(principal, action, found.secret.group_id)
    return found


def authorised_by_name(
    unit: ReadUnit, principal: Principal, action: Action, *, group_name: str, secret_type: SecretType, name: str
) -> Secret:
    """Return the secret by group name, type and name.

    Raises:
        Forbidden: the group is not the caller's, whether or not it or the secret exists.
        NotFound: the group is the caller's, and has no such secret.
    """
    scope = require(principal, action)
    group = unit.groups.find_by_name(group_name)
    if group is None:
        if scope.everywhere:
            raise NotFound(ErrorCode.NOT_FOUND, "The secret group was not found.")
        refuse(action)
    require_group(principal, action, group.id)
    secret = unit.secrets.find_by_name(secret_type, name)
    if secret is None or secret.group_id != group.id:
        raise NotFound(ErrorCode.NOT_FOUND, "The secret was not found in this group.")
    return secret


def version_id_of(secret: Secret, reference: str) -> VersionId:
    """Turn ``current``, ``previous`` or an id into an id.

    Raises:
        NotFound: the alias stands for nothing, or the text is no id.
    """
    found: VersionId | None
    if reference == VersionAlias.CURRENT:
        found = secret.current_version_id
    elif reference == VersionAlias.PREVIOUS:
        found = secret.previous_version_id
    else:
        found = VersionId(reference) if is_uuid(reference) else None
    if found is None:
        raise NotFound(ErrorCode.NOT_FOUND, NO_VERSION)
    return found


def find_version(unit: ReadUnit, secret: Secret, reference: str) -> Version:
    """Return a version by id or alias.

    Raises:
        NotFound: the secret has no such version.
    """
    version = unit.versions.find(secret.id, version_id_of(secret, reference))
    if version is None:
        raise NotFound(ErrorCode.NOT_FOUND, NO_VERSION)
    return version


def alias_of(secret: Secret, version_id: VersionId) -> VersionAlias | None:
    """Return the alias a version has now, if any."""
    if version_id == secret.current_version_id:
        return VersionAlias.CURRENT
    if version_id == secret.previous_version_id:
        return VersionAlias.PREVIOUS
    return None


def visible_groups(
    principal: Principal, action: Action, wanted: frozenset[GroupId] | None
) -> frozenset[GroupId] | None:
    """Return the groups a list is limited to: what was asked for, within the caller's scope."""
    scope = require(principal, action)
    if scope.everywhere:
        return wanted
    return scope.groups if wanted is None else wanted & scope.groups


def require_known_group(unit: ReadUnit, group_id: GroupId) -> None:
    """Refuse a request for a group that there is none of.

    Raises:
        Invalid: ``invalid_field`` about ``secret_group_id``.
    """
    if group_id != DEFAULT_GROUP and (not is_uuid(group_id) or unit.groups.find(group_id) is None):
        raise Invalid(ErrorCode.INVALID_FIELD, NO_GROUP, field="secret_group_id")
