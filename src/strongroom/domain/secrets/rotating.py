"""New versions: rotation by hand, by policy, and restore.

Source: contract domain sections 2.4, 2.5, 2.8 and 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change, Refused
from strongroom.domain.engine import Engine, NewValues, Prepared
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.adding import add_version, begin_version, seal_version
from strongroom.domain.secrets.checks import check_metadata
from strongroom.domain.secrets.context import Context, VersionView, changed_meanwhile
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.locking import locked
from strongroom.domain.secrets.model import CERTIFICATE_TYPES, Secret, State, StoredPayload, Version, VersionAlias
from strongroom.kernel.errors import ErrorCode, Invalid, Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A request for a new version, shapes checked.

    Attributes:
        restore_from: version reference to bring back, instead of new values.
        custom_metadata: replaces the secret's; ``None`` keeps it.
    """

    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    restore_from: str | None = None
    custom_metadata: Mapping[str, Any] | None = None
    version_custom_metadata: Mapping[str, Any] | None = None
    automatic: bool = False
    answer_carries_payload: bool = True


class SecretRotation:
    """Makes new versions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rotate(self, principal: Principal, secret: Secret, new: NewVersion) -> Change[VersionView | Refused]:
        """Prepare a new version of a secret that the caller may rotate.

        Raises:
            Invalid: every broken rule, by field; or the secret's state or type does not allow it.
        """
        context = self._context
        engine = context.engine(secret.secret_type)
        problems = Problems()
        limit = context.work.limits.metadata_bytes
        check_metadata(problems, new.custom_metadata, field="custom_metadata", limit=limit)
        check_metadata(problems, new.version_custom_metadata, field="version_custom_metadata", limit=limit)
        problems.raise_any()
        _require_rotatable(secret)
        if engine.slow and context.storage.look(lambda unit: is_held(unit, secret)):
            # No key is made and no certificate signed for a version that cannot be.
            return Change(lambda unit: self._refuse_held(unit, principal, secret))
        prepared = (
            self._rotated(engine, principal, secret, new)
            if new.restore_from is None
            else self._restored(engine, secret, new.restore_from)
        )
        next_version = seal_version(
            context,
            secret,
            prepared,
            by=principal.iam_id,
            automatic=new.automatic,
            is_shown=new.answer_carries_payload and prepared.payload is not None,
            custom_metadata=new.custom_metadata,
            version_custom_metadata=new.version_custom_metadata,
        )

        def commit(unit: Unit) -> VersionView | Refused:
            now = unit.secrets.find_for_update(secret.id)
            if now is None or (prepared.relies_on_secret and now.row_version != secret.row_version):
                raise changed_meanwhile()
            _require_rotatable(now)
            if is_held(unit, now):
                return self._refuse_held(unit, principal, now)
            add = add_version if prepared.payload is not None else begin_version
            return add(context, unit, now, next_version)

        return Change(commit)

    def _refuse_held(self, unit: Unit, principal: Principal, secret: Secret) -> Refused:
        now = unit.secrets.find_for_update(secret.id)
        if now is None or not is_held(unit, now):
            raise changed_meanwhile()
        refusal, at = locked(), self._context.now()
        self._context.outbox.emit(
            unit, EventType.ROTATION_BLOCKED, now, by=principal.iam_id, at=at, reason=refusal.detail
        )
        return Refused(refusal)

    def _rotated(self, engine: Engine, principal: Principal, secret: Secret, new: NewVersion) -> Prepared:
        context = self._context
        stored = context.storage.read(lambda unit: unit.secrets.find_current(secret.id))
        values = NewValues(
            values=new.values,
            version_custom_metadata=new.version_custom_metadata,
            group_id=secret.group_id,
            caller=principal.facts,
            automatic=new.automatic,
        )
        return engine.prepare_version(context.work, context.present(secret, stored), values)

    def _restored(self, engine: Engine, secret: Secret, reference: str) -> Prepared:
        context = self._context
        if not engine.restorable:
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                f"Secrets of type {secret.secret_type} do not support restore.",
                field="restore_from_version",
            )
        wanted = secret.previous_version_id
        if wanted is None:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                "restore_from_version: the secret has no previous version.",
                field="restore_from_version",
            )
        if reference not in (VersionAlias.PREVIOUS, wanted):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                "restore_from_version must name the previous version: 'previous' or its id.",
                field="restore_from_version",
            )

        def look_up(unit: Any) -> tuple[Version | None, bytes | None, StoredPayload | None]:
            return (
                unit.versions.find(secret.id, wanted),
                unit.versions.find_sealed(secret.id, wanted),
                unit.secrets.find_current(secret.id),
            )

        version, sealed, stored = context.storage.read(look_up)
        if version is None or sealed is None:
            raise Invalid(
                ErrorCode.PAYLOAD_NOT_AVAILABLE, "Version previous has no data.", field="restore_from_version"
            )
        if version.expires_at is not None and version.expires_at <= context.now():
            raise Invalid(ErrorCode.STATE_FORBIDS, "Version previous is not active.", field="restore_from_version")
        payload = context.vault.open_payload(wanted, sealed)
        prepared = engine.prepare_restore(context.work, context.present(secret, stored), payload)
        return replace(prepared, relies_on_secret=True)


def is_held(unit: ReadUnit, secret: Secret) -> bool:
    """Tell whether locks on the previous version keep it from making room for another."""
    previous = secret.previous_version_id
    return previous is not None and bool(unit.locks.names(secret.id).get(previous))


def _require_rotatable(secret: Secret) -> None:
    if secret.state is State.ACTIVE:
        return
    had_version = secret.current_version_id is not None
    if had_version and secret.state in (State.DESTROYED, State.DEACTIVATED) and secret.secret_type in CERTIFICATE_TYPES:
        return
    if secret.state is State.PRE_ACTIVATION and "managed_csr" in secret.attributes:
        return
    raise Invalid(
        ErrorCode.STATE_FORBIDS,
        f"A secret in state {secret.state.description} cannot get a new version; it can only be deleted.",
    )
