from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509

from strongroom.pki.draft import CertifiedKey, Draft, Issuer, SigningKey, new_serial, sign_draft
from strongroom.pki.extensions import build_san
from strongroom.pki.inspect import inspect_certificate
from strongroom.pki.keys import KeySpec, generate_private_key
from strongroom.pki.leaf_facts import facts_of_leaf
from strongroom.pki.subject import Subject, build_subject

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def key(kind: str, bits: int) -> SigningKey:
    return generate_private_key(KeySpec(kind=kind, bits=bits))  # type: ignore[arg-type]


def draft(subject: x509.Name, names: list[x509.GeneralName], public_key: CertifiedKey) -> Draft:
    return Draft(
        subject=subject,
        public_key=public_key,
        not_before=BEGIN,
        not_after=BEGIN + timedelta(days=30),
        extensions=tuple(build_san(names, has_subject=bool(list(subject)))),
    )


@pytest.mark.parametrize(
    ("common_name", "names"),
    [
        ("service.example.com", [x509.DNSName("service.example.com"), x509.DNSName("*.example.com")]),
        ("Jörg Example", [x509.RFC822Name("a@example.com"), x509.DNSName("xn--bcher-kva.example.com")]),
        ("rtl \u202e txt", [x509.UniformResourceIdentifier("spiffe://example.com/a")]),
        ("n" * 100, []),
        ("", [x509.DNSName("service.example.com")]),
    ],
)
@pytest.mark.parametrize(("kind", "bits"), [("ec", 256), ("ec", 384), ("ed25519", 0)])
def test_facts_from_the_draft_are_those_that_the_certificate_says(
    common_name: str, names: list[x509.GeneralName], kind: str, bits: int
) -> None:
    above = build_subject(Subject(country=("US",), organization=("Example, Inc.",)), "Example CA")
    signer = Issuer(subject=above, key=key(kind, bits))
    ca = sign_draft(draft(above, [], key(kind, bits).public_key()), signer, 1)
    wanted = draft(build_subject(Subject(ou=("Unit",)), common_name), names, key("ec", 256).public_key())
    certificate = sign_draft(wanted, signer, new_serial())

    facts = facts_of_leaf(wanted, certificate, ca)

    read = inspect_certificate(certificate)
    assert (facts.common_name or None) == read.common_name
    assert facts.alt_names == read.alt_names
    assert facts.issuer == read.issuer
    assert facts.serial_number == read.serial_number
    assert facts.signing_algorithm == read.signing_algorithm
    assert facts.key_algorithm == read.key_algorithm
    assert (wanted.not_before, wanted.not_after) == (read.not_before, read.not_after)
