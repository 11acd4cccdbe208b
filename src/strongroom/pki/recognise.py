"""Say what a text is that is not what its field asks for.

Binary files reach a JSON text in three ways: as base64, with every byte read as one Latin-1 character, or decoded as
UTF-8 with replacement characters. The first two keep every byte and are recognised by structure; the last one has
lost bytes and is recognised by the ASCII ones that survive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from strongroom.pki import armor, der


class Thing(StrEnum):
    """What may turn up where a certificate, a key or a request belongs; reads as part of a sentence."""

    CERTIFICATE = "a certificate"
    TRUSTED_CERTIFICATE = "a certificate with OpenSSL trust settings"
    PRIVATE_KEY = "a private key"
    ENCRYPTED_KEY = "an encrypted private key"
    OPENSSH_KEY = "an OpenSSH private key"
    ENCRYPTED_OPENSSH_KEY = "an encrypted OpenSSH private key"
    PUTTY_KEY = "a PuTTY private key"
    PUBLIC_KEY = "a public key"
    SSH_PUBLIC_KEY = "an SSH public key"
    CSR = "a certificate signing request (CSR)"
    CRL = "a certificate revocation list"
    PKCS7 = "a PKCS#7 bundle (.p7b)"
    PKCS12 = "a PKCS#12 file (.p12 or .pfx)"
    JKS = "a Java keystore"
    PARAMETERS = "key parameters"
    PGP = "a PGP message"
    HTML = "an HTML page"
    JSON = "a JSON document"
    PEM_TEXT = "a PEM file"
    OTHER = "text that is neither PEM nor base64"
    UNKNOWN_PEM = "a PEM block of another kind"
    UNKNOWN_BINARY = "binary data"
    EMPTY = "nothing"


class Form(StrEnum):
    """How a thing is written; reads on from `Thing`."""

    PEM = "in PEM form"
    DER = "in DER (binary) form"
    BASE64 = "in base64 without BEGIN and END lines"
    PLAIN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What was found, and how it is written."""

    thing: Thing
    form: Form

    def __str__(self) -> str:
        form = "" if self.form is Form.PEM else str(self.form)
        return f"{self.thing} {form}".strip()


_LABELS: Final = {
    "CERTIFICATE": Thing.CERTIFICATE,
    "X509 CERTIFICATE": Thing.CERTIFICATE,
    "TRUSTED CERTIFICATE": Thing.TRUSTED_CERTIFICATE,
    "PRIVATE KEY": Thing.PRIVATE_KEY,
    "RSA PRIVATE KEY": Thing.PRIVATE_KEY,
    "EC PRIVATE KEY": Thing.PRIVATE_KEY,
    "DSA PRIVATE KEY": Thing.PRIVATE_KEY,
    "ANY PRIVATE KEY": Thing.PRIVATE_KEY,
    "ENCRYPTED PRIVATE KEY": Thing.ENCRYPTED_KEY,
    "OPENSSH PRIVATE KEY": Thing.OPENSSH_KEY,
    "PUBLIC KEY": Thing.PUBLIC_KEY,
    "RSA PUBLIC KEY": Thing.PUBLIC_KEY,
    "CERTIFICATE REQUEST": Thing.CSR,
    "NEW CERTIFICATE REQUEST": Thing.CSR,
    "X509 CRL": Thing.CRL,
    "PKCS7": Thing.PKCS7,
    "PKCS #7 SIGNED DATA": Thing.PKCS7,
    "CMS": Thing.PKCS7,
    "PKCS12": Thing.PKCS12,
    "EC PARAMETERS": Thing.PARAMETERS,
    "DH PARAMETERS": Thing.PARAMETERS,
    "DSA PARAMETERS": Thing.PARAMETERS,
    "PGP MESSAGE": Thing.PGP,
    "PGP PUBLIC KEY BLOCK": Thing.PGP,
    "PGP PRIVATE KEY BLOCK": Thing.PGP,
}

_OPENSSH_MAGIC: Final = b"openssh-key-v1\0"
_JKS_MAGIC: Final = b"\xfe\xed\xfe\xed"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"

# For text whose bytes above 0x7f are lost; "~" stands for each of those. The header of an element is its tag
# and one to four characters of length; `\0?` because shells drop zero bytes.
_BINARY_HEADS: Final = (
    (Thing.CERTIFICATE, r"0[^0]{1,4}0[^0]{1,4}~{1,2}\x03\x02\x01[\0-\x02]?"),
    (Thing.CSR, r"0[^0]{1,4}0[^0]{1,4}\x02\x01\0?0"),
    (Thing.PKCS12, r"0[^\x02]{1,4}\x02\x01\x03"),
    (Thing.PRIVATE_KEY, r"0[^\x02]{1,4}\x02\x01(?:\0|\x01)?[0\x02\x04]"),
    (Thing.PKCS7, r"0[^\x06]{1,4}\x06\t\*~{1,3}H~{1,6}\r?\n?\x01\x07\x02"),
    (Thing.ENCRYPTED_KEY, r"0.{1,4}0.{1,3}\x06\t\*~{1,3}H~{1,6}\r?\n?\x01\x05"),
    (Thing.PUBLIC_KEY, r"0.{1,4}0.{1,3}\x06"),
    (Thing.JKS, r"~{4}\0{0,3}[\x01\x02]"),
)
_HEAD_PATTERNS: Final = tuple((thing, re.compile(pattern, re.DOTALL)) for thing, pattern in _BINARY_HEADS)
_HEAD_LENGTH: Final = 64
_NON_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_PLAIN_STARTS: Final = (
    ("<", Thing.HTML),
    ("{", Thing.JSON),
    ("[", Thing.JSON),
    ("PuTTY-User-Key-File", Thing.PUTTY_KEY),
    ("ssh-", Thing.SSH_PUBLIC_KEY),
    ("ecdsa-sha2-", Thing.SSH_PUBLIC_KEY),
    ("---- BEGIN SSH2 PUBLIC KEY", Thing.SSH_PUBLIC_KEY),
)


