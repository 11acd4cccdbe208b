"""Locks: what says that a version is in use, and what that blocks.

Source: contract domain section 2.8; design, section 8 ("what a lock blocks", "lock deletes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.checks import check_description, check_lock_name, check_metadata
from strongroom.domain.secrets.context import Context, held
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.lookup import alias_of, find_version
from strongroom.domain.secrets.model import Lock, Secret, SecretLocks, VersionAlias, VersionLocks
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, Problems
from strongroom.kernel.ids import VersionId


class LockMode(StrEnum):
    """What creating a lock does to locks of the same names on the previous version."""

    REMOVE_PREVIOUS = "remove_previous"
    REMOVE_PREVIOUS_AND_DELETE = "remove_previous_and_delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLock:
    """A request for a lock, shape checked."""

    name: str
    description: str | None = None
    attributes: Mapping[str, Any] | None = None


def locked() -> Conflict:
    """Return the refusal of something that a lock blocks (412)."""
    return Conflict(
        ErrorCode.SECRET_VERSION_LOCKED,
        "The requested action can't be completed because the secret version is locked.",
        hint="Delete its locks first; GET /api/v2/secrets/{id}/locks lists them.",
    )


class SecretLocking:
    """Creates and deletes locks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self, principal: Principal, secret: Secret, reference: str, locks: Sequence[NewLock], mode: LockMode | None
    ) -> Change[SecretLocks]:
        """Prepare locks on one version.

        Raises:
            Invalid: every broken rule, by field; or the version cannot carry locks.
        """
        self._check(locks)

        def commit(unit: Unit) -> SecretLocks:
            at = self._context.now()
            now = held(unit, secret)
            version = find_version(unit, now, reference)
            alias = alias_of(now, version.id)
            if alias is None or not version.payload_available:
                raise Invalid(
                    ErrorCode.PAYLOAD_NOT_AVAILABLE,
                    "Only the current and the previous version can be locked, while their data is available.",
                )
            if mode is not None and alias is not VersionAlias.CURRENT:
                raise Invalid(ErrorCode.INVALID_FIELD, "mode is for locks on the current version only.", field="mode")
            for lock in locks:
                unit.locks.put(
                    Lock(
                        name=lock.name,
                        description=lock.description,
                        attributes=lock.attributes,
                        created_at=at,
                        updated_at=at,
                        created_by=principal.iam_id,
                        secret_id=now.id,
                        version_id=version.id,
                        group_id=now.group_id,
                        alias=alias,
                    )
                )
            if mode is not None and now.previous_version_id is not None:
                names = [lock.name for lock in locks]
                unit.locks.remove(now.id, now.previous_version_id, names)
                if mode is LockMode.REMOVE_PREVIOUS_AND_DELETE:
                    self._erase_unlocked(unit, principal, now, now.previous_version_id, at)
            return self._settle(unit, now)

        return Change(commit)

    def delete(self, secret: Secret, reference: str | None, names: Sequence[str] | None) -> Change[SecretLocks]:
        """Prepare deleting locks of one version, or of all versions (``reference`` is ``None``)."""

        def commit(unit: Unit) -> SecretLocks:
            now = held(unit, secret)
            version_id = find_version(unit, now, reference).id if reference is not None else None
            unit.locks.remove(now.id, version_id, names)
            return self._settle(unit, now)

        return Change(commit)

    def _check(self, locks: Sequence[NewLock]) -> None:
        limits = self._context.work.limits
        problems = Problems()
        if not locks:
            problems.add("locks", "locks must hold at least one lock.")
        if len(locks) > limits.locks_per_secret:
            problems.add("locks", f"locks may hold at most {limits.locks_per_secret} items.")
        for index, lock in enumerate(locks[: limits.locks_per_secret]):
            check_lock_name(problems, lock.name, field=f"locks[{index}].name")
            check_description(problems, lock.description or "", field=f"locks[{index}].description")
            check_metadata(
                problems, lock.attributes, field=f"locks[{index}].attributes", limit=limits.lock_attributes_bytes
            )
        problems.raise_any()

    def _erase_unlocked(
        self, unit: Unit, principal: Principal, secret: Secret, version_id: VersionId, at: datetime
    ) -> None:
        version = unit.versions.find(secret.id, version_id)
        if version is None or not version.payload_available or unit.locks.names(secret.id).get(version_id):
            return
        unit.versions.erase_payload(secret.id, version_id)
        self._context.outbox.emit(unit, EventType.VERSION_DATA_DELETED, secret, by=principal.iam_id, at=at)

    def _settle(self, unit: Unit, secret: Secret) -> SecretLocks:
        names = unit.locks.names(secret.id)
        total = sum(len(found) for found in names.values())
        most = self._context.work.limits.locks_per_secret
        if total > most:
            raise LimitReached(ErrorCode.LIMIT_REACHED, f"The secret has reached the maximum of {most} locks.")
        if total != secret.locks_total:
            unit.secrets.save(replace(secret, locks_total=total))
        return locks_of(unit, secret)


def locks_of(unit: ReadUnit, secret: Secret) -> SecretLocks:
    """Return the lock names of each version that can carry locks, current first."""
    names = unit.locks.names(secret.id)
    versions = []
    for version_id, alias in (
        (secret.current_version_id, VersionAlias.CURRENT),
        (secret.previous_version_id, VersionAlias.PREVIOUS),
    ):
        version = unit.versions.find(secret.id, version_id) if version_id is not None else None
        if version is not None:
            versions.append(
                VersionLocks(
                    version_id=version.id,
                    alias=alias,
                    names=names.get(version.id, ()),
                    payload_available=version.payload_available,
                )
            )
    return SecretLocks(
        secret_id=secret.id,
        secret_name=secret.name,
        secret_type=secret.secret_type,
        group_id=secret.group_id,
        versions=tuple(versions),
    )
