"""Keys of ACME accounts."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.engines.public.acme_keys import Signers, check_account_key, new_account_key
from strongroom.kernel.errors import ErrorCode, Invalid
from tests.peers.acme_ca import thumbprint

PKCS1, PKCS8 = PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8
AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem_of(key: AnyKey, layout: PrivateFormat = PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, layout, NoEncryption()).decode()


def test_new_key_is_a_p256_key_in_pkcs8() -> None:
    pem = new_account_key()
    assert pem.startswith("-----BEGIN PRIVATE KEY-----")
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert check_account_key(pem) == pem


@pytest.mark.parametrize("layout", [PKCS1, PKCS8])
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ],
    ids=["rsa", "p256", "p384", "p521"],
)
def test_key_is_kept_as_it_was_given_and_signs_with_its_algorithm(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, layout: PrivateFormat
) -> None:
    pem = pem_of(key, layout)
    assert check_account_key(pem) == pem
    signer = Signers().open(pem)
    assert signer.algorithm.name == algorithm
    assert signer.thumbprint == thumbprint(key.public_key())


@pytest.mark.parametrize(
    ("pem", "code"),
    [
        (pem_of(rsa.generate_private_key(65537, 1024)), ErrorCode.KEY_TOO_WEAK),  # noqa: S505  (weak on purpose)
        (pem_of(ed25519.Ed25519PrivateKey.generate()), ErrorCode.KEY_UNREADABLE),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), ErrorCode.KEY_UNREADABLE),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ErrorCode.KEY_UNREADABLE),
        ("no key at all, but long enough to be looked at as a text of its own", ErrorCode.WRONG_FORMAT),
        (
            ec.generate_private_key(ec.SECP256R1())
            .private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"secret"))
            .decode(),
            ErrorCode.KEY_ENCRYPTED,
        ),
    ],
    ids=["rsa1024", "ed25519", "secp256k1", "damaged", "text", "encrypted"],
)
def test_key_that_no_account_can_have_is_refused_by_field(pem: str, code: ErrorCode) -> None:
    with pytest.raises(Invalid) as caught:
        check_account_key(pem, field="acme_account_private_key")
    assert caught.value.code is code
    assert caught.value.field == "acme_account_private_key"


def test_key_whose_halves_do_not_fit_is_refused() -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    other = rsa.generate_private_key(65537, 2048).private_numbers()
    forged = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, other.d, other.dmp1, other.dmq1, other.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(Invalid) as caught:
        check_account_key(pem_of(forged, PKCS1))
    assert caught.value.code is ErrorCode.KEY_UNREADABLE


def test_keys_are_opened_once_and_never_shown() -> None:
    signers = Signers()
    pem = new_account_key()
    assert signers.open(pem) is signers.open(pem)
    inside = pem.splitlines()[1]
    assert inside not in repr(signers)
    assert inside not in repr(signers.open(pem))


def test_only_the_last_keys_are_kept() -> None:
    signers = Signers()
    first = new_account_key()
    opened = signers.open(first)
    for _ in range(64):
        signers.open(new_account_key())
    assert signers.open(first) is not opened
