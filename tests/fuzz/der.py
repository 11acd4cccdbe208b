"""Certificates, signing requests and OCSP requests with something wrong in them, some of it properly signed."""

from __future__ import annotations

import base64
import ipaddress
import random
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from strongroom.pki import der

_CONSTRUCTED: Final = 0x20
_OCTET_STRING: Final = 0x04
_DEEPER: Final = 0.85
_TAGS: Final = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x80, 0x82, 0xA0, 0xA3)
_CONTENTS: Final = (
    b"",
    b"\0",
    b"\xff" * 8,
    b"\x80",
    b"*.example.com",
    b"..",
    b"a\0b.example.com",
    "é.example.com".encode(),
    b"\xff\xfe",
    b"\xc0\x00\x02",
    b"http://[::1",
    b"\x30\x80\0\0",
    b"1" * 300,
    b"991231235959Z",
    b"00000000000000Z",
)


def break_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Return bytes with a few of them changed, lost, doubled or put in."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(raw) + 1)
        choice = chance.randrange(5)
        if choice == 0:
            raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
        elif choice == 1:
            raw = raw[:at] + raw[at + chance.choice((1, 2, 30)) :]
        elif choice == 2:
            raw = raw[:at] + chance.randbytes(chance.choice((1, 4, 200))) + raw[at:]
        elif choice == 3:
            raw = raw[:at]
        else:
            raw = raw[:at] + raw[at // 2 :]
    return raw


def break_element(raw: bytes, chance: random.Random) -> bytes:
    """Return an element in which one that it holds was changed; all lengths are right again."""
    try:
        element = der.read_only(raw, raw[0])
        children = [child.raw for child in der.read_children(element.content)] if _holds_more(element) else []
    except (der.DerError, IndexError):
        return break_bytes(raw, chance)
    choice = chance.random()
    if children and choice < _DEEPER:
        at = chance.randrange(len(children))
        choice = chance.random()
        if choice < _DEEPER:
            children[at] = break_element(children[at], chance)
        elif choice < (1 + _DEEPER) / 2:
            children.insert(at, children[at])
        else:
            del children[at]
        return der.encode_element(element.tag, b"".join(children))
    if choice < 0.3:
        return der.encode_element(chance.choice(_TAGS), element.content)
    if choice < 0.7:
        return der.encode_element(element.tag, chance.choice(_CONTENTS))
    return der.encode_element(element.tag, break_bytes(element.content, chance))


def _holds_more(element: der.Element) -> bool:
    # Extensions hold elements in an octet string.
    return bool(element.tag & _CONSTRUCTED) or (element.tag == _OCTET_STRING and element.content[:1] == b"\x30")


def sign_again(raw: bytes, key: ec.EllipticCurvePrivateKey, chance: random.Random) -> bytes:
    """Return a certificate or signing request of an EC key with broken insides and a signature that is right."""
    inside, algorithm, _ = der.read_children(der.read_only(raw, der.SEQUENCE).content)
    broken = inside.raw
    for _ in range(chance.choice((1, 1, 2))):
        broken = break_element(broken, chance)
    signature = key.sign(broken, ec.ECDSA(hashes.SHA256()))
    return der.encode_sequence(broken, algorithm.raw, der.encode_bit_string(signature))


def request_with_everything(key: ec.EllipticCurvePrivateKey, common_name: str) -> bytes:
    """Return a signing request with all kinds of names and extensions."""
    names: list[x509.GeneralName] = [
        x509.DNSName("www.example.com"),
        x509.DNSName("*.example.com"),
        x509.RFC822Name("person@example.com"),
        x509.UniformResourceIdentifier("https://www.example.com/a"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), der.encode_utf8_string("person@example.com")),
    ]
    subject = [
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.ORGANIZATION_NAME, "Example Trust"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "one"),
        (NameOID.COMMON_NAME, common_name),
        (NameOID.SERIAL_NUMBER, "17"),
        (NameOID.USER_ID, "someone"),
    ]
    usages = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1"), x509.ObjectIdentifier("1.2.3.4")])
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), ["https://example.com"])]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=True,
        decipher_only=False,
    )
    builder = (
        x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(usages, critical=False)
        .add_extension(policies, critical=False)
        .add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.7"), b"password")
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def question(
    certificate: x509.Certificate, issuer: x509.Certificate, *, nonce: bool = False, sha256: bool = False
) -> str:
    """Return an OCSP request in Base64."""
    algorithm = hashes.SHA256() if sha256 else hashes.SHA1()  # noqa: S303  (what clients send)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm)
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(b"0123456789abcdef"), critical=False)
    return base64.b64encode(builder.build().public_bytes(Encoding.DER)).decode()


def break_question(text: str, chance: random.Random) -> bytes:
    """Return an OCSP request as bytes, most often with something wrong in it."""
    raw = base64.b64decode(text)
    choice = chance.random()
    if choice < 0.25:
        return raw
    return break_element(raw, chance) if choice < 0.75 else break_bytes(raw, chance)
