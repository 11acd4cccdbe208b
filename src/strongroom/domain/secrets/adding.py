"""Storing the next version of a secret, whoever made it: a request, a policy or an order.

Source: contract domain sections 2.4 and 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from strongroom.domain.engine import Prepared
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.context import Context, VersionView
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.model import Secret, State, Version
from strongroom.domain.secrets.references import keep_references
from strongroom.domain.secrets.rotation import next_rotation
from strongroom.kernel.ids import IamId, VersionId, new_uuid
from strongroom.kernel.value import value


@value
class NextVersion:
    """A version that is ready to be stored; everything slow has been done.

    Attributes:
        by: in whose name it is made.
        automatic: whether a policy asked for it.
        is_shown: whether the answer carries its payload.
        custom_metadata: replaces the secret's; ``None`` keeps it.
        version_custom_metadata: of the version.
    """

    id: VersionId
    prepared: Prepared
    sealed_payload: bytes | None
    sealed_state: bytes | None
    by: IamId
    automatic: bool = False
    is_shown: bool = False
    custom_metadata: Mapping[str, Any] | None = None
    version_custom_metadata: Mapping[str, Any] | None = None


def seal_version(
    context: Context,
    secret: Secret,
    prepared: Prepared,
    *,
    by: IamId,
    automatic: bool = False,
    is_shown: bool = False,
    custom_metadata: Mapping[str, Any] | None = None,
    version_custom_metadata: Mapping[str, Any] | None = None,
) -> NextVersion:
    """Return a version of a secret with all that is secret about it sealed."""
    version_id, payload, state = VersionId(new_uuid()), prepared.payload, prepared.private_state
    return NextVersion(
        id=version_id,
        prepared=prepared,
        sealed_payload=context.vault.seal_payload(version_id, payload) if payload is not None else None,
        sealed_state=context.vault.seal_state(secret.id, state) if state is not None else None,
        by=by,
        automatic=automatic,
        is_shown=is_shown,
        custom_metadata=custom_metadata,
        version_custom_metadata=(
            version_custom_metadata if version_custom_metadata is not None else prepared.version_custom_metadata
        ),
    )


def add_version(
    context: Context, unit: Unit, now: Secret, next_version: NextVersion, *, event: EventType = EventType.ROTATED
) -> VersionView:
    """Store a version as the current one, and erase the payloads that make room for it.

    Args:
        context: of the secret services.
        unit: the secret was read for update in it.
        now: the secret as it is.
        next_version: to be stored.
        event: what is told of it.
    """
    at, prepared = context.now(), next_version.prepared
    version = _version(now, next_version, at)
    unit.versions.add(version, next_version.sealed_payload)
    keep = [version.id] if now.current_version_id is None else [version.id, now.current_version_id]
    unit.versions.erase_payloads_except(now.id, keep)
    total = unit.versions.trim(now.id, context.work.limits.versions_kept)
    saved = unit.secrets.save(
        replace(
            _changed(now, next_version, at),
            rotation=prepared.rotation,
            state=State.ACTIVE,
            expires_at=prepared.expires_at,
            next_rotation_at=next_rotation(prepared.rotation, at, latest=prepared.rotate_before),
            rotation_status="none",
            versions_total=total,
            versions_made=now.versions_made + 1,
            previous_version_id=now.current_version_id,
            current_version_id=version.id,
            downloaded=next_version.is_shown,
        )
    )
    if prepared.on_commit is not None:
        prepared.on_commit(unit, saved, version.id)
    context.outbox.emit(unit, event, saved, by=next_version.by, at=at)
    return VersionView(secret=saved, version=version, payload=prepared.payload)


def begin_version(context: Context, unit: Unit, now: Secret, next_version: NextVersion) -> VersionView:
    """Note that the next version is on its way; what the engine queues makes it."""
    at, prepared = context.now(), next_version.prepared
    # The policy rests meanwhile: whatever comes of it says when it fires again.
    saved = unit.secrets.save(
        replace(_changed(now, next_version, at), rotation_status="pending", next_rotation_at=None)
    )
    if prepared.on_commit is not None:
        prepared.on_commit(unit, saved, next_version.id)
    version = replace(_version(now, next_version, at), downloaded=False, payload_available=False, expires_at=None)
    return VersionView(secret=saved, version=version)


def _version(now: Secret, made: NextVersion, at: datetime) -> Version:
    return Version(
        id=made.id,
        secret_id=now.id,
        number=now.versions_made + 1,
        created_at=at,
        created_by=made.by,
        auto_rotated=made.automatic,
        downloaded=made.is_shown,
        payload_available=True,
        expires_at=made.prepared.expires_at,
        attributes=made.prepared.version_attributes,
        custom_metadata=made.version_custom_metadata,
    )


def _changed(now: Secret, made: NextVersion, at: datetime) -> Secret:
    return replace(
        now,
        attributes=keep_references(now, made.prepared.attributes),
        private_state=made.sealed_state if made.sealed_state is not None else now.private_state,
        warnings=made.prepared.warnings,
        custom_metadata=made.custom_metadata if made.custom_metadata is not None else now.custom_metadata,
        updated_at=at,
    )
