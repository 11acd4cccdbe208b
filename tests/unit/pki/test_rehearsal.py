"""Certificates signed by a throw-away key: the real thing but for the signature."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from strongroom.pki.draft import Draft, Issuer, SigningKey, sign_draft
from strongroom.pki.extensions import build_san
from strongroom.pki.rehearsal import rehearse
from tests.factories.certificates import ec_key, rsa_key

KEYS: list[SigningKey] = [
    rsa_key(2048),
    rsa_key(4096),
    ec_key(),
    ec_key(ec.SECP521R1()),
    ed25519.Ed25519PrivateKey.generate(),
]


def draft() -> Draft:
    return Draft(
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")]),
        public_key=ec_key().public_key(),
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC),
        extensions=tuple(build_san([x509.DNSName("www.example.com")], has_subject=True)),
    )


def issuer(key: SigningKey) -> Issuer:
    return Issuer(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")]), key=key)


@pytest.mark.parametrize("key", KEYS)
def test_all_but_serial_and_signature_is_what_will_be_signed(key: SigningKey) -> None:
    wanted, real = draft(), issuer(key)
    shown, signed = rehearse(wanted, real), sign_draft(wanted, real, 7)
    assert list(shown.extensions) == list(signed.extensions)
    for member in ("issuer", "subject", "not_valid_before_utc", "not_valid_after_utc", "version"):
        assert getattr(shown, member) == getattr(signed, member)
    assert shown.public_key() == signed.public_key()
    assert shown.signature_algorithm_oid == signed.signature_algorithm_oid


@pytest.mark.parametrize("key", KEYS)
def test_the_authority_has_signed_nothing(key: SigningKey) -> None:
    shown, real = rehearse(draft(), issuer(key)), issuer(key)
    ca = sign_draft(
        Draft(
            subject=real.subject,
            public_key=key.public_key(),
            not_before=datetime(2026, 1, 1, tzinfo=UTC),
            not_after=datetime(2036, 1, 1, tzinfo=UTC),
            extensions=(),
        ),
        real,
        1,
    )
    with pytest.raises(InvalidSignature):
        shown.verify_directly_issued_by(ca)


def test_serial_numbers_are_random() -> None:
    wanted, real = draft(), issuer(ec_key())
    assert len({rehearse(wanted, real).serial_number for _ in range(5)}) == 5
