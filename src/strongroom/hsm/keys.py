"""Private keys that only sign, because what they are made of stays in a token.

They are subclasses of the abstract keys of `cryptography`, so every builder of certificates, CRLs, OCSP answers and
requests takes them. The data is hashed here: a token gets some sixty bytes instead of a revocation list of
megabytes, and not every token can hash for every kind of key.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import der
from strongroom.pki.keys import KeySpec

TokenPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_NULL: Final = b"\x05\x00"
_SHA2_ARC: Final = bytes.fromhex("6086480165030402")
_SHA2: Final = {"sha256": 1, "sha384": 2, "sha512": 3, "sha224": 4}
"""Last arc of 2.16.840.1.101.3.4.2, NIST's hash algorithms."""


class RawSigner(Protocol):
    """What a token does for one key."""

    def sign_pkcs1(self, digest_info: bytes) -> bytes:
        """Pad a DigestInfo as PKCS#1 v1.5 says, and sign it."""
        ...

    def sign_ecdsa(self, digest: bytes) -> bytes:
        """Sign a digest no longer than the order of the curve; return r and s, of equal length, one after the other."""
        ...


class _StaysInToken:
    """What both kinds of key refuse, and that a copy is the key itself."""

    _name: str

    def private_numbers(self) -> NoReturn:
        """Refuse: the key never leaves its token."""
        raise _never_leaves(self._name)

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002  (the name is given)
        encryption_algorithm: KeySerializationEncryption,
    ) -> NoReturn:
        """Refuse: the key never leaves its token."""
        raise _never_leaves(self._name)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class TokenRsaKey(_StaysInToken, rsa.RSAPrivateKey):
    """An RSA key in a token.

    Args:
        name: how messages call it.
        public: its public key.
        signer: what signs with it.
    """

    def __init__(self, *, name: str, public: rsa.RSAPublicKey, signer: RawSigner) -> None:
        self._name = name
        self._public = public
        self._signer = signer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}, {self.key_size} bits>"

    @property
    def key_size(self) -> int:
        """Return the bits of the modulus."""
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public key."""
        return self._public

    def sign(
        self, data: bytes, padding: AsymmetricPadding, algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo
    ) -> bytes:
        """Sign data with PKCS#1 v1.5 and a hash of the SHA-2 family.

        Raises:
            UnsupportedAlgorithm: for other paddings and hashes.
            Unavailable: the token does not answer.

        Source: RFC 8017 section 9.2.
        """
        if not isinstance(padding, PKCS1v15):
            raise UnsupportedAlgorithm("RSA keys in a token sign with PKCS#1 v1.5 padding.")
        digest = _digest(data, algorithm)
        oid = der.encode_element(der.OBJECT_IDENTIFIER, _SHA2_ARC + bytes([_SHA2[digest.name]]))
        return self._signer.sign_pkcs1(
            der.encode_element(
                der.SEQUENCE,
                der.encode_element(der.SEQUENCE, oid + _NULL) + der.encode_element(der.OCTET_STRING, digest.value),
            )
        )

    def decrypt(self, ciphertext: bytes, padding: AsymmetricPadding) -> NoReturn:
        """Refuse: the key only signs."""
        raise _only_signs(self._name)


class TokenEcKey(_StaysInToken, ec.EllipticCurvePrivateKey):
    """An EC key in a token.

    Args:
        name: how messages call it.
        public: its public key.
        signer: what signs with it.
    """

    def __init__(self, *, name: str, public: ec.EllipticCurvePublicKey, signer: RawSigner) -> None:
        self._name = name
        self._public = public
        self._signer = signer

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}, {self.curve.name}>"

    @property
    def curve(self) -> ec.EllipticCurve:
        """Return the curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Return the bits of the curve."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public key."""
        return self._public

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign data with ECDSA and a hash of the SHA-2 family; the result is DER.

        Raises:
            UnsupportedAlgorithm: for other algorithms.
            Unavailable: the token does not answer.

        Source: FIPS 186-5 section 6.4 (the leftmost bits of a digest that is longer than the order), RFC 3279
        section 2.2.3.
        """
        if not isinstance(signature_algorithm, ec.ECDSA) or signature_algorithm.deterministic_signing:
            raise UnsupportedAlgorithm("EC keys in a token sign with ECDSA and a random nonce.")
        digest = _digest(bytes(data), signature_algorithm.algorithm).value
        # The order of these curves has as many bits as the curve, and all but P-521 have whole bytes.
        signature = self._signer.sign_ecdsa(digest[: (self.key_size + 7) // 8])
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Refuse: the key only signs."""
        raise _only_signs(self._name)


TokenKey = TokenRsaKey | TokenEcKey


def wrap_key(name: str, public: TokenPublicKey, signer: RawSigner) -> TokenKey:
    """Return the private key that belongs to a public key and signs through ``signer``."""
    if isinstance(public, rsa.RSAPublicKey):
        return TokenRsaKey(name=name, public=public, signer=signer)
    return TokenEcKey(name=name, public=public, signer=signer)


def describe_public_key(public: TokenPublicKey) -> KeySpec:
    """Return the kind of a key."""
    return KeySpec(kind="rsa" if isinstance(public, rsa.RSAPublicKey) else "ec", bits=public.key_size)


class _Digest:
    __slots__ = ("name", "value")

    def __init__(self, name: str, value: bytes) -> None:
        self.name = name
        self.value = value


def _digest(data: bytes, algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo) -> _Digest:
    if not isinstance(algorithm, hashes.HashAlgorithm) or algorithm.name not in _SHA2:
        raise UnsupportedAlgorithm(f"Keys in a token sign data with one of {', '.join(sorted(_SHA2))}.")
    hasher = hashes.Hash(algorithm)
    hasher.update(data)
    return _Digest(algorithm.name, hasher.finalize())


def _never_leaves(name: str) -> Invalid:
    return Invalid(ErrorCode.NOT_SUPPORTED, f"The private {name} lives in a PKCS#11 token and never leaves it.")


def _only_signs(name: str) -> Invalid:
    return Invalid(ErrorCode.NOT_SUPPORTED, f"The private {name} lives in a PKCS#11 token and only signs.")
