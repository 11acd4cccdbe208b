"""Private keys: kinds, making them, their strength, and which certificate they belong to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, Literal, cast

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Notice
from strongroom.pki import raw
from strongroom.pki.load import HELP_PAGE, PrivateKey

KeyKind = Literal["rsa", "ec", "ed25519"]
IssuedKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_SIZES: Final = (2048, 3072, 4096, 8192)
EC_CURVES: Final[dict[int, type[ec.EllipticCurve]]] = {
    224: ec.SECP224R1,
    256: ec.SECP256R1,
    384: ec.SECP384R1,
    521: ec.SECP521R1,
}
MIN_RSA_BITS: Final = 1024
STRONG_RSA_BITS: Final = 2048
STRONG_EC_BITS: Final = 224

_RSA_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """A kind of key that Strongroom makes itself.

    Attributes:
        kind: the algorithm.
        bits: RSA modulus or EC curve size; 0 for Ed25519.
    """

    kind: KeyKind
    bits: int

    def check(self) -> None:
        """Refuse what Strongroom does not make.

        Raises:
            Invalid: ``invalid_field``.
        """
        sizes = {"rsa": RSA_SIZES, "ec": EC_CURVES, "ed25519": (self.bits,)}
        if self.bits not in sizes.get(self.kind, ()):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"A key of kind {self.kind} with {self.bits} bits cannot be made; use rsa with {_list(RSA_SIZES)}, "
                f"ec with {_list(EC_CURVES)}, or ed25519.",
                field="key_bits",
            )


def generate_private_key(spec: KeySpec) -> IssuedKey:
    """Make a new key; 2048 bits of RSA take 60 ms, 8192 several seconds, EC and Ed25519 nothing.

    Raises:
        Invalid: ``invalid_field`` for a size that Strongroom does not make.
    """
    spec.check()
    match spec.kind:
        case "rsa":
            return rsa.generate_private_key(_RSA_EXPONENT, spec.bits)
        case "ec":
            return ec.generate_private_key(EC_CURVES[spec.bits]())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()


def unguessable_number(bits: int) -> int:
    """Return a random number that nobody can foresee, for serial numbers."""
    return secrets.randbits(bits)


def private_key_der(key: IssuedKey) -> bytes:
    """Write a key as PKCS#8 in DER, unencrypted: to be sealed, or for the pipe of a helper process."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def generate_key_der(spec: KeySpec) -> bytes:
    """Make a new key and return it as `private_key_der` does."""
    return private_key_der(generate_private_key(spec))


def load_own_key_der(der: bytes) -> IssuedKey:
    """Read a key that Strongroom itself made; its arithmetic is not checked again, which takes RSA 50 ms."""
    return cast("IssuedKey", load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True))


def load_own_key_pem(pem: str) -> IssuedKey:
    """Read a key that Strongroom itself made and wrote as PEM; see `load_own_key_der`."""
    return cast("IssuedKey", load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True))


def _list(sizes: tuple[int, ...] | dict[int, type[ec.EllipticCurve]]) -> str:
    return ", ".join(map(str, sizes))


def private_key_to_pem(key: PrivateKey) -> str:
    """Write a key unencrypted: PKCS#1 for RSA, SEC1 for EC as the compatible API shows them, PKCS#8 for others."""
    traditional = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    layout = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, layout, NoEncryption()).decode()


def public_key_spki(source: PrivateKey | x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """Return the public key as DER SubjectPublicKeyInfo, for comparing.

    Two encodings of one key (compressed points, missing parameters) give the same bytes. The key of a certificate
    whose algorithm is unknown is returned as it stands there.
    """
    try:
        public = source.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        if isinstance(source, x509.Certificate):
            return raw.read_certificate(source).spki
        raise
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_key_strength(key: PrivateKey | CertificatePublicKeyTypes, *, field: str = "private_key") -> list[Notice]:
    """Return a ``weak_key`` notice for keys that no public authority would sign any more.

    Raises:
        Invalid: ``key_too_weak`` for RSA below 1024 bits, which anybody can factor.

    Source: CA/Browser Forum Baseline Requirements 6.1.5 (2048 bits); design ruling on weak imports.
    """
    match key:
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise Invalid(
                ErrorCode.KEY_TOO_WEAK,
                f"{field} is an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} bits are required and "
                f"{STRONG_RSA_BITS} or more recommended.",
                field=field,
                hint="Make a new key with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem` "
                "and have it certified.",
                help_page=HELP_PAGE,
            )
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey() if key.key_size < STRONG_RSA_BITS:
            return [_weak(f"an RSA key of {key.key_size} bits", f"{STRONG_RSA_BITS} bits or more")]
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey() if key.curve.key_size < STRONG_EC_BITS:
            return [_weak(f"an EC key of {key.curve.key_size} bits", "256 bits or more")]
        case dsa.DSAPrivateKey() | dsa.DSAPublicKey():
            return [_weak("a DSA key, which TLS clients no longer accept", "RSA, EC or Ed25519")]
    return []


def _weak(what: str, better: str) -> Notice:
    return Notice(code="weak_key", message=f"The certificate is for {what}; use {better} for the next one.")


def key_mismatch(field: str, *, remark: str = "") -> Invalid:
    """Return the error for a key that belongs to another certificate."""
    return Invalid(
        ErrorCode.KEY_MISMATCH,
        f"{field} does not belong to the certificate: its public key is another one.{remark}",
        field=field,
        hint="`openssl x509 -in certificate.pem -noout -pubkey` and `openssl pkey -in key.pem -pubout` must print the "
        "same.",
        help_page=HELP_PAGE,
    )
