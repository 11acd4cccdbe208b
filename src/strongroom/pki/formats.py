"""Certificates and keys as the text that an answer carries.

Source: contract of the compatible API, model M4.1 (``format``, ``private_key_format``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.pki.draft import CertifiedKey
from strongroom.pki.inspect import format_number, name_public_key, name_signature
from strongroom.pki.keys import IssuedKey, private_key_to_pem
from strongroom.pki.members import Members


class CertificateFormat(StrEnum):
    """What stands in ``certificate``."""

    PEM = "pem"
    BUNDLE = "pem_bundle"


class KeyFormat(StrEnum):
    """How the private key is written inside its PEM."""

    DER = "der"
    PKCS8 = "pkcs8"


def read_certificate_format(members: Members) -> CertificateFormat:
    """Read ``format``."""
    words = [word.value for word in CertificateFormat]
    return CertificateFormat(members.read_choice("format", words, default=CertificateFormat.PEM))


def read_key_format(members: Members) -> KeyFormat:
    """Read ``private_key_format``."""
    words = [word.value for word in KeyFormat]
    return KeyFormat(members.read_choice("private_key_format", words, default=KeyFormat.DER))


def certificate_text(
    certificate: str, chain: Sequence[str], layout: CertificateFormat, *, private_key: str | None = None
) -> str:
    """Return what stands in ``certificate``.

    Args:
        certificate: PEM.
        chain: PEM of the certificates above it, nearest first.
        layout: alone, or as a bundle of key, certificate and chain.
        private_key: PEM of a leaf's key; never given for an authority, whose key stays here.
    """
    if layout is CertificateFormat.PEM:
        return certificate
    parts = [*([private_key] if private_key else []), certificate, *chain]
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def private_key_text(key: IssuedKey, layout: KeyFormat) -> str:
    """Return a private key as PEM: PKCS#1 or SEC1 for ``der`` (Ed25519 has no such form), PKCS#8 for ``pkcs8``."""
    if layout is KeyFormat.DER:
        return private_key_to_pem(key)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def serial_text(serial: int) -> str:
    """Return a serial number as lower-case bytes with colons."""
    return format_number(serial)


def key_algorithm_name(key: CertifiedKey) -> str:
    """Return ``RSA2048``, ``ECDSA256`` or ``Ed25519``."""
    return name_public_key(key)


def signature_algorithm_name(certificate: x509.Certificate) -> str:
    """Return ``SHA256-RSA``, ``ECDSA-SHA384``, ``Ed25519`` and so on."""
    return name_signature(certificate)
