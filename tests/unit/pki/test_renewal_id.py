"""The identifier that RFC 9773 asks about certificates with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from strongroom.pki.renewal_id import renewal_identifier
from tests.peers.acme_issuer import ari_id

KEY_ID = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")


def make(serial: int, *extensions: x509.ExtensionType) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2027, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 3, 1, tzinfo=UTC))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def test_example_of_the_standard() -> None:
    certificate = make(0x87654321, x509.AuthorityKeyIdentifier(KEY_ID, None, None))
    assert renewal_identifier(certificate) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


@pytest.mark.parametrize("serial", [1, 0x7F, 0x80, 0xFF, 0x0100, 1 << 134, (1 << 159) - 1])
def test_serial_numbers_keep_their_sign_octet(serial: int) -> None:
    certificate = make(serial, x509.AuthorityKeyIdentifier(KEY_ID, None, None))
    assert renewal_identifier(certificate) == ari_id(certificate)


def test_certificate_without_its_issuers_key_has_none() -> None:
    assert renewal_identifier(make(5)) is None


def test_certificate_that_names_its_issuer_by_name_only_has_none() -> None:
    issuer = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root")]))
    assert renewal_identifier(make(5, x509.AuthorityKeyIdentifier(None, [issuer], 7))) is None
