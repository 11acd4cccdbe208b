"""Revoking private certificates. Source: contract domain section 5.8; design, section 8."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.context import AuthorityContext
from strongroom.domain.change import Change, Refused
from strongroom.domain.configurations.model import ConfigKind
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.context import held
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.locking import locked
from strongroom.domain.secrets.lookup import find_version
from strongroom.domain.secrets.model import Secret, SecretType, State, Version, VersionAlias
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import format_rfc3339
from strongroom.pki.crl import entry_der
from strongroom.pki.draft import serial_hex

REVOKED_SECONDS: Final = "revocation_time_seconds"
REVOKED_RFC3339: Final = "revocation_time_rfc3339"


class Revocation:
    """Takes certificates back."""

    def __init__(self, context: AuthorityContext) -> None:
        self._context = context

    def revoke(
        self, principal: Principal, secret: Secret, reference: str = VersionAlias.CURRENT
    ) -> Change[int | Refused]:
        """Prepare revoking a version; the result is the time in Unix seconds.

        Only the commit looks at the version, and at the type after it: an unknown version is not found in any secret.
        """

        def commit(unit: Unit) -> int | Refused:
            at = self._context.now().replace(microsecond=0)
            now = held(unit, secret)
            version = find_version(unit, now, reference)
            if secret.secret_type is not SecretType.PRIVATE_CERT:
                raise Invalid(
                    ErrorCode.NOT_SUPPORTED,
                    f"Only private certificates can be revoked; this secret is of type {secret.secret_type}.",
                    field="action_type",
                )
            if unit.locks.names(now.id).get(version.id):
                refusal = locked()
                self._context.outbox.emit(
                    unit, EventType.REVOCATION_BLOCKED, now, by=principal.iam_id, at=at, reason=refusal.detail
                )
                return Refused(refusal)
            _revoke(unit, now, version, at)
            self._context.outbox.emit(unit, EventType.REVOKED, now, by=principal.iam_id, at=at)
            return int(at.timestamp())

        return Change(commit)


def state_of_certificate(version: Version, now: datetime) -> State:
    """Return the state of one version of a private certificate: each is revoked and expires on its own."""
    if REVOKED_SECONDS in version.attributes:
        return State.DEACTIVATED
    is_over = version.expires_at is not None and version.expires_at <= now
    return State.DESTROYED if is_over else State.ACTIVE


def _revoke(unit: Unit, secret: Secret, version: Version, at: datetime) -> None:
    if REVOKED_SECONDS in version.attributes:
        raise Invalid(ErrorCode.STATE_FORBIDS, "The certificate is revoked already.")
    if version.expires_at is not None and version.expires_at <= at:
        raise Invalid(ErrorCode.STATE_FORBIDS, "The certificate has expired; it needs no revocation any more.")
    serial = int(version.attributes["serial_number"].replace(":", ""), 16)
    issuer = unit.configurations.find(ConfigKind.PRIVATE_CA, secret.attributes["certificate_authority"])
    if issuer is None or not unit.authorities.revoke(issuer.id, serial_hex(serial), at, entry_der(serial, at)):
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            "The certificate cannot be revoked: the certificate authority that signed it was deleted.",
        )
    stamp: dict[str, Any] = {REVOKED_SECONDS: int(at.timestamp()), REVOKED_RFC3339: format_rfc3339(at)}
    unit.versions.save(replace(version, attributes={**version.attributes, **stamp}))
    if version.id != secret.current_version_id:
        return
    unit.secrets.save(
        replace(
            secret,
            state=State.DEACTIVATED,
            attributes={**secret.attributes, **stamp},
            next_rotation_at=None,
            rotation_status="none",
            updated_at=at,
        )
    )
