"""Secrets, versions, locks and audit entries for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Target
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Lock, Secret, SecretType, State, Version, VersionAlias
from strongroom.kernel.ids import DEFAULT_GROUP, AuditId, GroupId, IamId, SecretId, VersionId, new_uuid
from strongroom.storage.store import SqlStorage

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
SOMEBODY = IamId("IBMid-somebody")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_group(id_: str = "default", **changes: Any) -> SecretGroup:
    fields: dict[str, Any] = {"name": f"group {id_}", "created_at": NOW, "created_by": SOMEBODY, "updated_at": NOW}
    return SecretGroup(id=GroupId(id_), **(fields | changes))


def make_secret(name: str = "example", **changes: Any) -> Secret:
    fields: dict[str, Any] = {
        "id": SecretId(new_uuid()),
        "secret_type": SecretType.ARBITRARY,
        "group_id": DEFAULT_GROUP,
        "state": State.ACTIVE,
        "created_at": NOW,
        "created_by": SOMEBODY,
        "updated_at": NOW,
    }
    return Secret(name=name, **(fields | changes))


def make_version(secret: Secret, number: int = 1, **changes: Any) -> Version:
    fields: dict[str, Any] = {"id": VersionId(new_uuid()), "created_at": NOW, "created_by": SOMEBODY}
    return Version(secret_id=secret.id, number=number, **(fields | changes))


def make_lock(version: Version, name: str = "lock", **changes: Any) -> Lock:
    fields: dict[str, Any] = {
        "created_at": NOW,
        "updated_at": NOW,
        "created_by": SOMEBODY,
        "group_id": DEFAULT_GROUP,
        "alias": VersionAlias.CURRENT,
    }
    return Lock(name=name, secret_id=version.secret_id, version_id=version.id, **(fields | changes))


def make_entry(action: str = "secrets-manager.secret.read", **changes: Any) -> AuditEntry:
    fields: dict[str, Any] = {
        "id": AuditId(new_uuid()),
        "time": NOW,
        "initiator": Initiator(id="IBMid-somebody", name="somebody", type="user"),
        "target": Target(type="secret", id="1"),
        "outcome": Outcome.SUCCESS,
    }
    return AuditEntry(action=action, **(fields | changes))


def add_group(storage: SqlStorage, id_: str = "default", **changes: Any) -> SecretGroup:
    group = make_group(id_, **changes)
    storage.write(lambda unit: unit.groups.add(group))
    return group


def add_secret(storage: SqlStorage, name: str = "example", **changes: Any) -> Secret:
    secret = make_secret(name, **changes)
    storage.write(lambda unit: unit.secrets.add(secret))
    return secret


def add_secret_with_version(storage: SqlStorage, name: str = "example", **changes: Any) -> tuple[Secret, Version]:
    """Store a secret whose first version is current."""
    version_id = VersionId(new_uuid())
    secret = make_secret(name, current_version_id=version_id, versions_total=1, versions_made=1, **changes)
    version = make_version(secret, id=version_id)

    def add(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.versions.add(version, b"sealed")

    storage.write(add)
    return secret, version
