"""The parts of a certificate as they were encoded, read without judging them."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from strongroom.pki import der

SUBJECT_KEY_ID: Final = "2.5.29.14"
SUBJECT_ALT_NAME: Final = "2.5.29.17"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
AUTHORITY_KEY_ID: Final = "2.5.29.35"
COMMON_NAME: Final = "2.5.4.3"

# RFC 4514 section 3 and the words that OpenSSL and Go print for the others.
_SHORT_NAMES: Final = {
    COMMON_NAME: "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.17": "POSTALCODE",
    "2.5.4.42": "GN",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}

_STRING_CODECS: Final = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, in practice Latin-1
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}

Name = list[list[tuple[str, str]]]
"""Relative names in the order of the certificate, each a list of (dotted type, text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCertificate:
    """A certificate taken apart.

    Attributes:
        serial: content bytes of the serial number.
        issuer: DER of the issuer's name.
        subject: DER of the subject's name.
        spki: DER of the subject's public key information.
        extensions: dotted type to content; the first one where a type is repeated.
    """

    serial: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    extensions: Mapping[str, bytes]

    @property
    def is_ca(self) -> bool:
        """Return whether the basic constraints say so."""
        try:
            fields = der.read_children(der.read_only(self.extensions[BASIC_CONSTRAINTS], der.SEQUENCE).content)
        except (KeyError, der.DerError):
            return False
        return bool(fields) and fields[0].tag == der.BOOLEAN and any(fields[0].content)

    @property
    def subject_key_id(self) -> bytes | None:
        """Return the key identifier of the subject, if there is one."""
        try:
            return der.read_only(self.extensions[SUBJECT_KEY_ID], der.OCTET_STRING).content
        except (KeyError, der.DerError):
            return None

    @property
    def authority_key_id(self) -> bytes | None:
        """Return the key identifier of the issuer, if the certificate names one."""
        try:
            fields = der.read_children(der.read_only(self.extensions[AUTHORITY_KEY_ID], der.SEQUENCE).content)
        except (KeyError, der.DerError):
            return None
        return next((field.content for field in fields if field.tag == 0x80), None)


def read_certificate(certificate: x509.Certificate) -> RawCertificate:
    """Take apart a certificate that `cryptography` has parsed."""
    fields = der.read_children(der.read_only(certificate.tbs_certificate_bytes, der.SEQUENCE).content)
    if fields[0].tag == 0xA0:  # version, absent in version 1
        fields = fields[1:]
    serial, _signature, issuer, _validity, subject, spki, *rest = fields
    extensions: dict[str, bytes] = {}
    for field in rest:
        if field.tag == 0xA3:
            _read_extensions(field, extensions)
    return RawCertificate(
        serial=serial.content, issuer=issuer.raw, subject=subject.raw, spki=spki.raw, extensions=extensions
    )


def _read_extensions(field: der.Element, extensions: dict[str, bytes]) -> None:
    for entry in der.read_children(der.read_only(field.content, der.SEQUENCE).content):
        parts = der.read_children(entry.content)
        with contextlib.suppress(der.DerError):
            extensions.setdefault(der.decode_oid(parts[0].content), parts[-1].content)


def read_name(encoded: bytes) -> Name:
    """Read a distinguished name, whatever its strings are encoded as."""
    name: Name = []
    for relative in der.read_children(der.read_only(encoded, der.SEQUENCE).content):
        pairs = []
        for attribute in der.read_children(relative.content):
            kind, value = der.read_children(attribute.content)
            pairs.append((der.decode_oid(kind.content), _read_string(value)))
        name.append(pairs)
    return name


def _read_string(value: der.Element) -> str:
    codec = _STRING_CODECS.get(value.tag)
    if codec is None:
        # RFC 4514 section 2.4: a value that is no string is shown as its encoding.
        return "#" + value.raw.hex()
    return value.content.decode(codec, errors="replace")


def format_name(name: Name) -> str:
    """Write a name as ``C=US, O=Example Trust, CN=Example Trust R3``, in the certificate's order.

    Source: RFC 4514 section 2.4 for the escapes.
    """
    return ", ".join(
        "+".join(f"{_SHORT_NAMES.get(kind, kind)}={_escape(text)}" for kind, text in pairs) for pairs in name
    )


def _escape(text: str) -> str:
    escaped = "".join(
        f"\\{char}" if char in ',+"\\<>;' else char if _is_printable(char) else _hex_pairs(char) for char in text
    )
    if escaped.startswith(" "):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(text) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped


def _hex_pairs(char: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in char.encode(errors="replace"))


def _is_printable(char: str) -> bool:
    # Control and formatting characters could reorder or hide what a person reads in a terminal.
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """Return the text with control and formatting characters written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_printable(char) else char.encode("unicode_escape").decode() for char in text)
