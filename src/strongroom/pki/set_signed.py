"""The certificate that somebody else signed for one of our authorities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import format_rfc3339
from strongroom.pki import raw
from strongroom.pki.chain import is_issuer, order_chain
from strongroom.pki.inspect import format_serial, inspect_certificate
from strongroom.pki.keys import public_key_spki
from strongroom.pki.load import load_certificates

_FIELD = "certificate"
_EMPTY_NAME = bytes.fromhex("3000")


def check_signed(
    certificate: str,
    csr: x509.CertificateSigningRequest,
    now: datetime,
    known: Sequence[x509.Certificate] = (),
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """Check the certificate that was made from our request outside.

    Args:
        certificate: PEM of it, and of the certificates above it as far as they are at hand, in any order.
        csr: the request.
        now: instant for the validity.
        known: certificates of other CAs, to complete the chain where one of them signed.

    Returns:
        The certificate, and those above it, nearest first.

    Raises:
        Invalid: ``csr_key_mismatch`` if it is for another key, ``certificate_expired``, ``invalid_field`` if it is no
            certificate of a CA or its chain forbids it, ``chain_unrelated`` or ``chain_loop`` for what came with it,
            and what `load_certificates` raises.
    """
    given = load_certificates(certificate, field=_FIELD)
    own = _find_own(given, csr)
    _check_identity(own)
    _check_ca(own, "The certificate")
    _check_time(own, now, "The certificate")
    path = _order(own, [other for other in given if other != own])
    path = _complete(path, known)
    for above, issuer in enumerate(path[1:]):
        name = f"The certificate of {inspect_certificate(issuer).subject}, which is above it,"
        _check_ca(issuer, name, cas_below=above + 1)
        _check_time(issuer, now, name)
    return own, path[1:]


def _find_own(given: Sequence[x509.Certificate], csr: x509.CertificateSigningRequest) -> x509.Certificate:
    wanted = public_key_spki(csr)
    own = next((one for one in given if public_key_spki(one) == wanted), None)
    if own is None:
        raise Invalid(
            ErrorCode.CSR_KEY_MISMATCH,
            "certificate was not made from the signing request of this certificate authority: its public key is "
            "another one.",
            field=_FIELD,
            hint="Sign the request in data.csr of the configuration, and send the certificate that comes of it.",
        )
    return own


def _check_ca(certificate: x509.Certificate, name: str, *, cas_below: int = 0) -> None:
    try:
        found = certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise _refused(f"{name} has extensions that cannot be read.") from None
    try:
        constraints = found.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    if not constraints.ca:
        raise _refused(f"{name} is not that of a certificate authority: basic constraints say no CA.")
    if constraints.path_length is not None and constraints.path_length < cas_below:
        raise _refused(
            f"{name} allows {constraints.path_length} certificate authorities below it; there would be {cas_below}."
        )
    try:
        usage = found.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        # RFC 5280 section 4.2.1.3 wants it in every certificate of a CA; roots of old have none.
        usage = None
    if usage is None and cas_below == 0:
        raise _refused(f"{name} has no key usage; it must allow keyCertSign.")
    if usage is not None and not usage.key_cert_sign:
        raise _refused(f"{name} does not allow signing certificates: its key usage lacks keyCertSign.")
    if raw.read_certificate(certificate).subject == _EMPTY_NAME:
        raise _refused(f"{name} has an empty subject.")


def _check_identity(own: x509.Certificate) -> None:
    """Refuse what could not be the issuer of anything, or be found again."""
    try:
        _ = own.subject
    except (ValueError, TypeError):
        raise _refused("The certificate has a subject that cannot be read.") from None
    serial = raw.read_certificate(own).serial
    if int.from_bytes(serial, "big", signed=True) <= 0:
        # Roots of old have such numbers, so only our own certificate is held to RFC 5280 section 4.1.2.2.
        raise _refused(f"The certificate has the serial number {format_serial(serial)}; it must be positive.")


def _check_time(certificate: x509.Certificate, now: datetime, name: str) -> None:
    end = certificate.not_valid_after_utc
    if end < now:
        raise Invalid(ErrorCode.CERTIFICATE_EXPIRED, f"{name} expired on {format_rfc3339(end)}.", field=_FIELD)


def _order(own: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    try:
        return order_chain(own, others)
    except Invalid as problem:
        raise Invalid(problem.code, problem.detail, field=_FIELD, hint=problem.hint) from None


def _complete(path: list[x509.Certificate], known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    completed = list(path)
    while not is_issuer(completed[-1], completed[-1]):
        above = next((one for one in known if one not in completed and is_issuer(one, completed[-1])), None)
        if above is None:
            break
        completed.append(above)
    return completed


def _refused(detail: str) -> Invalid:
    return Invalid(ErrorCode.INVALID_FIELD, detail, field=_FIELD)
