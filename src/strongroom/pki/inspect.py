"""What a certificate says, as plain values.

Nothing here raises for a certificate that could be parsed, however odd: its owner wants to see and replace it.
Names and extensions are therefore read leniently (`raw.py`), not through the strict accessors of `cryptography`.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.pki import der, raw

_RSA_PSS: Final = "1.2.840.113549.1.1.10"
_ED25519: Final = "1.3.101.112"

# The words of Go's x509 package, which the compatible API shows.
_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": "MD2-RSA",
    "1.2.840.113549.1.1.4": "MD5-RSA",
    "1.2.840.113549.1.1.5": "SHA1-RSA",
    "1.3.14.3.2.29": "SHA1-RSA",
    "1.2.840.113549.1.1.14": "SHA224-RSA",
    "1.2.840.113549.1.1.11": "SHA256-RSA",
    "1.2.840.113549.1.1.12": "SHA384-RSA",
    "1.2.840.113549.1.1.13": "SHA512-RSA",
    "1.2.840.10040.4.3": "DSA-SHA1",
    "2.16.840.1.101.3.4.3.2": "DSA-SHA256",
    "1.2.840.10045.4.1": "ECDSA-SHA1",
    "1.2.840.10045.4.3.1": "ECDSA-SHA224",
    "1.2.840.10045.4.3.2": "ECDSA-SHA256",
    "1.2.840.10045.4.3.3": "ECDSA-SHA384",
    "1.2.840.10045.4.3.4": "ECDSA-SHA512",
    _ED25519: "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_FIXED_SIZE_KEYS: Final = {
    _ED25519: "Ed25519",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_WEAK_SIGNATURES: Final = frozenset({"MD2-RSA", "MD5-RSA", "SHA1-RSA", "DSA-SHA1", "ECDSA-SHA1", "SHA1-RSAPSS"})

_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What one certificate says.

    Attributes:
        common_name: the most specific CN of the subject.
        alt_names: host names and e-mail addresses, in the certificate's order, as encoded (A-labels).
        ip_sans: addresses in their shortest form.
        uri_sans: as encoded.
        issuer: ``C=US, O=Example Trust, CN=Example Trust R3``.
        subject: in the same form.
        serial_number: ``4f:7c:6a``, lower case; a minus sign before negative ones.
        signing_algorithm: ``SHA256-RSA``, ``ECDSA-SHA256``, ``Ed25519``; a dotted number if unknown.
        key_algorithm: ``RSA2048``, ``ECDSA256``, ``Ed25519``; a dotted number if unknown.
        not_before: aware, UTC.
        not_after: aware, UTC.
        is_ca: the basic constraints say so.
        fingerprint_sha256: lower-case hexadecimal digits.
    """

    common_name: str | None
    alt_names: tuple[str, ...]
    ip_sans: tuple[str, ...]
    uri_sans: tuple[str, ...]
    issuer: str
    subject: str
    serial_number: str
    signing_algorithm: str
    key_algorithm: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    fingerprint_sha256: str

    @property
    def names(self) -> frozenset[str]:
        """Return every name it is valid for, lower case, the common name included."""
        common = {self.common_name} if self.common_name else set[str]()
        return frozenset(name.lower() for name in {*common, *self.alt_names, *self.ip_sans, *self.uri_sans})

    @property
    def is_self_issued(self) -> bool:
        """Return whether issuer and subject have the same name."""
        return self.issuer == self.subject

    @property
    def is_weakly_signed(self) -> bool:
        """Return whether the signature uses MD2, MD5 or SHA-1."""
        return self.signing_algorithm in _WEAK_SIGNATURES


def inspect_certificate(certificate: x509.Certificate) -> CertificateFacts:
    """Read what a certificate says; never raises for one that `load_certificates` gave."""
    parts = raw.read_certificate(certificate)
    subject = _read_name(parts.subject)
    alt_names, ip_sans, uri_sans = _read_alt_names(parts.extensions.get(raw.SUBJECT_ALT_NAME, b""))
    common = [text for pairs in subject for kind, text in pairs if kind == raw.COMMON_NAME and text]
    return CertificateFacts(
        common_name=raw.printable(common[-1]) if common else None,
        alt_names=alt_names,
        ip_sans=ip_sans,
        uri_sans=uri_sans,
        issuer=raw.format_name(_read_name(parts.issuer)),
        subject=raw.format_name(subject),
        serial_number=format_serial(parts.serial),
        signing_algorithm=name_signature(certificate),
        key_algorithm=_name_key(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_ca=parts.is_ca,
        fingerprint_sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
    )


def format_serial(content: bytes) -> str:
    """Write the content of a DER integer as lower-case bytes with colons."""
    return format_number(int.from_bytes(content, "big", signed=True))


def format_number(number: int) -> str:
    """Write a serial number as lower-case bytes with colons."""
    magnitude = abs(number)
    digits = magnitude.to_bytes(max(1, (magnitude.bit_length() + 7) // 8), "big").hex(":")
    return f"-{digits}" if number < 0 else digits


def _read_name(encoded: bytes) -> raw.Name:
    try:
        return raw.read_name(encoded)
    except ValueError:
        return []


def _read_alt_names(extension: bytes) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    names: list[str] = []
    addresses: list[str] = []
    uris: list[str] = []
    try:
        entries = der.read_children(der.read_only(extension, der.SEQUENCE).content)
    except der.DerError:
        entries = []
    for entry in entries:
        if entry.tag in {_EMAIL, _DNS}:
            names.append(_read_text(entry.content))
        elif entry.tag == _URI:
            uris.append(_read_text(entry.content))
        elif entry.tag == _IP:
            addresses.append(_read_address(entry.content))
    return tuple(names), tuple(addresses), tuple(uris)


def _read_text(content: bytes) -> str:
    return raw.printable(content.decode("utf-8", errors="replace"))


def _read_address(content: bytes) -> str:
    try:
        return str(ipaddress.ip_address(content))
    except ValueError:
        return content.hex(":")


def name_signature(certificate: x509.Certificate) -> str:
    """Return ``SHA256-RSA``, ``ECDSA-SHA256``, ``Ed25519``; a dotted number if unknown."""
    dotted = certificate.signature_algorithm_oid.dotted_string
    if dotted == _RSA_PSS:
        try:
            chosen = certificate.signature_hash_algorithm
        except (ValueError, TypeError, UnsupportedAlgorithm):
            chosen = None
        return f"{chosen.name.upper()}-RSAPSS" if chosen else dotted
    return _SIGNATURES.get(dotted, dotted)


def _name_key(certificate: x509.Certificate) -> str:
    dotted = certificate.public_key_algorithm_oid.dotted_string
    if dotted in _FIXED_SIZE_KEYS:
        return _FIXED_SIZE_KEYS[dotted]
    try:
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        return dotted
    return name_public_key(key) or dotted


def name_public_key(key: CertificatePublicKeyTypes) -> str:
    """Return ``RSA2048``, ``ECDSA256``, ``Ed25519``; an empty text if unknown."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA{key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA{key.curve.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA{key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return ""
