"""Private certificates: issued at once, by a template. Source: contract domain sections 5.6 and 5.7."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from strongroom.domain.authorities.issuing import TEMPLATE, Issuance, Leaf
from strongroom.domain.authorities.linting import FINDINGS
from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, SecretType
from strongroom.domain.secrets.rotation import OFF, check_interval_policy, next_rotation
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.ids import VersionId
from strongroom.kernel.result import Notice
from strongroom.kernel.time import format_rfc3339
from strongroom.kernel.value import value

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
        timing = _timing(rotation, leaf.issued_at, leaf.certificate.not_valid_after_utc)
        timing.require_in_time()
        return _prepared(leaf, rotation, timing, {_STATE_REQUEST: request, _STATE_CALLER: dict(new.caller)})

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
        leaf = self._issuance.issue(request, group_id=new.group_id, caller=caller, is_automatic=new.automatic)
        rotation = present.secret.rotation or OFF
        timing = _timing(rotation, leaf.issued_at, leaf.certificate.not_valid_after_utc)
        return _prepared(leaf, rotation, timing, {_STATE_REQUEST: request, _STATE_CALLER: dict(caller)}, relies=True)

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
        timing = _timing(rotation, present.made_at or secret.created_at, secret.expires_at)
        timing.require_in_time()
        return Patched(
            attributes=secret.attributes,
            rotation=rotation,
            expires_at=secret.expires_at,
            rotate_before=timing.rotate_before,
            warnings=timing.warnings,
        )


@value
class _Timing:
    """When a policy fires at the latest, and what is to be said about it.

    Attributes:
        rotate_before: leaves some time before the end of the certificate, whatever the interval.
        refusal: why nobody may set this policy on this certificate.
    """

    rotate_before: datetime | None = None
    warnings: tuple[Notice, ...] = ()
    refusal: Invalid | None = None

    def require_in_time(self) -> None:
        """Refuse a policy that would fire after the end of its certificate.

        Raises:
            Invalid: it would.
        """
        if self.refusal is not None:
            raise self.refusal


def _timing(rotation: Mapping[str, Any], made_at: datetime, not_after: datetime) -> _Timing:
    """Hold a policy against the life of its certificate.

    One that was set on an earlier certificate may be too long for the next: months differ, templates change, the CA
    ends. It is not refused then, it fires before the end. Source: design, section 8 ("interval of a rotation policy").
    """
    first = next_rotation(rotation, made_at)
    if first is None:
        return _Timing()
    latest = not_after - min(_SOON, (not_after - made_at) / 10)
    if first <= latest:
        return _Timing(rotate_before=latest)
    notice = Notice(
        code="rotation_at_end_of_life",
        message="The certificate lives no longer than the rotation interval: it is rotated shortly before its end. "
        "A shorter interval leaves time for mistakes.",
    )
    refusal = Invalid(
        ErrorCode.INVALID_FIELD,
        f"rotation.interval of {rotation['interval']} {rotation['unit']} is longer than the life of the "
        f"certificate, which ends at {format_rfc3339(not_after)}.",
        field="rotation.interval",
        hint="Choose a shorter interval, or a longer ttl.",
    )
    return _Timing(rotate_before=latest, warnings=(notice,), refusal=refusal if first > not_after + _SLACK else None)


def _prepared(
    leaf: Leaf, rotation: Mapping[str, Any], timing: _Timing, state: Mapping[str, Any], *, relies: bool = False
) -> Prepared:
    facts = leaf.facts
    not_after = leaf.draft.not_after
    version_attributes: dict[str, Any] = {
        "serial_number": facts.serial_number,
        "validity": {
            "not_before": format_rfc3339(leaf.draft.not_before),
            "not_after": format_rfc3339(not_after),
        },
    }
    attributes: dict[str, Any] = {
        TEMPLATE: leaf.template.name,
        "certificate_authority": leaf.issuer.configuration.name,
        "common_name": facts.common_name,
        "alt_names": list(facts.alt_names),
        "issuer": facts.issuer,
        "key_algorithm": facts.key_algorithm,
        "signing_algorithm": facts.signing_algorithm,
        **version_attributes,
    }

    if leaf.linted.findings is not None:
        # Of the version alone, after the secret's attributes have taken the others over.
        version_attributes[FINDINGS] = list(leaf.linted.findings)

    def on_commit(unit: Unit, secret: Secret, version_id: VersionId) -> None:
        leaf.record(unit, secret, version_id)

    return Prepared(
        payload=leaf.payload,
        attributes=attributes,
        version_attributes=version_attributes,
        expires_at=not_after,
        rotation=rotation,
        private_state=state,
        warnings=timing.warnings,
        rotate_before=timing.rotate_before,
        relies_on_secret=relies,
        on_commit=on_commit,
    )
