"""A certificate about to be signed, as text that people read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cryptography import x509

from strongroom.kernel.time import format_rfc3339
from strongroom.pki import usages
from strongroom.pki.draft import Draft
from strongroom.pki.inspect import name_public_key

_KEY_USAGES: Final = {keyword: name for name, keyword in usages.KEY_USAGES.items()}
_PURPOSES: Final = {oid: name for name, oid in usages.EXTENDED_KEY_USAGES.items()}
_AGREEMENT_ONLY: Final = ("encipher_only", "decipher_only")
_ACCESS: Final = {"1.3.6.1.5.5.7.48.1": "OCSP", "1.3.6.1.5.5.7.48.2": "CA issuers"}
_KINDS: Final = {
    x509.DNSName: "DNS",
    x509.RFC822Name: "e-mail",
    x509.IPAddress: "IP",
    x509.UniformResourceIdentifier: "URI",
}


def describe_draft(draft: Draft, issuer: x509.Certificate) -> str:
    """Return a draft as lines of text: who, by whom, how long, for which key, with which extensions."""
    lines = [
        f"Subject: {draft.subject.rfc4514_string() or '(empty)'}",
        f"Issuer: {issuer.subject.rfc4514_string()}",
        f"Not before: {format_rfc3339(draft.not_before)}",
        f"Not after: {format_rfc3339(draft.not_after)}",
        f"Public key: {name_public_key(draft.public_key)}",
        "Extensions:",
    ]
    for item in draft.extensions:
        name, write = _EXTENSIONS.get(type(item.value), (item.oid.dotted_string, _write_nothing))
        lines.append(f"  {name}{' (critical)' if item.critical else ''}: {write(item.value)}")
    return "\n".join(lines) + "\n"


def _write_names(names: Any) -> str:
    return ", ".join(map(_write_name, names))


def _write_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.OtherName):
        return f"other:{name.type_id.dotted_string}"
    return f"{_KINDS.get(type(name), 'other')}:{name.value}"


def _write_key_usage(usage: x509.KeyUsage) -> str:
    # Without keyAgreement the two that only narrow it cannot even be asked for.
    asked = [keyword for keyword in _KEY_USAGES if usage.key_agreement or keyword not in _AGREEMENT_ONLY]
    return ", ".join(_KEY_USAGES[keyword] for keyword in asked if getattr(usage, keyword))


def _write_purposes(purposes: x509.ExtendedKeyUsage) -> str:
    return ", ".join(_PURPOSES.get(item.dotted_string, item.dotted_string) for item in purposes)


def _write_constraints(constraints: x509.BasicConstraints) -> str:
    limit = "" if constraints.path_length is None else f", path length {constraints.path_length}"
    return f"CA {str(constraints.ca).lower()}{limit}"


def _write_access(access: x509.AuthorityInformationAccess) -> str:
    return ", ".join(
        f"{_ACCESS.get(item.access_method.dotted_string, item.access_method.dotted_string)} "
        f"{_write_name(item.access_location)}"
        for item in access
    )


def _write_nothing(_: object) -> str:
    return "present"


_EXTENSIONS: Final[dict[type[x509.ExtensionType], tuple[str, Callable[[Any], str]]]] = {
    x509.SubjectAlternativeName: ("Subject alternative names", _write_names),
    x509.KeyUsage: ("Key usage", _write_key_usage),
    x509.ExtendedKeyUsage: ("Extended key usage", _write_purposes),
    x509.BasicConstraints: ("Basic constraints", _write_constraints),
    x509.SubjectKeyIdentifier: ("Subject key identifier", lambda value: value.digest.hex(":")),
    x509.AuthorityKeyIdentifier: ("Authority key identifier", lambda value: value.key_identifier.hex(":")),
    x509.CRLDistributionPoints: (
        "CRL distribution points",
        lambda value: _write_names(name for point in value for name in point.full_name or ()),
    ),
    x509.AuthorityInformationAccess: ("Authority information access", _write_access),
    x509.CertificatePolicies: (
        "Certificate policies",
        lambda value: ", ".join(item.policy_identifier.dotted_string for item in value),
    ),
}
