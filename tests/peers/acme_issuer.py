"""The signing half of a pretended ACME CA: one intermediate key, certified by one or several roots."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

_CA_LIFE = timedelta(days=3650)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate that the CA signed.

    Attributes:
        ari_id: how RFC 9773 section 4.1 names it.
        chains: PEM, leaf first, one for each root; the default first.
    """

    id: str
    ari_id: str
    names: tuple[str, ...]
    certificate: x509.Certificate
    chains: tuple[str, ...]


class AcmeIssuer:
    """Signs what the CA decided to issue; the roots live ten years around the start."""

    def __init__(self, at: datetime, roots: Sequence[str] = ("Example Root X1", "Example Root X2")) -> None:
        self._name = _name("Example Issuing E1")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self.roots: list[x509.Certificate] = []
        self.intermediates: list[x509.Certificate] = []
        start = at - timedelta(days=30)
        for common_name in roots:
            root_key = ec.generate_private_key(ec.SECP256R1())
            root = _ca(_name(common_name), root_key, _name(common_name), root_key, start)
            self.roots.append(root)
            self.intermediates.append(_ca(self._name, self._key, root.subject, root_key, start))
        self._tails = [_pem(intermediate) for intermediate in self.intermediates]

    @property
    def roots_pem(self) -> str:
        """Return the roots, default first."""
        return "".join(_pem(root) for root in self.roots)

    def sign(
        self, csr: x509.CertificateSigningRequest, names: Sequence[str], at: datetime, life: timedelta
    ) -> IssuedCertificate:
        """Sign a certificate that lives exactly ``life``, both end seconds counted."""
        serial = secrets.randbits(135) | 1 << 134
        subject = next((_name(name) for name in names if len(name) <= 64), x509.Name([]))
        start = at.replace(microsecond=0)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(csr.public_key())
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(start + life - _SECOND)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(self._key_id.digest, None, None), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        leaf = _pem(certificate)
        return IssuedCertificate(
            id=f"{serial:x}",
            ari_id=ari_id(certificate),
            names=tuple(names),
            certificate=certificate,
            chains=tuple(leaf + tail for tail in self._tails),
        )


def names_of(csr: x509.CertificateSigningRequest) -> frozenset[str]:
    """Return the DNS names that a signing request asks for, its common name among them."""
    found = {str(item.value).lower() for item in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        extension = csr.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return frozenset(found)
    assert isinstance(extension, x509.SubjectAlternativeName)
    return frozenset(found | {name.lower() for name in extension.get_values_for_type(x509.DNSName)})


def ari_id(certificate: x509.Certificate) -> str:
    """Return the identifier of RFC 9773 section 4.1, worked out apart from the product."""
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier is not None
    digits = f"{certificate.serial_number:x}"
    serial = bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
    if serial[0] > 0x7F:
        serial = b"\x00" + serial
    return f"{b64(authority.key_identifier)}.{b64(serial)}"


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def renewal_window(issued: IssuedCertificate) -> tuple[datetime, datetime]:
    """Return when a CA wants a certificate renewed: a thirtieth of its life before its last third."""
    life = issued.certificate.not_valid_after_utc - issued.certificate.not_valid_before_utc + _SECOND
    end = issued.certificate.not_valid_after_utc + _SECOND - life / 3
    return end - life / 30, end


def _ca(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    start: datetime,
) -> x509.Certificate:
    usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
