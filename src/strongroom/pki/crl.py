"""Certificate revocation lists (CRLs), of any length.

The builder of `cryptography` copies its list for every entry. Here an entry is encoded once, when its certificate is
revoked, and kept; building a list joins what was kept and signs it, so its time grows with its length and no faster.

Source: RFC 5280 section 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cryptography import x509

from strongroom.pki import der
from strongroom.pki.draft import Issuer
from strongroom.pki.signed_der import sign_der, signature_algorithm

MAX_NUMBER_BITS: Final = 159
"""RFC 5280 section 5.2.3: readers handle CRL numbers of 20 octets, and those are positive."""

_VERSION_2: Final = der.encode_integer(1)
_EXPLICIT_0: Final = 0xA0
_REASON_CODE: Final = bytes.fromhex("0603551d15")
_AUTHORITY_KEY_ID: Final = bytes.fromhex("0603551d23")
_CRL_NUMBER: Final = bytes.fromhex("0603551d14")


def entry_der(serial: int, at: datetime, reason: x509.ReasonFlags | None = None) -> bytes:
    """Return the entry of one revoked certificate, as `build_crl` takes it.

    Args:
        serial: of the certificate.
        at: when it was revoked.
        reason: why; one that says nothing is left out, as RFC 5280 section 5.3.1 wants it.

    Raises:
        ValueError: for a serial number below 1, an instant without a time zone, or ``remove_from_crl``, which only
            lists of changes may hold.
    """
    if serial < 1:
        raise ValueError(f"the serial number {serial} is not positive")
    parts = [der.encode_integer(serial), der.encode_time(at)]
    code = encode_reason(reason)
    if code:
        parts.append(der.encode_sequence(_extension(_REASON_CODE, code)))
    return der.encode_sequence(*parts)


def encode_reason(reason: x509.ReasonFlags | None) -> bytes:
    """Return a CRLReason element, or nothing for a reason that says nothing.

    Raises:
        ValueError: for ``remove_from_crl``: here every answer is whole, none is a change to an earlier one.
    """
    if reason is None or reason is x509.ReasonFlags.unspecified:
        return b""
    if reason is x509.ReasonFlags.remove_from_crl:
        raise ValueError("remove_from_crl is no reason to revoke a certificate")
    return x509.CRLReason(reason).public_bytes()


def build_crl(
    issuer: Issuer,
    *,
    key_id: bytes,
    number: int,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[bytes],
) -> bytes:
    """Build and sign a full list, as DER.

    Args:
        issuer: who signs, with the name of its certificate.
        key_id: subject key identifier of its certificate.
        number: higher than that of every earlier list of this key.
        this_update: when the entries were read.
        next_update: when the next list is there at the latest.
        entries: results of `entry_der`, each serial number once.

    Raises:
        ValueError: for a number that is negative or too long, or a list that ends before it starts.
    """
    if not 0 <= number < 1 << MAX_NUMBER_BITS:
        raise ValueError(f"the CRL number {number} is negative or has more than {MAX_NUMBER_BITS} bits")
    if next_update <= this_update:
        raise ValueError("the next update is not later than this one")
    key_identifier = x509.AuthorityKeyIdentifier(key_id, None, None)
    extensions = der.encode_sequence(
        _extension(_AUTHORITY_KEY_ID, key_identifier.public_bytes()),
        _extension(_CRL_NUMBER, der.encode_integer(number)),
    )
    revoked = b"".join(entries)
    to_be_signed = der.encode_sequence(
        _VERSION_2,
        signature_algorithm(issuer.key),
        issuer.subject.public_bytes(),
        der.encode_time(this_update),
        der.encode_time(next_update),
        # RFC 5280 section 5.1.2.6: the list of revoked certificates is absent when there are none.
        der.encode_element(der.SEQUENCE, revoked) if revoked else b"",
        der.encode_element(_EXPLICIT_0, extensions),
    )
    return sign_der(to_be_signed, issuer.key)


def _extension(oid: bytes, content: bytes) -> bytes:
    return der.encode_sequence(oid, der.encode_element(der.OCTET_STRING, content))


def read_crl_number(crl: bytes) -> int:
    """Return the number of a list.

    Raises:
        DerError: if the bytes are no list, or one without a number.
    """
    try:
        extensions = x509.load_der_x509_crl(crl).extensions
        return extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.ExtensionNotFound) as problem:
        raise der.DerError("the bytes are no certificate revocation list with a number") from problem
