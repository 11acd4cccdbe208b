"""Certificates and signing requests as bytes, and back.

The layers above name the types and hand them on; they never look inside.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.pki.draft import CertifiedKey
from strongroom.pki.raw import read_certificate

Certificate = x509.Certificate
SigningRequest = x509.CertificateSigningRequest


def certificate_der(certificate: Certificate) -> bytes:
    """Return a certificate as DER."""
    return certificate.public_bytes(Encoding.DER)


def load_own_certificate(der: bytes) -> Certificate:
    """Read a certificate that was read or made here before."""
    return x509.load_der_x509_certificate(der)


def subject_of(certificate: Certificate) -> x509.Name:
    """Return the subject of a CA certificate, which others may have made in their own way."""
    return certificate.subject


def has_same_subject(one: Certificate, other: Certificate) -> bool:
    """Tell whether two certificates are for the same name, written the same way: byte by byte, as clients compare."""
    return read_certificate(one).subject == read_certificate(other).subject


def is_named_by(issuer: Certificate, certificate: Certificate) -> bool:
    """Tell whether a certificate names another one as its issuer."""
    return certificate.issuer == issuer.subject


def load_own_request(der: bytes) -> SigningRequest:
    """Read a signing request that was made here."""
    return x509.load_der_x509_csr(der)


def key_identifier(public_key: CertifiedKey) -> str:
    """Return the identifier of a key, as hex. Source: RFC 5280 section 4.2.1.2, method 1."""
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest.hex()
