"""The certificate about to be signed, and signing it.

Whatever decides over a certificate (a template's rules, the lint, a dry run) looks at its `Draft`: the very subject,
key, life and extensions that are signed a moment later, not at the request that led to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from strongroom.pki.keys import unguessable_number

CertifiedKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
"""May be one that lives in a PKCS#11 token: such keys are subclasses that only sign."""

SERIAL_BITS: Final = 159
"""RFC 5280 section 4.1.2.2 allows 20 octets, positive; CA/B BR 7.1 wants 64 random bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything of a certificate but its serial number, issuer and signature.

    Attributes:
        not_before: whole seconds, UTC.
        not_after: whole seconds, UTC; the last second of its life.
        extensions: all that it will have, in order, the key identifiers included.
    """

    subject: x509.Name
    public_key: CertifiedKey
    not_before: datetime
    not_after: datetime
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs.

    Attributes:
        subject: its name, byte for byte as in its certificate.
    """

    subject: x509.Name
    key: SigningKey


def new_serial() -> int:
    """Return a random serial number that nobody can guess."""
    return unguessable_number(SERIAL_BITS) or 1


def serial_hex(serial: int) -> str:
    """Return a serial number as it is stored: lower-case hex without leading zeros."""
    return f"{serial:x}"


def sign_draft(draft: Draft, issuer: Issuer, serial: int) -> x509.Certificate:
    """Sign a draft; a root is signed by an `Issuer` with its own subject and key."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=draft.subject,
        public_key=draft.public_key,
        serial_number=serial,
        not_valid_before=draft.not_before,
        not_valid_after=draft.not_after,
        extensions=list(draft.extensions),
    )
    return builder.sign(issuer.key, signature_hash(issuer.key))


def signature_hash(
    key: CertificateIssuerPrivateKeyTypes,
) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Return the hash that goes with a key: as strong as its curve, SHA-256 for RSA, none for Ed25519."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return None
        case ec.EllipticCurvePrivateKey() if key.curve.key_size > 384:
            return hashes.SHA512()
        case ec.EllipticCurvePrivateKey() if key.curve.key_size > 256:
            return hashes.SHA384()
        case _:
            return hashes.SHA256()