def recognise_block(block: armor.Block) -> Thing:
    """Say what an armoured block is, by its label and, for keys, whether a password is needed."""
    thing = _LABELS.get(block.label, Thing.UNKNOWN_PEM)
    if thing is Thing.PRIVATE_KEY:
        if block.encrypted or (block.der and recognise_der(block.der) is Thing.ENCRYPTED_KEY):
            return Thing.ENCRYPTED_KEY
    elif thing is Thing.OPENSSH_KEY and block.der and _is_encrypted_openssh(block.der):
        return Thing.ENCRYPTED_OPENSSH_KEY
    return thing


def recognise_text(text: str) -> Sighting:
    """Say what a text without usable PEM blocks is."""
    stripped = armor.strip_bom(text).strip()
    if not stripped:
        return Sighting(thing=Thing.EMPTY, form=Form.PLAIN)
    for start, thing in _PLAIN_STARTS:
        if stripped.startswith(start):
            return Sighting(thing=thing, form=Form.PLAIN)
    decoded = armor.decode_base64(stripped)
    if decoded is not None:
        if decoded.startswith((b"-----BEGIN ", b"\xef\xbb\xbf-----BEGIN ")):
            return Sighting(thing=Thing.PEM_TEXT, form=Form.BASE64)
        found = recognise_der(decoded)
        if found is not Thing.UNKNOWN_BINARY:
            return Sighting(thing=found, form=Form.BASE64)
    binary = _recognise_binary_text(text)
    if binary is not None:
        return Sighting(thing=binary, form=Form.DER if binary is not Thing.UNKNOWN_BINARY else Form.PLAIN)
    return Sighting(thing=Thing.OTHER, form=Form.PLAIN)


def _recognise_binary_text(text: str) -> Thing | None:
    try:
        found = recognise_der(text.encode("latin-1"))
    except UnicodeEncodeError:
        found = Thing.UNKNOWN_BINARY
    if found is not Thing.UNKNOWN_BINARY:
        return found
    head = text[:_HEAD_LENGTH]
    if not _CONTROL.search(head) and not _NON_ASCII.search(head):
        return None
    return _match_head(_NON_ASCII.sub("~", head)) or (Thing.UNKNOWN_BINARY if _CONTROL.search(head) else None)


def _match_head(head: str) -> Thing | None:
    return next((thing for thing, pattern in _HEAD_PATTERNS if pattern.match(head)), None)


def recognise_der(data: bytes) -> Thing:
    """Say what binary data is; `Thing.UNKNOWN_BINARY` if that cannot be told."""
    if data.startswith(_JKS_MAGIC):
        return Thing.JKS
    if data.startswith(_OPENSSH_MAGIC):
        return Thing.ENCRYPTED_OPENSSH_KEY if _is_encrypted_openssh(data) else Thing.OPENSSH_KEY
    # Old tools write PKCS#7 and PKCS#12 with indefinite lengths, which DER does not have.
    if data[:2] == b"\x30\x80":
        return _match_head(_NON_ASCII.sub("~", data[:_HEAD_LENGTH].decode("latin-1"))) or Thing.UNKNOWN_BINARY
    try:
        outer, _ = der.read_element(data)
        parts = der.read_children(outer.content) if outer.tag == der.SEQUENCE else []
        return _recognise_parts(parts)
    except (der.DerError, IndexError):
        return Thing.UNKNOWN_BINARY


def _recognise_parts(parts: list[der.Element]) -> Thing:
    tags = [part.tag for part in parts]
    first = parts[0]
    if tags == [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
        return _recognise_signed(der.read_children(first.content))
    if tags == [der.SEQUENCE, der.BIT_STRING]:
        return Thing.PUBLIC_KEY
    if tags == [der.SEQUENCE, der.OCTET_STRING]:
        return Thing.ENCRYPTED_KEY
    if tags == [der.INTEGER, der.INTEGER]:
        return Thing.PUBLIC_KEY
    if first.tag == der.OBJECT_IDENTIFIER and der.decode_oid(first.content) == _SIGNED_DATA:
        return Thing.PKCS7
    if first.tag == der.INTEGER and len(parts) > 1:
        if first.content == b"\x03" and parts[1].tag == der.SEQUENCE:
            return Thing.PKCS12
        if first.content in {b"\x00", b"\x01"}:
            # PKCS#8 continues with an algorithm, PKCS#1 with integers, SEC1 with an octet string.
            return Thing.PRIVATE_KEY
    return Thing.UNKNOWN_BINARY


def _recognise_signed(fields: list[der.Element]) -> Thing:
    tags = [field.tag for field in fields]
    if tags[:2] == [0xA0, der.INTEGER] or tags[:6] == [der.INTEGER, *[der.SEQUENCE] * 5]:
        return Thing.CERTIFICATE
    if tags[:3] == [der.INTEGER, der.SEQUENCE, der.SEQUENCE] and tags[3:] in ([], [0xA0]):
        return Thing.CSR
    return Thing.CRL


def _is_encrypted_openssh(data: bytes) -> bool:
    # The cipher's name follows the magic: PROTOCOL.key of OpenSSH.
    cipher = data[len(_OPENSSH_MAGIC) :][:8]
    return data.startswith(_OPENSSH_MAGIC) and cipher != b"\x00\x00\x00\x04none"
