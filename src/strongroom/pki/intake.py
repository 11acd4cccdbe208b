"""Everything that is checked when a certificate is imported, in one call that a helper process can make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm

from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.result import Notice
from strongroom.kernel.time import format_rfc3339
from strongroom.pki import chain, keys
from strongroom.pki.csr import ManagedCsrSpec, managed_csr_names
from strongroom.pki.inspect import CertificateFacts, inspect_certificate
from strongroom.pki.load import HELP_PAGE, PrivateKey, load_certificates, load_private_key

_SHOWN_NAMES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFacts:
    """What an import is, as plain data.

    Attributes:
        leaf: the first certificate.
        spki: DER of its public key; equal for equal keys.
        notices: what the owner should know.
        key_included: a private key came with it.
        intermediate_included: the member ``intermediate`` was given.
    """

    leaf: CertificateFacts
    spki: bytes
    notices: tuple[Notice, ...]
    key_included: bool
    intermediate_included: bool


def examine_import(certificate: str, private_key: str | None, intermediate: str | None, now: datetime) -> ImportedFacts:
    """Check an import as a whole and return what it is.

    Takes text and gives plain data (or an error that can be pickled), so that it can run in another process: an RSA
    key costs 50 ms and more without letting other threads run.

    Args:
        certificate: PEM; the first block is the leaf, further ones count as its chain.
        private_key: PEM, unencrypted, or ``None``.
        intermediate: PEM of the chain, or ``None``.
        now: instant for the validity.

    Raises:
        Invalid: every independent problem, each with its field: what `load_certificates` and `load_private_key`
            raise, ``certificate_expired``, ``key_mismatch``, ``key_too_weak``.
    """
    problems = Problems()
    certificates = _collect_certificates(certificate, "certificate", problems)
    notices: list[Notice] = []
    if certificates:
        _check_leaf(certificates[0], now, problems, notices)
    if private_key is not None:
        _check_key(private_key, certificates, problems)
    extra = [] if intermediate is None else _collect_certificates(intermediate, "intermediate", problems)
    problems.raise_any()

    leaf, *rest = certificates
    notices += chain.chain_notices(leaf, [*rest, *extra], now)
    return ImportedFacts(
        leaf=inspect_certificate(leaf),
        spki=keys.public_key_spki(leaf),
        notices=tuple(notices),
        key_included=private_key is not None,
        intermediate_included=intermediate is not None,
    )


def names_changed_notice(old: CertificateFacts, new: CertificateFacts) -> Notice | None:
    """Return the notice that a rotation changed the names, or ``None`` if they are the same."""
    return _compare_names(old.names, new.names, "The names of the certificate changed")


def names_differ_notice(spec: ManagedCsrSpec, facts: CertificateFacts) -> Notice | None:
    """Return the notice that a signed certificate has other names than its request, or ``None``.

    Authorities may leave names out or add some (``www.``), so this is no error. Names of other kinds
    (``other_sans``) are not compared, because certificates rarely keep them.
    """
    asked = frozenset(managed_csr_names(spec) - {str(san).lower() for san in spec.other_sans})
    return _compare_names(asked, facts.names, "The certificate has other names than the signing request")


def _compare_names(old: frozenset[str], new: frozenset[str], what: str) -> Notice | None:
    changes = [
        f"{word} {_list_names(names)}" for word, names in (("no longer", old - new), ("newly", new - old)) if names
    ]
    if not changes:
        return None
    return Notice(code="names_changed", message=f"{what}: {', '.join(changes)}.")


def _list_names(names: frozenset[str]) -> str:
    shown = sorted(names)[:_SHOWN_NAMES]
    more = len(names) - len(shown)
    return " and ".join(shown) + (f" and {more} more" if more else "")


def _collect_certificates(pem: str, field: str, problems: Problems) -> list[x509.Certificate]:
    try:
        return load_certificates(pem, field=field)
    except Invalid as problem:
        problems.note(problem)
        return []


def _check_leaf(leaf: x509.Certificate, now: datetime, problems: Problems, notices: list[Notice]) -> None:
    facts = inspect_certificate(leaf)
    if facts.not_after < now:
        problems.note(_expired(facts))
    try:
        notices += _public_key_notices(leaf)
    except Invalid as problem:
        problems.note(problem)
    if facts.is_weakly_signed and not facts.is_self_issued:
        notices.append(chain.weak_signature_notice(facts, "The certificate"))
    if facts.is_ca:
        message = (
            f"The certificate ({facts.subject}) is that of a certificate authority; servers and clients usually get "
            "their own. If it is part of a chain, the certificate of the server comes first."
        )
        notices.append(Notice(code="ca_as_leaf", message=message))
    notices += chain.not_yet_valid_notices(facts, "The certificate", now)


def _public_key_notices(leaf: x509.Certificate) -> list[Notice]:
    try:
        public = leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        return []
    return keys.check_key_strength(public, field="certificate")


def _expired(facts: CertificateFacts) -> Invalid:
    name = facts.common_name or facts.subject or "without a name"
    return Invalid(
        ErrorCode.CERTIFICATE_EXPIRED,
        f"certificate has expired: the certificate of {name} was valid until {format_rfc3339(facts.not_after)}.",
        field="certificate",
        hint="Import its successor; `openssl x509 -in certificate.pem -noout -enddate` shows until when a certificate "
        "is valid.",
        help_page=HELP_PAGE,
    )


def _check_key(pem: str, certificates: list[x509.Certificate], problems: Problems) -> None:
    """Check the key, the dear arithmetic only after everything that is cheap."""
    try:
        key = load_private_key(pem, field="private_key", validate=False)
        keys.check_key_strength(key)
        if certificates:
            _check_match(certificates, key)
        load_private_key(pem, field="private_key", validate=True)
    except Invalid as problem:
        problems.note(problem)


def _check_match(certificates: list[x509.Certificate], key: PrivateKey) -> None:
    spki = keys.public_key_spki(key)
    position = next((i for i, one in enumerate(certificates) if keys.public_key_spki(one) == spki), None)
    if position is None:
        raise keys.key_mismatch("private_key")
    if position:
        raise keys.key_mismatch(
            "private_key",
            remark=f" It belongs to certificate number {position + 1} of the text, which must come first.",
        )
