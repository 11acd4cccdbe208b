from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from strongroom.kernel.errors import Invalid
from strongroom.pki.formats import (
    CertificateFormat,
    KeyFormat,
    certificate_text,
    key_algorithm_name,
    private_key_text,
    read_certificate_format,
    read_key_format,
    serial_text,
    signature_algorithm_name,
)
from strongroom.pki.inspect import name_public_key
from strongroom.pki.members import Members
from tests.factories.authorities import key_of, make_root
from tests.factories.certificates import ec_key, rsa_key


def test_a_bundle_is_key_certificate_and_chain() -> None:
    assert certificate_text("C\n", ["I", "R\n"], CertificateFormat.BUNDLE, private_key="K\n") == "K\nC\nI\nR\n"
    assert certificate_text("C\n", ["I\n"], CertificateFormat.BUNDLE) == "C\nI\n"
    assert certificate_text("C\n", ["I\n"], CertificateFormat.PEM, private_key="K\n") == "C\n"


@pytest.mark.parametrize(
    ("kind", "layout", "heading"),
    [
        ("rsa", KeyFormat.DER, "RSA PRIVATE KEY"),
        ("rsa", KeyFormat.PKCS8, "PRIVATE KEY"),
        ("ec256", KeyFormat.DER, "EC PRIVATE KEY"),
        ("ec256", KeyFormat.PKCS8, "PRIVATE KEY"),
        ("ed25519", KeyFormat.DER, "PRIVATE KEY"),
        ("ed25519", KeyFormat.PKCS8, "PRIVATE KEY"),
    ],
)
def test_private_keys_are_written_as_asked(kind: str, layout: KeyFormat, heading: str) -> None:
    key = key_of(kind)
    text = private_key_text(key, layout)
    assert text.startswith(f"-----BEGIN {heading}-----\n")
    assert load_pem_private_key(text.encode(), None).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("kind", "key_name", "signature_name"),
    [
        ("rsa", "RSA2048", "SHA256-RSA"),
        ("ec256", "ECDSA256", "ECDSA-SHA256"),
        ("ec384", "ECDSA384", "ECDSA-SHA384"),
        ("ec521", "ECDSA521", "ECDSA-SHA512"),
        ("ed25519", "Ed25519", "Ed25519"),
    ],
)
def test_algorithms_have_the_names_of_the_api(kind: str, key_name: str, signature_name: str) -> None:
    key = key_of(kind)
    assert key_algorithm_name(key.public_key()) == key_name
    assert signature_algorithm_name(make_root(key=key).certificate) == signature_name


def test_keys_of_other_kinds_have_no_name() -> None:
    assert name_public_key(ed448.Ed448PrivateKey.generate().public_key()) == ""
    assert name_public_key(rsa_key(3072).public_key()) == "RSA3072"
    assert name_public_key(ec_key().public_key()) == "ECDSA256"
    assert name_public_key(ed25519.Ed25519PrivateKey.generate().public_key()) == "Ed25519"


@pytest.mark.parametrize(("number", "text"), [(0x2E905B, "2e:90:5b"), (0x0F, "0f"), (0xFF01, "ff:01")])
def test_serial_numbers_are_bytes_with_colons(number: int, text: str) -> None:
    assert serial_text(number) == text


def test_formats_have_defaults_and_few_words() -> None:
    members = Members({}, what="a test")
    assert (read_certificate_format(members), read_key_format(members)) == (CertificateFormat.PEM, KeyFormat.DER)
    members = Members({"format": "der", "private_key_format": "pem"}, what="a test")
    read_certificate_format(members)
    read_key_format(members)
    with pytest.raises(Invalid) as caught:
        members.problems.raise_any()
    assert [error.detail for error in caught.value.causes] == [
        "format must be pem or pem_bundle.",
        "private_key_format must be der or pkcs8.",
    ]
