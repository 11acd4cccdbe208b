from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import raw
from strongroom.pki.keys import (
    KeyKind,
    KeySpec,
    check_key_strength,
    generate_key_der,
    generate_private_key,
    load_own_key_der,
    private_key_to_pem,
    public_key_spki,
)
from strongroom.pki.load import PrivateKey, load_private_key
from tests.factories.certificates import ec_key, make_csr, make_leaf, rsa_key

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize("bits", [224, 256, 384, 521])
def test_ec_keys_have_the_curve_asked_for(bits: int) -> None:
    key = generate_private_key(KeySpec(kind="ec", bits=bits))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.key_size == bits


def test_rsa_and_ed25519_keys_are_made() -> None:
    key = generate_private_key(KeySpec(kind="rsa", bits=2048))
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    assert isinstance(generate_private_key(KeySpec(kind="ed25519", bits=0)), ed25519.Ed25519PrivateKey)


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 1024), ("rsa", 2049), ("ec", 255)])
def test_sizes_that_are_not_made_are_refused(kind: KeyKind, bits: int) -> None:
    with pytest.raises(Invalid, match=f"with {bits} bits cannot be made; use rsa with 2048") as caught:
        generate_private_key(KeySpec(kind=kind, bits=bits))
    assert caught.value.code is ErrorCode.INVALID_FIELD


@pytest.mark.parametrize(
    ("key", "heading"),
    [
        (rsa_key(), "-----BEGIN RSA PRIVATE KEY-----\n"),
        (ec_key(), "-----BEGIN EC PRIVATE KEY-----\n"),
        (ed25519.Ed25519PrivateKey.generate(), "-----BEGIN PRIVATE KEY-----\n"),
    ],
)
def test_keys_are_written_as_the_contract_shows_them(key: PrivateKey, heading: str) -> None:
    pem = private_key_to_pem(key)
    assert pem.startswith(heading)
    again = load_private_key(pem, field="private_key", validate=True)
    assert public_key_spki(again) == public_key_spki(key)


def test_the_modulus_openssl_sees_is_the_same() -> None:
    leaf = make_leaf(key=rsa_key(), now=NOW)

    def modulus(*command: str, text: str) -> str:
        return subprocess.run(["openssl", *command], input=text, capture_output=True, text=True, check=True).stdout

    pem = private_key_to_pem(leaf.key)
    assert modulus("x509", "-noout", "-modulus", text=leaf.pem) == modulus("rsa", "-noout", "-modulus", text=pem)
    assert public_key_spki(leaf.certificate) == public_key_spki(leaf.key)


def test_a_certificate_its_key_and_its_request_have_one_public_key() -> None:
    key = ec_key()
    request = x509.load_pem_x509_csr(make_csr(key).encode())
    leaf = make_leaf(key=key, now=NOW)
    assert public_key_spki(key) == public_key_spki(leaf.certificate) == public_key_spki(request)
    assert public_key_spki(leaf.certificate) == raw.read_certificate(leaf.certificate).spki


@pytest.mark.parametrize("key", [rsa_key(2048, other=True), ec_key(), ed25519.Ed25519PrivateKey.generate()])
def test_another_key_has_another_public_key(key: PrivateKey) -> None:
    assert public_key_spki(make_leaf(key=rsa_key(), now=NOW).certificate) != public_key_spki(key)


def test_the_public_key_of_an_unknown_algorithm_is_taken_as_it_stands() -> None:
    leaf = make_leaf(now=NOW)
    odd = x509.load_der_x509_certificate(
        leaf.der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
    )
    assert public_key_spki(odd) == raw.read_certificate(odd).spki


def test_an_unusable_key_in_a_request_is_not_hidden() -> None:
    request = x509.load_pem_x509_csr(make_csr().encode())
    encoded = request.public_bytes(Encoding.DER)
    odd = x509.load_der_x509_csr(
        encoded.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f"))
    )
    with pytest.raises(Exception, match="1.2.840.10045.2.127|Unknown|nsupported"):
        public_key_spki(odd)


def test_rsa_keys_that_anybody_can_factor_are_refused() -> None:
    for key in (rsa_key(512), rsa_key(512).public_key()):
        with pytest.raises(Invalid, match="RSA key of 512 bits; at least 1024 bits") as caught:
            check_key_strength(key, field="certificate")
        assert caught.value.code is ErrorCode.KEY_TOO_WEAK
        assert caught.value.field == "certificate"


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (rsa_key(1024), "an RSA key of 1024 bits"),
        (rsa_key(1024).public_key(), "an RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP192R1()), "an EC key of 192 bits"),
        (dsa.generate_private_key(2048), "a DSA key"),
    ],
)
def test_weak_keys_are_accepted_with_a_notice(key: PrivateKey, what: str) -> None:
    (notice,) = check_key_strength(key)
    assert notice.code == "weak_key"
    assert what in notice.message


@pytest.mark.parametrize("key", [rsa_key(2048), rsa_key(4096), ec_key(), ed25519.Ed25519PrivateKey.generate()])
def test_strong_keys_raise_no_notice(key: PrivateKey) -> None:
    assert check_key_strength(key) == []


@pytest.mark.parametrize("spec", [KeySpec(kind="ec", bits=384), KeySpec(kind="ed25519", bits=0)])
def test_keys_cross_a_pipe_whole(spec: KeySpec) -> None:
    der = generate_key_der(spec)
    assert public_key_spki(load_own_key_der(der)) == public_key_spki(load_der_private_key(der, None))


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 1024), ("ec", 2048), ("dsa", 2048)])
def test_kinds_that_are_not_made_are_told_with_those_that_are(kind: Any, bits: int) -> None:
    with pytest.raises(Invalid, match="use rsa with 2048, 3072, 4096, 8192, ec with 224, 256, 384, 521, or ed25519"):
        generate_key_der(KeySpec(kind=kind, bits=bits))
