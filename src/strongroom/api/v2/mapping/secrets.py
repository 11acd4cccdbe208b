"""Secrets and versions as the contract shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from strongroom.domain.authorities.revoking import state_of_certificate
from strongroom.domain.engine import Engine
from strongroom.domain.secrets.context import SecretView, VersionView
from strongroom.domain.secrets.lookup import alias_of
from strongroom.domain.secrets.model import Secret, SecretType, Version
from strongroom.kernel.ids import Instance
from strongroom.kernel.time import EPOCH, format_rfc3339

NEVER = format_rfc3339(EPOCH)


def secret_metadata(secret: Secret, instance: Instance) -> dict[str, Any]:
    """Return a secret without anything of its payload."""
    wire: dict[str, Any] = {
        "created_by": secret.created_by,
        "created_at": format_rfc3339(secret.created_at),
        "retrieved_at": format_rfc3339(secret.retrieved_at) if secret.retrieved_at is not None else NEVER,
        "crn": instance.secret_crn(secret.id),
        "description": secret.description,
        "downloaded": secret.downloaded,
        "id": secret.id,
        "labels": list(secret.labels),
        "locks_total": secret.locks_total,
        "name": secret.name,
        "secret_group_id": secret.group_id,
        "secret_type": secret.secret_type.value,
        "state": secret.state.value,
        "state_description": secret.state.description,
        "updated_at": format_rfc3339(secret.updated_at),
        "versions_total": secret.versions_total,
        "referenced_by": [],
        "rotation_status": secret.rotation_status,
        **secret.attributes,
    }
    if secret.custom_metadata is not None:
        wire["custom_metadata"] = secret.custom_metadata
    if secret.expires_at is not None and secret.secret_type is not SecretType.KV:
        wire["expiration_date"] = format_rfc3339(secret.expires_at)
    if secret.rotation is not None:
        wire["rotation"] = secret.rotation
    if secret.next_rotation_at is not None and secret.secret_type is not SecretType.PUBLIC_CERT:
        # The contract's model of a public certificate has no such member; the list of renewals tells.
        wire["next_rotation_date"] = format_rfc3339(secret.next_rotation_at)
    if secret.warnings:
        wire["warnings"] = [{"code": notice.code, "message": notice.message} for notice in secret.warnings]
    if "managed_csr" in wire:
        # Required by the contract's model; the key itself is for payload reads only.
        wire["managed_csr"] = {**wire["managed_csr"], "private_key": ""}
    return wire


def secret_full(view: SecretView, instance: Instance, engine: Engine) -> dict[str, Any]:
    """Return a secret with its payload."""
    wire = secret_metadata(view.secret, instance)
    if view.read_at is not None:
        wire["downloaded"], wire["retrieved_at"] = True, format_rfc3339(view.read_at)
    wire.update(engine.absent_payload)
    if view.payload is not None:
        wire.update(view.payload)
    if "managed_csr" in wire:
        held = (view.private_state or {}).get("private_key", "")
        wire["managed_csr"] = {**wire["managed_csr"], "private_key": held}
        # A version that was signed keeps showing the CSR it was signed from.
        wire.setdefault("csr", wire["managed_csr"]["csr"])
    return wire


def version_metadata(secret: Secret, version: Version, now: datetime) -> dict[str, Any]:
    """Return a version without anything of its payload, as it stands now."""
    wire: dict[str, Any] = {
        "auto_rotated": version.auto_rotated,
        "created_by": version.created_by,
        "created_at": format_rfc3339(version.created_at),
        "downloaded": version.downloaded,
        "id": version.id,
        "secret_name": secret.name,
        "secret_type": secret.secret_type.value,
        "secret_group_id": secret.group_id,
        "payload_available": version.payload_available,
        "secret_id": secret.id,
        **version.attributes,
    }
    alias = alias_of(secret, version.id)
    if alias is not None:
        wire["alias"] = alias.value
    if version.custom_metadata is not None:
        wire["version_custom_metadata"] = version.custom_metadata
    if version.expires_at is not None:
        wire["expiration_date"] = format_rfc3339(version.expires_at)
    if secret.secret_type is SecretType.PRIVATE_CERT:
        wire["state"] = state_of_certificate(version, now).value
    return wire


def version_full(view: VersionView, engine: Engine, now: datetime) -> dict[str, Any]:
    """Return a version with its payload."""
    wire = version_metadata(view.secret, view.version, now)
    wire.update(engine.absent_payload)
    if view.payload is not None:
        wire.update(view.payload)
    return wire
