"""The search finds what it is for: a scan that is blind would pass everything."""

from __future__ import annotations

import base64
import json
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.factories.certificates import Key, ec_key, key_to_der, key_to_pem, rsa_key
from tests.hygiene.planted import Planted


def _planted() -> Planted:
    return Planted(random.Random(1))


@pytest.mark.parametrize("before", range(4))
def test_a_text_is_found_in_every_encoding(before: int) -> None:
    planted = _planted()
    secret = planted.text("payload")
    raw = secret.encode()
    around = b"x" * before + raw + b"y" * 7
    forms = [
        around,
        around.hex().encode(),
        around.hex().upper().encode(),
        base64.b64encode(around),
        base64.urlsafe_b64encode(around),
        json.dumps({"a": secret}).encode(),
        json.dumps({"a": secret}, ensure_ascii=False).encode(),
        repr(around).encode(),
    ]
    for data in forms:
        assert list(planted.look("somewhere", data)), data


def test_a_part_of_a_long_secret_is_found() -> None:
    planted = _planted()
    planted.add("long", b"".join(bytes([n]) * 3 for n in range(100)))
    assert list(planted.look("somewhere", bytes([99]) * 3 + b"".join(bytes([n]) * 3 for n in range(40, 60))))


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ec", "rsa"])
@pytest.mark.parametrize("layout", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_is_found_as_text_and_as_der_in_both_layouts(key: Key, layout: PrivateFormat) -> None:
    planted = _planted()
    planted.add_key("key", key_to_pem(key))
    assert list(planted.look("pem", key_to_pem(key, layout).encode()))
    assert list(planted.look("json", json.dumps({"k": key_to_pem(key, layout)}).encode()))
    assert list(planted.look("der", key_to_der(key, layout)))


@pytest.mark.parametrize(
    "key",
    [ec_key(), ec_key(ec.SECP384R1()), rsa_key(), ed25519.Ed25519PrivateKey.generate()],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_a_key_that_nobody_knows_is_found_by_its_shape(key: Key) -> None:
    planted = _planted()
    planted.add_key_shapes()
    sealed_form = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert list(planted.look("der", b"x" + sealed_form))
    assert list(planted.look("pem", key_to_pem(key, PrivateFormat.PKCS8).encode()))
    assert not list(
        planted.look("public", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    )


def test_what_is_public_in_a_key_is_no_find() -> None:
    for key in (ec_key(), rsa_key()):
        planted = _planted()
        planted.add_key("key", key_to_pem(key))
        public = key.public_key()
        for encoding in (Encoding.DER, Encoding.PEM):
            data = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
            assert not list(planted.look("public", data))
