"""The key classes alone, over a signer that holds an ordinary key."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.hsm.keys import TokenEcKey, TokenKey, TokenRsaKey, describe_public_key, wrap_key
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.keys import KeySpec
from tests.factories.certificates import ec_key, rsa_key

HASHES = [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
CURVES = [ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]
DATA = b"to be signed"


class PlainSigner:
    """Signs like a token, with keys that are no secret here."""

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.key = key
        self.seen = b""

    def sign_pkcs1(self, digest_info: bytes) -> bytes:
        assert isinstance(self.key, rsa.RSAPrivateKey)
        self.seen = digest_info
        return self.key.sign(digest_info, padding.PKCS1v15(), NoDigestInfo())

    def sign_ecdsa(self, digest: bytes) -> bytes:
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        self.seen = digest
        fitting = {algorithm.digest_size: algorithm for algorithm in HASHES}
        der = self.key.sign(digest, ec.ECDSA(Prehashed(fitting[len(digest)])))
        size = (self.key.key_size + 7) // 8
        return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(der))


def wrapped(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> TokenKey:
    return wrap_key("key with label 'issuing' in token 'authorities'", key.public_key(), PlainSigner(key))


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_rsa_signatures_are_pkcs1(algorithm: hashes.HashAlgorithm) -> None:
    key = wrapped(rsa_key())
    assert isinstance(key, TokenRsaKey)
    signature = key.sign(DATA, padding.PKCS1v15(), algorithm)
    key.public_key().verify(signature, DATA, padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize(
    "curve", [ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name
)
@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_a_token_never_gets_a_digest_longer_than_the_order(
    curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm
) -> None:
    key = wrapped(ec_key(curve))
    assert isinstance(key, TokenEcKey)
    signature = key.sign(DATA, ec.ECDSA(algorithm))
    key.public_key().verify(signature, DATA, ec.ECDSA(algorithm))


def test_other_ways_to_sign_are_refused() -> None:
    of_rsa, of_ec = wrapped(rsa_key()), wrapped(ec_key())
    assert isinstance(of_rsa, TokenRsaKey)
    assert isinstance(of_ec, TokenEcKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    attempts: list[Callable[[], object]] = [
        lambda: of_rsa.sign(DATA, pss, hashes.SHA256()),
        lambda: of_rsa.sign(DATA, padding.PKCS1v15(), hashes.SHA3_256()),
        lambda: of_rsa.sign(DATA, padding.PKCS1v15(), Prehashed(hashes.SHA256())),
        lambda: of_ec.sign(DATA, ec.ECDSA(hashes.SHA3_256())),
        lambda: of_ec.sign(DATA, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)),
    ]
    for attempt in attempts:
        with pytest.raises(UnsupportedAlgorithm, match="in a token sign"):
            attempt()


def test_nothing_of_the_private_key_is_handed_out() -> None:
    of_rsa, of_ec = wrapped(rsa_key()), wrapped(ec_key())
    assert isinstance(of_rsa, TokenRsaKey)
    assert isinstance(of_ec, TokenEcKey)
    attempts: list[Callable[[], object]] = [
        *(key.private_numbers for key in (of_rsa, of_ec)),
        lambda: of_rsa.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        lambda: of_ec.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        lambda: of_rsa.decrypt(b"", padding.PKCS1v15()),
        lambda: of_ec.exchange(ec.ECDH(), of_ec.public_key()),
    ]
    for attempt in attempts:
        with pytest.raises(Invalid, match="never leaves it|only signs") as caught:
            attempt()
        assert caught.value.code is ErrorCode.NOT_SUPPORTED


def test_a_copy_is_the_key_itself() -> None:
    for plain in (rsa_key(), ec_key()):
        key = wrapped(plain)
        assert copy.copy(key) is key
        assert copy.deepcopy(key) is key


def test_a_key_says_what_it_is() -> None:
    of_rsa, of_ec = wrapped(rsa_key()), wrapped(ec_key(ec.SECP384R1()))
    assert repr(of_rsa) == "<TokenRsaKey key with label 'issuing' in token 'authorities', 2048 bits>"
    assert repr(of_ec) == "<TokenEcKey key with label 'issuing' in token 'authorities', secp384r1>"
    assert describe_public_key(of_rsa.public_key()) == KeySpec(kind="rsa", bits=2048)
    assert describe_public_key(of_ec.public_key()) == KeySpec(kind="ec", bits=384)
    assert of_ec.key_size == 384
