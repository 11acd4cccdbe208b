"""What a draft takes from the authority that will sign it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import add_months, format_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.draft import CertifiedKey
from strongroom.pki.extensions import Extensions, build_addresses, build_key_ids

_LONGEST_LIFE_MONTHS: Final = 36


@value
class Issuing:
    """Facts about the authority that signs.

    Attributes:
        max_ttl: longest life of what it issues.
        above: certificates of the authorities above it, as far as they are known.
        crl_url: where its revocation list is; ``None`` to leave it out of certificates, as the others.
        ca_url: where its own certificate is.
        ocsp_url: where its responder is.
    """

    certificate: x509.Certificate
    max_ttl: timedelta
    above: tuple[x509.Certificate, ...] = ()
    crl_url: str | None = None
    ca_url: str | None = None
    ocsp_url: str | None = None


def remaining_life(issuing: Issuing, now: datetime) -> timedelta:
    """Return how long the authority's own certificate is valid.

    Args:
        issuing: the authority.
        now: whole seconds.

    Raises:
        Invalid: ``state_forbids`` if it has expired or its time has not come.
    """
    start, end = issuing.certificate.not_valid_before_utc, issuing.certificate.not_valid_after_utc
    if not start <= now < end:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            f"The certificate of the issuing authority is valid from {format_rfc3339(start)} to {format_rfc3339(end)} "
            "only, so it cannot sign now.",
        )
    return end - now


def longest_life(now: datetime) -> timedelta:
    """Return how long a leaf may live from now, whatever its template and its authority allow: three years."""
    return add_months(now, _LONGEST_LIFE_MONTHS) - now


def backdated(issuing: Issuing, now: datetime, by: timedelta) -> datetime:
    """Return a start before now that is not before the authority's own."""
    return max(now - by, issuing.certificate.not_valid_before_utc)


def issuer_extensions(issuing: Issuing, public_key: CertifiedKey) -> Extensions:
    """Return the extensions that depend on the issuer: key identifiers and addresses."""
    addresses = build_addresses(crl_url=issuing.crl_url, ca_url=issuing.ca_url, ocsp_url=issuing.ocsp_url)
    return [*build_key_ids(public_key, issuing.certificate), *addresses]
