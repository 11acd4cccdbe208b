"""What ordering needs of an ACME server, as a port. Sources: RFC 8555, RFC 9773 (renewal information).

Every call is one exchange, or a few, and returns: waiting between them is the order's business. Calls may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from strongroom.kernel.errors import ErrorCode, Upstream
from strongroom.kernel.value import value


class AcmeProblem(Upstream):
    """An ACME server refused. Source: RFC 8555 section 6.7.

    Attributes:
        problem_type: last part of the problem's URN (``rateLimited``, ``caa``, ``badNonce``, ...); ``malformed`` for
            answers that are no problem document.
        identifiers: the names that its subproblems are about.
        status: of the HTTP answer.
    """

    def __init__(
        self,
        detail: str,
        *,
        problem_type: str,
        identifiers: Sequence[str] = (),
        status: int = 400,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(ErrorCode.UPSTREAM_REFUSED, detail, retry_after=retry_after)
        self.problem_type = problem_type
        self.identifiers = tuple(identifiers)
        self.status = status

    @property
    def is_final(self) -> bool:
        """Tell whether the same request would be refused again, whenever it comes."""
        return self.problem_type in _FINAL


class UnusableAnswer(AcmeProblem):
    """An ACME server did not refuse, but answered what RFC 8555 does not know; the next answer may be better."""


_FINAL = frozenset(
    {
        "accountDoesNotExist",
        "badCSR",
        "badPublicKey",
        "badSignatureAlgorithm",
        "caa",
        "externalAccountRequired",
        "invalidContact",
        "invalidProfile",
        "rejectedIdentifier",
        "unauthorized",
        "unsupportedContact",
        "unsupportedIdentifier",
        "userActionRequired",
    }
)


class AcmeStatus(StrEnum):
    """Status of orders, authorizations and challenges. Source: RFC 8555 section 7.1.6."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


@value
class AcmeAccount:
    """How to reach a CA, and as whom.

    Attributes:
        directory_url: of the CA.
        is_operators: whether the operator's settings name it: it may then have a private address.
        private_key: of the account, PEM.
        url: of the account, once known; `AcmeSession.find_account` and ``register`` return it.
        eab_key_id: external account binding, with ``eab_hmac_key`` (base64url). Source: RFC 8555 section 7.3.4.
        root_bundle: PEM certificates to trust for the CA's HTTPS, instead of the settings' or the system's.
        contact: URLs such as ``mailto:pki@example.com``.
    """

    directory_url: str
    is_operators: bool = False
    private_key: str = field(repr=False)
    url: str | None = None
    eab_key_id: str | None = None
    eab_hmac_key: str | None = field(default=None, repr=False)
    root_bundle: str | None = None
    contact: tuple[str, ...] = ()


@value
class AcmeDirectory:
    """What a CA says of itself.

    Attributes:
        profiles: names it offers (draft-ietf-acme-profiles), in its order.
        has_renewal_info: whether it offers RFC 9773.
    """

    profiles: tuple[str, ...] = ()
    has_renewal_info: bool = False
    needs_external_account: bool = False


@value
class AcmeOrder:
    """An order as the CA shows it. Source: RFC 8555 section 7.1.3.

    Attributes:
        identifiers: DNS names, wildcards with their ``*.``.
        problem_type: last part of the URN of its error, with its ``problem``.
        retry_after: when to look again, if the CA said so.
    """

    url: str
    status: AcmeStatus
    identifiers: tuple[str, ...]
    authorizations: tuple[str, ...]
    finalize_url: str
    certificate_url: str | None = None
    expires: datetime | None = None
    problem_type: str | None = None
    problem: str | None = None
    retry_after: timedelta | None = None


@value
class AcmeAuthorization:
    """What proves one name. Source: RFC 8555 sections 7.1.4 and 8.4.

    Attributes:
        domain: without ``*.``.
        challenge_url: of its ``dns-01``; ``None`` if the CA offers none.
        challenge_status: of that challenge.
        txt_value: what the TXT record at ``_acme-challenge.<domain>`` must hold (digest of the key authorization).
        problem_type: last part of the URN of the challenge's error, with its ``problem``.
    """

    url: str
    domain: str
    is_wildcard: bool
    status: AcmeStatus
    challenge_url: str | None
    challenge_status: AcmeStatus | None
    txt_value: str | None
    expires: datetime | None = None
    problem_type: str | None = None
    problem: str | None = None
    retry_after: timedelta | None = None


@value
class AcmeChain:
    """A certificate with those that certify it, as PEM, leaf first.

    Attributes:
        issuer_names: common names of the issuers, from the leaf's upwards; a preferred chain is chosen by them.
    """

    leaf: str
    intermediates: tuple[str, ...]
    issuer_names: tuple[str, ...]


@value
class RenewalWindow:
    """When a CA wants a certificate renewed. Source: RFC 9773 section 4.2.

    Attributes:
        check_again: what the CA's ``Retry-After`` says, within sensible bounds.
    """

    start: datetime
    end: datetime
    explanation_url: str | None
    check_again: timedelta


class AcmeSession(Protocol):
    """Talks to one CA for one account.

    All calls raise:
        AcmeProblem: the CA refused.
        Unavailable: it cannot be reached, timed out, or answers 5xx; ``retry_after`` from its header.
        Invalid: its address is not allowed (``destination_not_allowed``).
    """

    def directory(self) -> AcmeDirectory: ...

    def find_account(self) -> str | None:
        """Return the URL of the account of the key, ``None`` if the CA knows none (``onlyReturnExisting``)."""
        ...

    def register(self) -> str:
        """Make the account, agreeing to the terms of service; an existing one is returned."""
        ...

    def new_order(self, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None) -> AcmeOrder:
        """Place an order.

        Args:
            names: DNS names.
            profile: of the directory.
            replaces: certificate identifier of RFC 9773 section 5; left out where the CA does not offer it.
        """
        ...

    def find_order(self, names: Sequence[str]) -> AcmeOrder | None:
        """Return an order of these very names that has not ended, where the CA lists orders; asked after a crash."""
        ...

    def order(self, url: str) -> AcmeOrder: ...

    def authorization(self, url: str) -> AcmeAuthorization: ...

    def answer(self, challenge_url: str) -> None:
        """Say that the record is there; a challenge that was answered before is left alone."""
        ...

    def finalize(self, order: AcmeOrder, csr_der: bytes) -> AcmeOrder: ...

    def certificate(self, url: str) -> Sequence[AcmeChain]:
        """Return the chains on offer, the default first."""
        ...

    def deactivate(self, authorization_url: str) -> None:
        """Give an authorization up that is not wanted any more."""
        ...

    def renewal_window(self, certificate_pem: str) -> RenewalWindow | None:
        """Return when to renew; ``None`` where the CA does not offer it."""
        ...


class Acme(Protocol):
    """Opens sessions; keeps connections, directories and nonces between them."""

    def session(self, account: AcmeAccount) -> AcmeSession:
        """Return a session; no request is made."""
        ...

    def new_account_key(self) -> str:
        """Return a new key for an account, PEM (PKCS#8)."""
        ...

    def check_account_key(self, pem: str) -> str:
        """Return the key as it is to be kept.

        Raises:
            Invalid: it is no private key that an ACME account can have.
        """
        ...
