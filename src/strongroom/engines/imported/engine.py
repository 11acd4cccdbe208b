"""Imported certificates: checked on the way in, kept byte for byte.

Source: contract domain section 3; design, section 8 ("secrets and versions").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.secrets.model import SecretType
from strongroom.engines.imported import managed_csr
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.time import format_rfc3339
from strongroom.pki.inspect import CertificateFacts, inspect_certificate
from strongroom.pki.intake import ImportedFacts, examine_import, names_changed_notice
from strongroom.pki.load import load_certificates

_PARTS = ("certificate", "intermediate", "private_key")


class ImportedEngine:
    """Keeps certificates that were issued elsewhere, with the key and chain that came along."""

    secret_type: ClassVar[SecretType] = SecretType.IMPORTED_CERT
    slow: ClassVar[bool] = True
    patchable: ClassVar[frozenset[str]] = frozenset({"managed_csr"})
    absent_payload: ClassVar[Mapping[str, Any]] = {}
    restorable: ClassVar[bool] = True

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check an import, or make the key and CSR of a managed one."""
        values = new.values
        if values.get("managed_csr") is not None:
            problems = Problems()
            for name in _PARTS:
                if values.get(name) is not None:
                    problems.add(
                        name,
                        f"{name} and managed_csr exclude each other: with a managed CSR the key is made here and "
                        "the certificate is added later as a new version.",
                    )
            problems.raise_any()
            return managed_csr.prepare_new(values["managed_csr"], new.version_custom_metadata)
        if values.get("certificate") is None:
            raise Invalid(
                ErrorCode.MISSING_FIELD,
                "certificate is required, unless managed_csr asks for a key and a CSR.",
                field="certificate",
            )
        facts = _examine(work, values)
        return Prepared(
            payload=_payload(values),
            attributes=_attributes(facts),
            version_attributes=_version_attributes(facts),
            expires_at=facts.leaf.not_after,
            warnings=facts.notices,
        )

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Check the next certificate; nothing of the old version is carried over."""
        values = new.values
        csr = present.secret.attributes.get("managed_csr")
        if csr is not None and values.get("private_key") is not None:
            raise Invalid(
                ErrorCode.KEY_NOT_EXPECTED,
                "private_key must not be sent: the key of a managed CSR is held here.",
                field="private_key",
            )
        facts = _examine(work, values)
        if csr is not None:
            return managed_csr.prepare_version(
                present, facts, _payload(values), _attributes(facts), _version_attributes(facts)
            )
        notices = facts.notices
        old = _current_facts(present)
        changed = names_changed_notice(old, facts.leaf) if old is not None else None
        return Prepared(
            payload=_payload(values),
            attributes=_attributes(facts),
            version_attributes=_version_attributes(facts),
            expires_at=facts.leaf.not_after,
            warnings=(*notices, changed) if changed is not None else notices,
        )

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Make the previous certificate current again; it was checked when it came in."""
        csr = present.secret.attributes.get("managed_csr")
        if csr is not None:
            managed_csr.check_restore(present, payload)
        # The held key needs no second look: only what is shown as facts is read again.
        facts = examine_import(payload["certificate"], None, payload.get("intermediate"), work.clock.now())
        attributes = _attributes(facts) | {"private_key_included": payload.get("private_key") is not None}
        if csr is not None:
            attributes["managed_csr"] = csr
        return Prepared(
            payload=payload,
            attributes=attributes,
            version_attributes=_version_attributes(facts),
            expires_at=facts.leaf.not_after,
            warnings=facts.notices,
        )

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Change the managed CSR; a new one is made at once."""
        return managed_csr.prepare_patch(present, changes["managed_csr"])


def _examine(work: Work, values: Mapping[str, Any]) -> ImportedFacts:
    most = work.limits.certificate_characters
    problems = Problems()
    for name in _PARTS:
        given = len(values.get(name) or "")
        if given > most:
            problems.add(name, f"{name} must have at most {most} characters; it has {given}.")
    problems.raise_any()
    arguments = (values["certificate"], values.get("private_key"), values.get("intermediate"), work.clock.now())
    if values.get("private_key") is None:
        return examine_import(*arguments)
    # Checking an RSA key takes 50 ms and more and would hold up every other request.
    return work.helpers.run(examine_import, *arguments)


def _payload(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _PARTS if values.get(name) is not None}


def _version_attributes(facts: ImportedFacts) -> dict[str, Any]:
    return {
        "serial_number": facts.leaf.serial_number,
        "validity": {
            "not_before": format_rfc3339(facts.leaf.not_before),
            "not_after": format_rfc3339(facts.leaf.not_after),
        },
    }


def _attributes(facts: ImportedFacts) -> dict[str, Any]:
    leaf = facts.leaf
    attributes: dict[str, Any] = {
        "alt_names": list(leaf.alt_names),
        "issuer": leaf.issuer,
        "key_algorithm": leaf.key_algorithm,
        "signing_algorithm": leaf.signing_algorithm,
        "intermediate_included": facts.intermediate_included,
        "private_key_included": facts.key_included,
        **_version_attributes(facts),
    }
    if leaf.common_name is not None:
        attributes["common_name"] = leaf.common_name
    return attributes


def _current_facts(present: Present) -> CertificateFacts | None:
    payload = present.payload()
    if payload is None:
        return None
    return inspect_certificate(load_certificates(payload["certificate"], field="certificate")[0])
