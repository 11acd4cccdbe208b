"""What one account does at one ACME server. Sources: RFC 8555 section 7, RFC 9773."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from acme import messages
from cryptography import x509
from josepy import b64

from strongroom.domain.orders.acme import (
    AcmeAccount,
    AcmeAuthorization,
    AcmeChain,
    AcmeDirectory,
    AcmeOrder,
    AcmeProblem,
    AcmeStatus,
    RenewalWindow,
)
from strongroom.engines.public.acme_keys import Signer
from strongroom.engines.public.acme_messages import (
    Answer,
    read_authorization,
    read_chain,
    read_challenge,
    read_order,
    read_window,
)
from strongroom.engines.public.acme_network import AcmeNetwork
from strongroom.kernel.clock import Clock
from strongroom.pki.load import load_certificates
from strongroom.pki.renewal_id import renewal_identifier

PEM_CHAIN: Final = "application/pem-certificate-chain"

_MAX_ALTERNATES: Final = 8
_MAX_PAGES: Final = 50
_MAX_ORDERS: Final = 1000
"""More than other servers place until the lease of one that died is over, so that its own order is among them."""
_RECENT: Final = timedelta(hours=1)
_CHECK_AGAIN: Final = timedelta(hours=6)
_CHECK_BOUNDS: Final = (timedelta(hours=1), timedelta(days=1))
_ENDED: Final = (AcmeStatus.INVALID, AcmeStatus.DEACTIVATED, AcmeStatus.EXPIRED, AcmeStatus.REVOKED)
_WANTED: Final = (AcmeStatus.READY, AcmeStatus.PENDING, AcmeStatus.PROCESSING, AcmeStatus.VALID)
"""Which order to go on with, best first."""


class AcmeLibrarySession:
    """The port ``AcmeSession`` over HTTP; safe to use from several threads.

    Args:
        network: to the CA.
        account: who asks.
        signer: of its key.
        clock: tells how old a certificate is.
    """

    def __init__(self, network: AcmeNetwork, account: AcmeAccount, signer: Signer, clock: Clock) -> None:
        self._network = network
        self._who = account
        self._signer = signer
        self._clock = clock

    def directory(self) -> AcmeDirectory:
        """Return what the CA says of itself."""
        return self._network.endpoints().facts

    def find_account(self) -> str | None:
        """Return the URL of the account of the key, ``None`` if the CA knows none."""
        try:
            return self._new_account({"onlyReturnExisting": True})
        except AcmeProblem as problem:
            # Some that need an external account do not look first whether there is one of the key.
            if problem.problem_type in {"accountDoesNotExist", "externalAccountRequired"}:
                return None
            raise

    def register(self) -> str:
        """Make the account, agreeing to the terms of service; an existing one is returned."""
        payload: dict[str, Any] = {"termsOfServiceAgreed": True}
        if self._who.contact:
            payload["contact"] = list(self._who.contact)
        if self._who.eab_key_id is not None:
            payload["externalAccountBinding"] = self._external_account()
        return self._new_account(payload)

    def new_order(self, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None) -> AcmeOrder:
        """Place an order; what the CA does not offer of ``profile`` and ``replaces`` is left out."""
        endpoints = self._network.endpoints()
        payload: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile is not None and profile in endpoints.facts.profiles:
            payload["profile"] = profile
        if replaces is not None and endpoints.renewal_info is not None:
            payload["replaces"] = replaces
        try:
            answer = self._post(endpoints.new_order, payload)
        except AcmeProblem as problem:
            # Another order already replaces that certificate; this one is wanted all the same (RFC 9773 section 5).
            if problem.problem_type != "alreadyReplaced" or payload.pop("replaces", None) is None:
                raise
            answer = self._post(endpoints.new_order, payload)
        return read_order(answer, answer.location())

    def find_order(self, names: Sequence[str]) -> AcmeOrder | None:
        """Return an order of these very names that can be gone on with, where the CA lists orders.

        Orders that wait come first, then those being processed, then valid ones whose certificate began within the
        last hour.
        """
        wanted = {name.lower() for name in names}
        found: list[AcmeOrder] = []
        for url in self._order_urls():
            try:
                order = self.order(url)
            except AcmeProblem as problem:
                if problem.problem_type == "rateLimited":
                    raise
                # Listed, but not there any more.
                continue
            if set(order.identifiers) == wanted and order.status in _WANTED:
                if order.status in _WANTED[:2]:
                    return order
                found.append(order)
        found.sort(key=lambda order: _WANTED.index(order.status))
        return next((order for order in found if self._is_recent(order)), None)

    def order(self, url: str) -> AcmeOrder:
        """Return an order as it stands."""
        return read_order(self._read(url), url)

    def authorization(self, url: str) -> AcmeAuthorization:
        """Return an authorization as it stands."""
        read, challenge = read_authorization(self._read(url), url)
        if challenge is None:
            return read
        key_authorization = f"{challenge.token}.{self._signer.thumbprint}"
        digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
        return replace(read, txt_value=b64.b64encode(digest).decode())

    def answer(self, challenge_url: str) -> None:
        """Say that the record is there; a challenge that was answered before is left alone."""
        try:
            self._post(challenge_url, {})
        except AcmeProblem as problem:
            if problem.problem_type == "rateLimited":
                raise
            with contextlib.suppress(AcmeProblem):
                challenge = read_challenge(self._read(challenge_url).document())
                if challenge.status is not AcmeStatus.PENDING:
                    return
            raise

    def finalize(self, order: AcmeOrder, csr_der: bytes) -> AcmeOrder:
        """Hand in the signing request; an order that was finalized before is returned as it stands."""
        try:
            answer = self._post(order.finalize_url, {"csr": b64.b64encode(csr_der).decode()})
        except AcmeProblem as problem:
            if problem.problem_type == "rateLimited":
                raise
            with contextlib.suppress(AcmeProblem):
                known = self.order(order.url)
                if known.status in {AcmeStatus.PROCESSING, AcmeStatus.VALID}:
                    return known
            raise
        return read_order(answer, order.url)

    def certificate(self, url: str) -> Sequence[AcmeChain]:
        """Return the chains on offer, the default first; alternates that cannot be used are left out."""
        first = self._read(url, accept=PEM_CHAIN)
        chains = [read_chain(first)]
        for alternate in first.links("alternate")[:_MAX_ALTERNATES]:
            with contextlib.suppress(AcmeProblem):
                chains.append(read_chain(self._read(alternate, accept=PEM_CHAIN)))
        return chains

    def deactivate(self, authorization_url: str) -> None:
        """Give an authorization up; one that has ended is left alone."""
        try:
            self._post(authorization_url, {"status": "deactivated"})
        except AcmeProblem as problem:
            if problem.problem_type == "rateLimited":
                raise
            with contextlib.suppress(AcmeProblem):
                if self.authorization(authorization_url).status in _ENDED:
                    return
            raise

    def renewal_window(self, certificate_pem: str) -> RenewalWindow | None:
        """Return when to renew; ``None`` if the CA does not offer it or the certificate does not name its issuer."""
        base = self._network.endpoints().renewal_info
        leaf = load_certificates(certificate_pem, field="certificate")[0]
        identifier = renewal_identifier(leaf)
        if base is None or identifier is None:
            return None
        answer = self._network.get(f"{base.rstrip('/')}/{identifier}")
        shortest, longest = _CHECK_BOUNDS
        wait = _CHECK_AGAIN if answer.retry_after is None else answer.retry_after
        return read_window(answer, max(shortest, min(wait, longest)))

    def _new_account(self, payload: Mapping[str, Any]) -> str:
        endpoints = self._network.endpoints()
        answer = self._network.post(endpoints.new_account, payload, signer=self._signer, account_url=None)
        url = answer.location()
        self._network.remember_account(self._signer.thumbprint, url)
        return url

    def _external_account(self) -> Mapping[str, Any]:
        """Bind the key to the account that the CA knows otherwise. Source: RFC 8555 section 7.3.4."""
        hmac_key = (self._who.eab_hmac_key or "").strip().rstrip("=").translate(_TO_URL_ALPHABET)
        try:
            if not hmac_key or b64.b64encode(b64.b64decode(hmac_key)).decode() != hmac_key:
                raise ValueError
        except (ValueError, TypeError):
            raise AcmeProblem(
                "the HMAC key of the external account is not base64url", problem_type="externalAccountRequired"
            ) from None
        directory = messages.Directory({"newAccount": self._network.endpoints().new_account})
        return messages.ExternalAccountBinding.from_data(
            self._signer.key.public_key(), self._who.eab_key_id or "", hmac_key, directory
        )

    def _account_url(self) -> str:
        url = self._who.url or self._network.known_account(self._signer.thumbprint) or self.find_account()
        if url is None:
            raise AcmeProblem("no account of the CA has this key", problem_type="accountDoesNotExist")
        return url

    def _post(self, url: str, payload: Mapping[str, Any] | None, accept: str = "application/json") -> Answer:
        try:
            return self._network.post(url, payload, signer=self._signer, account_url=self._account_url(), accept=accept)
        except AcmeProblem as problem:
            if problem.problem_type == "accountDoesNotExist":
                self._network.remember_account(self._signer.thumbprint, None)
            raise

    def _read(self, url: str, accept: str = "application/json") -> Answer:
        return self._post(url, None, accept)

    def _order_urls(self) -> Iterator[str]:
        """Yield the orders of the account, last listed first (RFC 8555 section 7.1.2.1); not every server does."""
        page: str | None = self._read(self._account_url()).document().url_if_any("orders")
        urls: list[str] = []
        seen: set[str] = set()
        while page is not None and page not in seen and len(seen) < _MAX_PAGES:
            seen.add(page)
            answer = self._read(page)
            urls += answer.document().urls("orders")
            page = next(iter(answer.links("next")), None)
        yield from list(dict.fromkeys(reversed(urls)))[:_MAX_ORDERS]

    def _is_recent(self, order: AcmeOrder) -> bool:
        if order.status is not AcmeStatus.VALID:
            return True
        if order.certificate_url is None:
            return False
        leaf = x509.load_pem_x509_certificate(self.certificate(order.certificate_url)[0].leaf.encode())
        return leaf.not_valid_before_utc > self._clock.now() - _RECENT


_TO_URL_ALPHABET: Final = str.maketrans("+/", "-_")
