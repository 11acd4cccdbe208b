"""How an ACME server is asked about one certificate. Source: RFC 9773 section 4.1."""

from __future__ import annotations

import base64

from cryptography import x509

from strongroom.pki import raw


def renewal_identifier(certificate: x509.Certificate) -> str | None:
    """Return the identifier that ``renewalInfo`` and ``replaces`` take.

    Both halves are the bytes as the certificate holds them: the key identifier of its issuer and its serial number,
    the sign octet included.

    Returns:
        ``None`` for a certificate that does not name its issuer's key.
    """
    parts = raw.read_certificate(certificate)
    key_id = parts.authority_key_id
    return f"{_encode(key_id)}.{_encode(parts.serial)}" if key_id else None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
