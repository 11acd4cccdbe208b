"""Drafts of leaves that keep every rule of a template, to be broken in one place."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from strongroom.pki.draft import CertifiedKey, Draft
from strongroom.pki.extensions import (
    Extensions,
    build_extended_key_usage,
    build_key_usage,
    build_policies,
    build_san,
    extension,
)
from strongroom.pki.issuing import Issuing, issuer_extensions
from strongroom.pki.keys import KeySpec
from strongroom.pki.profile import Profile
from strongroom.pki.subject import build_subject, subject_of
from tests.factories.certificates import ec_key, make_ca

NOW = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)
CALLER = {"iam_id": "iam-ServiceId-1", "name": "web-1", "email": "web-1@example.com"}
EC = KeySpec(kind="ec", bits=256)


@functools.cache
def leaf_key() -> CertifiedKey:
    return ec_key().public_key()


@functools.cache
def issuing() -> Issuing:
    """Return an authority that ends in five years."""
    made = make_ca("Example Issuing CA", days=5 * 365, now=NOW)
    return Issuing(
        certificate=made.certificate,
        max_ttl=timedelta(days=4 * 365),
        crl_url="http://ca.example.com/crl",
        ca_url="http://ca.example.com/ca",
    )


def make_draft(
    profile: Profile,
    *,
    common_name: str = "",
    alt_names: Sequence[x509.GeneralName] = (),
    subject: x509.Name | None = None,
    key: CertifiedKey | None = None,
    life: timedelta = timedelta(days=30),
    extensions: Sequence[x509.Extension[x509.ExtensionType]] = (),
    without: type[x509.ExtensionType] | None = None,
) -> Draft:
    """Draft a leaf; ``extensions`` take the place of those of the same number, or join."""
    subject = build_subject(subject_of(profile), common_name) if subject is None else subject
    key = key or leaf_key()
    built: Extensions = [
        *build_san(alt_names, has_subject=bool(list(subject))),
        *build_key_usage(profile.key_usage),
        *build_extended_key_usage(profile.extended_key_usages),
        *build_policies(profile.policy_identifiers),
        *issuer_extensions(issuing(), key),
    ]
    if profile.basic_constraints_valid_for_non_ca:
        built.append(extension(x509.BasicConstraints(ca=False, path_length=None), critical=True))
    taken = {item.oid for item in extensions} | ({without.oid} if without else set())
    return Draft(
        subject=subject,
        public_key=key,
        not_before=NOW - profile.not_before,
        not_after=NOW + life,
        extensions=(*(item for item in built if item.oid not in taken), *extensions),
    )


def name_of(kind: str, text: str) -> x509.GeneralName:
    """Return an alternative name, however odd its text."""
    match kind:
        case "dns":
            return x509.DNSName._init_without_validation(text)
        case "email":
            return x509.RFC822Name._init_without_validation(text)
        case "uri":
            return x509.UniformResourceIdentifier._init_without_validation(text)
        case "ip" if "/" in text:
            return x509.IPAddress(ipaddress.ip_network(text))
        case "ip":
            return x509.IPAddress(ipaddress.ip_address(text))
        case "other":
            return _other_name(text)
    if text == "registered":
        return x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")]))


def _other_name(text: str) -> x509.OtherName:
    oid, value = text.split(";", 1)
    form, value = value.split(":", 1)
    content = value.encode()
    encoded = bytes.fromhex(value) if form == "DER" else bytes([0x0C, len(content)]) + content
    return x509.OtherName(x509.ObjectIdentifier(oid), encoded)
