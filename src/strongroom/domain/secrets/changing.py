"""Changing and deleting what exists: metadata, version metadata, version data, the secret itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn

from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change, Refused
from strongroom.domain.engine import Patched
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.checks import (
    SECRET_NAME_LENGTHS,
    check_description,
    check_labels,
    check_metadata,
    check_name,
)
from strongroom.domain.secrets.context import Context, SecretView, VersionView, changed_meanwhile, held, name_taken
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.locking import locked
from strongroom.domain.secrets.lookup import find_version
from strongroom.domain.secrets.model import CERTIFICATE_TYPES, Secret, State
from strongroom.domain.secrets.references import require_unreferenced
from strongroom.domain.secrets.rotation import next_rotation
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, Problems

_COMMON = frozenset({"name", "description", "labels", "custom_metadata"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataPatch:
    """A merge patch: members that are absent stay, ``None`` removes."""

    members: Mapping[str, Any] = field(repr=False)


class SecretChanges:
    """Patches and deletes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def patch(self, secret: Secret, patch: MetadataPatch) -> Change[SecretView]:
        """Prepare a metadata patch of a secret that the caller may change.

        Raises:
            Invalid: every broken rule, by field.
        """
        context = self._context
        members = dict(patch.members)
        if not members:
            return Change(lambda _: SecretView(secret=secret))
        engine = context.engine(secret.secret_type)
        common, problems = self._common(secret, members)
        own = {name: value for name, value in members.items() if name not in _COMMON}
        for name in own.keys() - engine.patchable:
            problems.add(
                name,
                f"{name} is not a field that can be changed on {secret.secret_type} secrets.",
                code=ErrorCode.UNKNOWN_FIELD,
            )
        patched: Patched | None = None
        if own and own.keys() <= engine.patchable:
            stored = context.storage.read(lambda unit: unit.secrets.find_current(secret.id))
            try:
                patched = engine.prepare_patch(context.work, context.present(secret, stored), own)
            except Invalid as error:
                problems.note(error)
        problems.raise_any()
        state = patched.private_state if patched is not None else None
        sealed_state = context.vault.seal_state(secret.id, state) if state is not None else None

        def commit(unit: Unit) -> SecretView:
            at = context.now()
            now = unit.secrets.find_for_update(secret.id)
            if now is None or (patched is not None and now.row_version != secret.row_version):
                raise changed_meanwhile()
            name = common.get("name", now.name)
            if name != now.name and unit.secrets.find_by_name(now.secret_type, name) is not None:
                raise name_taken(name)
            changed = replace(now, updated_at=at, **common)
            if patched is not None:
                changed = replace(
                    changed,
                    attributes=patched.attributes,
                    rotation=patched.rotation,
                    expires_at=patched.expires_at,
                    private_state=sealed_state if sealed_state is not None else now.private_state,
                    warnings=patched.warnings if patched.warnings is not None else now.warnings,
                )
                if patched.rotation != now.rotation and now.rotation_status != "pending":
                    # What held the old policy back says nothing about the new one.
                    fires = self._next(unit, changed, patched.rotate_before)
                    changed = replace(changed, next_rotation_at=fires, rotation_status="none")
            return SecretView(secret=unit.secrets.save(changed))

        return Change(commit)

    def patch_version(self, secret: Secret, reference: str, members: Mapping[str, Any]) -> Change[VersionView]:
        """Prepare a patch of a version's metadata; ``version_custom_metadata`` is its only member.

        Raises:
            Invalid: the member is too large or has the wrong shape.
        """
        problems = Problems()
        value = members.get("version_custom_metadata")
        limit = self._context.work.limits.metadata_bytes
        check_metadata(problems, value, field="version_custom_metadata", limit=limit)
        problems.raise_any()

        def commit(unit: Unit) -> VersionView:
            now = held(unit, secret)
            version = find_version(unit, now, reference)
            if "version_custom_metadata" in members:
                version = replace(version, custom_metadata=value)
                unit.versions.save(version)
            return VersionView(secret=now, version=version)

        return Change(commit)

    def delete(self, principal: Principal, secret: Secret) -> Change[Refused | None]:
        """Prepare deleting a secret with all versions, unless it is locked or a configuration uses it."""

        def commit(unit: Unit) -> Refused | None:
            at = self._context.now()
            now = held(unit, secret)
            if now.locks_total:
                refusal = locked()
                self._context.outbox.emit(
                    unit, EventType.DELETION_BLOCKED, now, by=principal.iam_id, at=at, reason=refusal.detail
                )
                return Refused(refusal)
            try:
                require_unreferenced(now)
            except Conflict as refusal:
                self._context.outbox.emit(
                    unit, EventType.DELETION_FAILED, now, by=principal.iam_id, at=at, reason=refusal.detail
                )
                return Refused(refusal)
            unit.secrets.remove(now.id)
            self._context.outbox.emit(unit, EventType.DELETED, now, by=principal.iam_id, at=at)
            return None

        return Change(commit)

    def delete_version_data(self, secret: Secret, reference: str) -> NoReturn:
        """Refuse: no type of this server can lose the data of one version by request.

        Raises:
            NotFound: the secret has no such version.
            Invalid: ``not_supported``. Source: design, section 8 ("deleting version data").
        """
        self._context.storage.read(lambda unit: find_version(unit, secret, reference))
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            f"The data of a single version of {secret.secret_type} secrets cannot be deleted.",
        )

    def _common(self, secret: Secret, members: Mapping[str, Any]) -> tuple[dict[str, Any], Problems]:
        limits = self._context.work.limits
        problems = Problems()
        common: dict[str, Any] = {}
        if "name" in members:
            if members["name"] is None:
                problems.add("name", "name cannot be removed.")
            else:
                check_name(problems, members["name"], lengths=SECRET_NAME_LENGTHS)
                common["name"] = members["name"]
        if "description" in members:
            common["description"] = members["description"] or ""
            check_description(problems, common["description"])
        if "labels" in members:
            common["labels"] = tuple(members["labels"] or ())
            check_labels(problems, common["labels"], limits)
        if "custom_metadata" in members:
            common["custom_metadata"] = members["custom_metadata"]
            check_metadata(problems, members["custom_metadata"], field="custom_metadata", limit=limits.metadata_bytes)
        if (
            secret.state is State.DESTROYED
            and secret.secret_type not in CERTIFICATE_TYPES
            and "expiration_date" in members
        ):
            problems.add("expiration_date", "The secret has expired; its expiration cannot be moved any more.")
        return common, problems

    def _next(self, unit: Unit, secret: Secret, latest: datetime | None) -> datetime | None:
        is_certificate = secret.secret_type in CERTIFICATE_TYPES
        if secret.state is State.DEACTIVATED or (secret.state is State.DESTROYED and not is_certificate):
            return None
        current = secret.current_version_id
        version = unit.versions.find(secret.id, current) if current is not None else None
        made_at = version.created_at if version is not None else secret.created_at
        # A new policy never rotates a certificate at once. Source: contract domain section 6.
        after = self._context.now() if is_certificate else None
        return next_rotation(secret.rotation, made_at, latest=latest, after=after)
