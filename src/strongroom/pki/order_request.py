"""The signing request of a public certificate, and what came of it. Sources: RFC 2986, RFC 8555 section 7.4."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from strongroom.pki.draft import signature_hash
from strongroom.pki.keys import IssuedKey, public_key_spki


def build_order_csr(names: Sequence[str], common_name: str | None, key: IssuedKey) -> bytes:
    """Build and sign the request; return it as DER.

    Args:
        names: for the subject alternative names; DNS names in ASCII.
        common_name: of the subject, one of the names.
        key: the certificate's.
    """
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    builder = builder.add_extension(san, critical=not attributes)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.DER)


def is_certificate_of(certificate: x509.Certificate, key: IssuedKey) -> bool:
    """Tell whether a certificate is for a key."""
    return public_key_spki(certificate) == public_key_spki(key)
