"""Private certificates: issued at once, by a template. Source: contract domain sections 5.6 and 5.7."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from strongroom.domain.authorities.issuing import TEMPLATE, Issuance, Leaf
from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, SecretType
from strongroom.domain.secrets.rotation import OFF, check_interval_policy, next_rotation
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.ids import VersionId
from strongroom.kernel.result import Notice
from strongroom.kernel.time import format_rfc3339, parse_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.inspect import inspect_certificate

_REQUEST: Final = (
    TEMPLATE,
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "other_sans",
    "csr",
    "ttl",
    "format",
    "private_key_format",
    "exclude_cn_from_sans",
)
_STATE_REQUEST: Final = "request"
_STATE_CALLER: Final = "caller"
_SOON: Final = timedelta(days=1)
_SLACK: Final = timedelta(minutes=5)
"""Certificates begin in the past; an interval that is as long as their life is not longer."""


class PrivateCertificateEngine:
    """Issues certificates from authorities of this instance.

    Args:
        issuance: drafts, judges and signs.
    """

    secret_type: ClassVar[SecretType] = SecretType.PRIVATE_CERT
    slow: ClassVar[bool] = True
    patchable: ClassVar[frozenset[str]] = frozenset({"rotation"})
    absent_payload: ClassVar[Mapping[str, Any]] = {"certificate": "", "private_key": ""}
    restorable: ClassVar[bool] = False

    def __init__(self, issuance: Issuance) -> None:
        self._issuance = issuance

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Issue the first certificate."""
        problems = Problems()
        rotation = check_interval_policy(problems, new.values.get("rotation") or OFF)
        problems.raise_any()
        request = {name: new.values[name] for name in _REQUEST if new.values.get(name) is not None}
        leaf = self._issuance.issue(request, group_id=new.group_id, caller=new.caller)
        state = {_STATE_REQUEST: request, _STATE_CALLER: dict(new.caller)}
        return _prepared(leaf, rotation, state)

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Issue the next certificate: the request of the creation, judged by the template of today."""
        state = present.private_state()
        if state is None:
            raise Invalid(ErrorCode.STATE_FORBIDS, "The request that the certificate was made with is not there.")
        request = dict(state[_STATE_REQUEST])
        if new.values.get("csr") is not None:
            request["csr"] = new.values["csr"]
        # A policy renews for whoever asked at first; a person answers for himself.
        caller = state[_STATE_CALLER] if new.automatic else new.caller
        leaf = self._issuance.issue(request, group_id=new.group_id, caller=caller)
        rotation = present.secret.rotation or OFF
        if new.automatic:
            _require_full_life(leaf)
        return _prepared(leaf, rotation, {_STATE_REQUEST: request, _STATE_CALLER: dict(caller)}, relies=True)

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Refuse; a certificate is issued anew instead."""
        raise Invalid(ErrorCode.NOT_SUPPORTED, "Private certificates do not support restore; rotate instead.")

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Change the rotation policy."""
        problems = Problems()
        rotation = check_interval_policy(problems, changes["rotation"] or OFF)
        problems.raise_any()
        secret = present.secret
        if secret.expires_at is None:
            return Patched(attributes=secret.attributes, rotation=rotation, expires_at=None)
        issued_at = parse_rfc3339(secret.attributes["validity"]["not_before"], field="validity")
        timing = _timing(rotation, issued_at, secret.expires_at)
        return Patched(
            attributes=secret.attributes,
            rotation=rotation,
            expires_at=secret.expires_at,
            rotate_before=timing.rotate_before,
            warnings=timing.warnings,
        )


def _prepared(leaf: Leaf, rotation: Mapping[str, Any], state: Mapping[str, Any], *, relies: bool = False) -> Prepared:
    facts = inspect_certificate(leaf.certificate)
    timing = _timing(rotation, leaf.issued_at, facts.not_after)
    version_attributes: dict[str, Any] = {
        "serial_number": facts.serial_number,
        "validity": {
            "not_before": format_rfc3339(facts.not_before),
            "not_after": format_rfc3339(facts.not_after),
        },
    }
    attributes: dict[str, Any] = {
        TEMPLATE: leaf.template.name,
        "certificate_authority": leaf.issuer.configuration.name,
        "common_name": facts.common_name or "",
        "alt_names": list(facts.alt_names),
        "issuer": facts.issuer,
        "key_algorithm": facts.key_algorithm,
        "signing_algorithm": facts.signing_algorithm,
        **version_attributes,
    }

    def on_commit(unit: Unit, secret: Secret, version_id: VersionId) -> None:
        leaf.record(unit, secret.id, version_id)

    return Prepared(
        payload=leaf.payload,
        attributes=attributes,
        version_attributes=version_attributes,
        expires_at=facts.not_after,
        rotation=rotation,
        private_state=state,
        warnings=timing.warnings,
        rotate_before=timing.rotate_before,
        relies_on_secret=relies,
        on_commit=on_commit,
    )


@value
class _Timing:
    """When a policy fires at the latest, and what is to be said about it."""

    rotate_before: datetime | None = None
    warnings: tuple[Notice, ...] = ()


def _timing(rotation: Mapping[str, Any], issued_at: datetime, not_after: datetime) -> _Timing:
    """Hold a policy against the life of its certificate.

    Raises:
        Invalid: the policy would fire after the certificate's end.

    Source: design, section 8 ("interval of a rotation policy").
    """
    first = next_rotation(rotation, issued_at)
    if first is None:
        return _Timing()
    margin = min(_SOON, (not_after - issued_at) / 10)
    if first > not_after + _SLACK:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"rotation.interval of {rotation['interval']} {rotation['unit']} is longer than the life of the "
            f"certificate, which ends at {format_rfc3339(not_after)}.",
            field="rotation.interval",
            hint="Choose a shorter interval, or a longer ttl.",
        )
    if first <= not_after - margin:
        return _Timing()
    notice = Notice(
        code="rotation_at_end_of_life",
        message="The rotation interval is as long as the certificate lives: it is rotated shortly before its end. "
        "A shorter interval leaves time for mistakes.",
    )
    return _Timing(rotate_before=not_after - margin, warnings=(notice,))


def _require_full_life(leaf: Leaf) -> None:
    """Refuse an automatic rotation whose certificate the end of its CA would cut short.

    Source: contract domain section 5.7: people have to hear of it in time.
    """
    authority = leaf.issuer.authority
    if authority.not_after is not None and leaf.certificate.not_valid_after_utc >= authority.not_after:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate authority {leaf.issuer.configuration.name} ends at "
            f"{format_rfc3339(authority.not_after)}, too soon for another certificate of full life. Rotate or replace "
            "the certificate authority.",
        )
