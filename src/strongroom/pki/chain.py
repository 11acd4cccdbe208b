"""Order a chain, and say what is wrong with the one that was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Notice
from strongroom.kernel.time import format_rfc3339
from strongroom.pki import raw
from strongroom.pki.inspect import CertificateFacts, inspect_certificate
from strongroom.pki.load import MAX_RSA_BITS

MAX_CANDIDATES: Final = 32
_MAX_STEPS: Final = 1000
"""Cross-signed authorities multiply the paths; a thousand steps are far beyond any real chain."""
_MAX_EXPONENT_BITS: Final = 256
"""Source: CA/Browser Forum Baseline Requirements 6.1.6."""


def order_chain(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Order a bag of certificates from the leaf upwards.

    Issuers are matched by subject name, then by key identifier, then by signature, because
    cross-signed CAs share a name. Input order does not matter; duplicates are dropped. Of several
    possible paths the one through the most candidates is taken; a second certificate of an authority
    that is in the path (its cross-signed twin) is dropped as well.

    Args:
        leaf: end-entity certificate.
        others: up to 32 candidates, CA certificates in any order.

    Returns:
        ``[leaf, issuer, ...]``; ends at a self-signed certificate or where no issuer is known.

    Raises:
        Invalid: ``chain_loop`` if two certificates certify each other,
            ``chain_unrelated`` if a candidate has no place in the path,
            ``invalid_field`` for more than 32 candidates.

    Source: RFC 5280 section 6.1, RFC 8446 section 4.4.2 (ordering in TLS).
    """
    if len(others) > MAX_CANDIDATES:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"The chain has {len(others)} certificates besides the leaf; at most {MAX_CANDIDATES} are looked at.",
            field="intermediate",
        )
    search = _PathSearch(_Node(leaf), [_Node(certificate) for certificate in others])
    path = search.find_path()
    placed = {node.identity for node in path}
    for node in search.candidates:
        if node.identity not in placed:
            raise Invalid(
                ErrorCode.CHAIN_UNRELATED,
                f"The certificate of {node.describe()} is not part of the chain of {search.leaf.describe()}.",
                field="intermediate",
                hint="Send the certificate of the issuer, then that of its issuer, and nothing else.",
            )
    return [node.certificate for node in path]


class _Node:
    """A certificate in the search, with what is compared read once."""

    __slots__ = ("certificate", "encoded", "identity", "parts")

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self.encoded = certificate.public_bytes(Encoding.DER)
        self.parts = raw.read_certificate(certificate)
        # An authority is its name and its key; it may have several certificates.
        self.identity = (self.parts.subject, self.parts.spki)

    def describe(self) -> str:
        """Return the subject for a message."""
        return inspect_certificate(self.certificate).subject or "a subject without a name"


class _PathSearch:
    """A bounded search for the longest path from the leaf through the candidates."""

    def __init__(self, leaf: _Node, candidates: Sequence[_Node]) -> None:
        self.leaf = leaf
        unique = {node.encoded: node for node in candidates}
        unique.pop(leaf.encoded, None)
        self.candidates = list(unique.values())
        self._verdicts: dict[tuple[bytes, bytes], bool] = {}
        self._steps = 0
        self._best: list[_Node] = [leaf]
        self._looped: _Node | None = None

    def find_path(self) -> list[_Node]:
        """Return the longest path that ends properly.

        Raises:
            Invalid: ``chain_loop`` if none does.
        """
        self._extend([self.leaf])
        if self._looped is not None and len(self._best) == 1:
            raise Invalid(
                ErrorCode.CHAIN_LOOP,
                f"The chain goes round in a circle: the certificate of {self._looped.describe()} is certified by one "
                "that it certifies itself.",
                field="intermediate",
                hint="Leave out the certificates above the first authority that your clients trust.",
            )
        return self._best

    def _extend(self, path: list[_Node]) -> None:
        self._steps += 1
        top = path[-1]
        if self._certifies(top, top):
            self._offer(path)
            return
        issuers = list(self._find_issuers(top))
        in_path = {node.identity for node in path}
        fresh = [issuer for issuer in issuers if issuer.identity not in in_path]
        if not issuers:
            self._offer(path)
        elif not fresh:
            self._looped = top
        for issuer in fresh:
            if self._steps < _MAX_STEPS:
                self._extend([*path, issuer])

    def _offer(self, path: list[_Node]) -> None:
        if len(path) > len(self._best):
            self._best = path

    def _find_issuers(self, child: _Node) -> Iterator[_Node]:
        wanted = child.parts.authority_key_id
        named = [node for node in self.candidates if node.parts.subject == child.parts.issuer]
        # A key identifier is a hint only (RFC 5280 4.2.1.1): it decides who is tried first.
        named.sort(key=lambda node: wanted is not None and node.parts.subject_key_id != wanted)
        return (node for node in named if self._certifies(node, child))

    def _certifies(self, issuer: _Node, child: _Node) -> bool:
        pair = (issuer.encoded, child.encoded)
        if pair not in self._verdicts:
            self._verdicts[pair] = is_issuer(issuer.certificate, child.certificate)
        return self._verdicts[pair]


def is_issuer(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Return whether the names fit and the child's signature verifies under the issuer's key.

    RSA keys that no authority has, made to keep a verifier busy, count as no issuer's.
    """
    try:
        if _is_costly(issuer.public_key()):
            return False
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, InternalError):
        return False
    return True


def _is_costly(key: CertificatePublicKeyTypes) -> bool:
    # An exponent as long as the modulus makes a verification cost as much as a signature; a chain takes a thousand.
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    return key.key_size > MAX_RSA_BITS or key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS


def chain_notices(leaf: x509.Certificate, intermediates: Sequence[x509.Certificate], now: datetime) -> list[Notice]:
    """Return what is worth knowing about a given chain; never raises.

    Codes: ``chain_incomplete``, ``chain_unordered``, ``chain_broken``, ``chain_expired``, ``not_yet_valid``,
    ``sha1_signature``. A missing root is no flaw: clients have their own.

    Args:
        leaf: end-entity certificate.
        intermediates: what came with it, in the order given.
        now: instant for the validity.
    """
    facts = inspect_certificate(leaf)
    if not intermediates:
        if facts.is_self_issued:
            return []
        message = f"No certificate of the issuer ({facts.issuer}) was given; clients that do not have it will refuse."
        return [Notice(code="chain_incomplete", message=message)]
    return [*_order_notices(leaf, intermediates), *_member_notices(leaf, intermediates[:MAX_CANDIDATES], now)]


def _order_notices(leaf: x509.Certificate, given: Sequence[x509.Certificate]) -> list[Notice]:
    try:
        path = order_chain(leaf, given)
    except Invalid as problem:
        if problem.code is ErrorCode.CHAIN_UNRELATED and not any(is_issuer(other, leaf) for other in given):
            message = "None of the chain's certificates issued the certificate, so clients cannot use the chain."
            return [Notice(code="chain_broken", message=message)]
        return [Notice(code="chain_broken", message=problem.detail)]
    ordered = path[1:]
    remaining = iter(ordered)
    if len(given) == len(ordered) and all(certificate == next(remaining) for certificate in given):
        return []
    message = (
        "The chain is not in order: TLS servers send the issuer of the certificate first, then its issuer, each once."
    )
    return [Notice(code="chain_unordered", message=message)]


def _member_notices(leaf: x509.Certificate, given: Sequence[x509.Certificate], now: datetime) -> list[Notice]:
    notices = []
    for position, certificate in enumerate(given, 1):
        if certificate == leaf:  # repeated; the order notice covers it
            continue
        facts = inspect_certificate(certificate)
        name = f"Certificate {position} of the chain ({facts.subject})"
        if not facts.is_ca and certificate.version is x509.Version.v3:
            message = f"{name} is not a CA certificate, so clients do not accept what it signed."
            notices.append(Notice(code="chain_broken", message=message))
        notices += _validity_notices(facts, name, now)
        # Nobody checks the signature of a root.
        if facts.is_weakly_signed and not facts.is_self_issued:
            notices.append(weak_signature_notice(facts, name))
    return notices


def _validity_notices(facts: CertificateFacts, name: str, now: datetime) -> list[Notice]:
    if facts.not_after < now:
        message = f"{name} expired on {format_rfc3339(facts.not_after)}."
        return [Notice(code="chain_expired", message=message)]
    return not_yet_valid_notices(facts, name, now)


def not_yet_valid_notices(facts: CertificateFacts, name: str, now: datetime) -> list[Notice]:
    """Return a notice if the certificate's time has not come yet."""
    if facts.not_before <= now:
        return []
    return [Notice(code="not_yet_valid", message=f"{name} is valid from {format_rfc3339(facts.not_before)} only.")]


def weak_signature_notice(facts: CertificateFacts, name: str) -> Notice:
    """Return the notice about a signature that clients no longer accept."""
    message = f"{name} is signed with {facts.signing_algorithm}, which current clients refuse."
    return Notice(code="sha1_signature", message=message)
