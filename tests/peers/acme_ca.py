"""A pretended ACME CA as a plain object: a state machine with the test's clock, no network.

``fake_acme.py`` puts HTTP before it, ``tests/factories/orders.py`` the product's port. Sources: RFC 8555, RFC 9773,
draft-ietf-acme-profiles, and the rate limits that Let's Encrypt publishes.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.kernel.clock import Clock
from tests.peers.acme_issuer import AcmeIssuer, IssuedCertificate, b64, names_of, renewal_window

TxtLookup = Callable[[str], Sequence[str]]
"""What the CA sees at a full name, CNAME records followed; raises `DnsDown` if the DNS does not answer."""


class DnsDown(Exception):
    """The DNS did not answer the CA."""


class CaDown(Exception):
    """The CA answers 503."""


class CaRefusal(Exception):
    """The CA answers with a problem document.

    Attributes:
        type: last part of its URN.
        subproblems: identifier, type, detail.
    """

    def __init__(
        self,
        type: str,
        detail: str,
        *,
        status: int = 400,
        retry_after: timedelta | None = None,
        subproblems: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.subproblems = tuple(subproblems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many in so long a time."""

    count: int
    per: timedelta


LETS_ENCRYPT = {
    "new_order": Limit(count=300, per=timedelta(hours=3)),
    "certificate": Limit(count=50, per=timedelta(days=7)),
    "duplicate": Limit(count=5, per=timedelta(days=7)),
    "failed_validation": Limit(count=5, per=timedelta(hours=1)),
}
"""For `AcmeCa.limits`: for each account, registered domain, set of names, and account with name."""


@dataclass(slots=True, kw_only=True)
class CaAccount:
    """An account; ``contact`` as it was registered."""

    id: str
    thumbprint: str
    contact: tuple[str, ...]
    eab_key_id: str | None


@dataclass(slots=True, kw_only=True)
class CaAuthorization:
    """An authorization and its one challenge, dns-01."""

    id: str
    account: CaAccount
    domain: str
    wildcard: bool
    token: str
    expires: datetime
    status: str = "pending"
    answered: int = 0
    validate_at: datetime | None = None
    problem: tuple[str, str] | None = None

    @property
    def challenge_status(self) -> str:
        """Return the status of its challenge."""
        if self.status == "pending":
            return "processing" if self.validate_at else "pending"
        return self.status if self.status in {"valid", "invalid"} else "pending"

    @property
    def txt_value(self) -> str:
        """Return what the TXT record must hold."""
        return b64(hashlib.sha256(f"{self.token}.{self.account.thumbprint}".encode()).digest())


@dataclass(slots=True, kw_only=True)
class CaOrder:
    """An order.

    Attributes:
        placed: how often the account asked for it; more than once if orders are reused.
        finalized: how often it was finalized with success.
    """

    id: str
    account: CaAccount
    names: tuple[str, ...]
    authorizations: tuple[CaAuthorization, ...]
    created: datetime
    expires: datetime
    profile: str | None
    replaces: str | None
    status: str = "pending"
    placed: int = 1
    finalized: int = 0
    problem: tuple[str, str] | None = None
    issue_at: datetime | None = None
    csr: x509.CertificateSigningRequest | None = field(default=None, repr=False)
    certificate: IssuedCertificate | None = field(default=None, repr=False)


class AcmeCa:
    """A CA whose attributes are the knobs of a test; calls are safe from any thread.

    Attributes:
        outage_until: until then every call fails with `CaDown`.
        limits: by the kinds of `LETS_ENCRYPT`; none without. Names that it certified before do not count against
            the limit of their registered domain: that is a renewal.
        renewals_are_free: orders with ``replaces`` count against no limit.
        life: of certificates; ``profile_lives`` for profiles.
        profiles: names on offer, with their descriptions.
        offers_renewal_info: whether there is RFC 9773; ``renewal_windows`` by identifier changes what it says.
        lists_orders: whether accounts list their orders.
        reuses_orders: the same names again give the same pending or ready order, as Boulder does.
        reuses_authorizations: how long a valid authorization proves its name for later orders.
        validation_delay: from answer to verdict.
        processing_delay: from finalizing to certificate.
        eab_keys: key ids and base64url keys; with any, new accounts need one.
        rejected: names that may not be ordered; failing: names and the problem that their validation ends with.
        refusals: every rate limit that was run into: kind, subject, time.
        orders: every order ever placed; certificates: every one issued.
    """

    def __init__(self, clock: Clock, lookup: TxtLookup) -> None:
        self.clock = clock
        self.lookup = lookup
        self.issuer = AcmeIssuer(clock.now())
        self.outage_until: datetime | None = None
        self.limits: dict[str, Limit] = {}
        self.renewals_are_free = True
        self.life = timedelta(days=90)
        self.profiles: dict[str, str] = {}
        self.profile_lives: dict[str, timedelta] = {}
        self.offers_renewal_info = True
        self.renewal_windows: dict[str, tuple[datetime, datetime]] = {}
        self.renewal_retry_after = timedelta(hours=6)
        self.lists_orders = True
        self.reuses_orders = False
        self.reuses_authorizations = timedelta()
        self.order_life = timedelta(days=7)
        self.validation_delay = timedelta()
        self.processing_delay = timedelta()
        self.eab_keys: dict[str, str] = {}
        self.rejected: set[str] = set()
        self.failing: dict[str, str] = {}
        self.refusals: list[tuple[str, str, datetime]] = []
        self.accounts: dict[str, CaAccount] = {}
        self.orders: list[CaOrder] = []
        self.certificates: dict[str, IssuedCertificate] = {}
        self.replaced: dict[str, str] = {}
        self._orders: dict[str, CaOrder] = {}
        self._orders_of: dict[str, list[CaOrder]] = defaultdict(list)
        self._authorizations: dict[str, CaAuthorization] = {}
        self._proved: dict[tuple[str, str, bool], CaAuthorization] = {}
        self._by_ari: dict[str, IssuedCertificate] = {}
        self._known_names: set[frozenset[str]] = set()
        self._uses: dict[tuple[str, str], deque[datetime]] = defaultdict(deque)
        self._lock = threading.RLock()

    def check_up(self) -> None:
        """Raise `CaDown` during an outage."""
        if self.outage_until is not None and self.clock.now() < self.outage_until:
            raise CaDown

    def register(
        self,
        thumbprint: str,
        *,
        contact: Sequence[str] = (),
        only_existing: bool = False,
        eab_key_id: str | None = None,
    ) -> tuple[CaAccount, bool]:
        """Return the account of a key, and whether it was just made."""
        with self._lock:
            self.check_up()
            if (known := self.accounts.get(thumbprint)) is not None:
                return known, False
            if only_existing:
                raise CaRefusal("accountDoesNotExist", "no account has this key")
            if self.eab_keys and eab_key_id not in self.eab_keys:
                raise CaRefusal("externalAccountRequired", "this CA needs an external account", status=403)
            account = CaAccount(id=_new_id(), thumbprint=thumbprint, contact=tuple(contact), eab_key_id=eab_key_id)
            self.accounts[thumbprint] = account
            return account, True

    def account(self, account_id: str) -> CaAccount:
        """Return an account by its id."""
        with self._lock:
            for account in self.accounts.values():
                if account.id == account_id:
                    return account
        raise CaRefusal("accountDoesNotExist", "no such account")

    def new_order(
        self, account: CaAccount, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None
    ) -> CaOrder:
        """Place an order, or return the pending one of the same names where orders are reused."""
        with self._lock:
            self.check_up()
            wanted = tuple(dict.fromkeys(name.lower() for name in names))
            self._check_names(wanted)
            if profile is not None and profile not in self.profiles:
                raise CaRefusal("invalidProfile", f'there is no profile "{profile}"')
            if replaces is not None:
                self._check_replaces(replaces, wanted)
            if self.reuses_orders and (known := self._pending(account, wanted, profile)) is not None:
                known.placed += 1
                return known
            self._count_order(account, wanted, is_renewal=replaces is not None)
            now = self.clock.now()
            order = CaOrder(
                id=_new_id(),
                account=account,
                names=wanted,
                authorizations=tuple(self._authorize(account, name) for name in wanted),
                created=now,
                expires=now + self.order_life,
                profile=profile,
                replaces=replaces,
            )
            if replaces is not None:
                self.replaced[replaces] = order.id
            self.orders.append(order)
            self._orders[order.id] = order
            self._orders_of[account.id].append(order)
            self._advance(order)
            return order

    def order(self, account: CaAccount, order_id: str) -> CaOrder:
        """Return an order as it stands now."""
        with self._lock:
            self.check_up()
            order = self._orders.get(order_id)
            if order is None or order.account is not account:
                raise CaRefusal("malformed", "no such order", status=404)
            self._advance(order)
            return order

    def orders_of(self, account: CaAccount) -> list[CaOrder]:
        """Return the orders of an account that have not ended badly."""
        with self._lock:
            self.check_up()
            for order in self._orders_of[account.id]:
                self._advance(order)
            return [order for order in self._orders_of[account.id] if order.status != "invalid"]

    def authorization(self, account: CaAccount, authorization_id: str) -> CaAuthorization:
        """Return an authorization as it stands now."""
        with self._lock:
            self.check_up()
            found = self._authorizations.get(authorization_id)
            if found is None or found.account is not account:
                raise CaRefusal("malformed", "no such authorization", status=404)
            self._validate(found)
            return found

    def answer(self, account: CaAccount, authorization_id: str) -> CaAuthorization:
        """Start the validation; a second answer changes nothing."""
        with self._lock:
            found = self.authorization(account, authorization_id)
            if found.status == "pending" and found.validate_at is None:
                found.answered += 1
                found.validate_at = self.clock.now() + self.validation_delay
                self._validate(found)
            return found

    def deactivate(self, account: CaAccount, authorization_id: str) -> CaAuthorization:
        """Give an authorization up."""
        with self._lock:
            found = self.authorization(account, authorization_id)
            if found.status in {"pending", "valid"}:
                found.status = "deactivated"
            return found

    def finalize(self, account: CaAccount, order_id: str, csr_der: bytes) -> CaOrder:
        """Take the signing request of a ready order."""
        with self._lock:
            order = self.order(account, order_id)
            if order.status != "ready":
                raise CaRefusal("orderNotReady", f"the order is {order.status}", status=403)
            csr = self._read_csr(csr_der, order)
            for domain in {_registered(name) for name in order.names}:
                if not self._is_free(order) and frozenset(order.names) not in self._known_names:
                    self._check_limit("certificate", domain, uses=True)
            self._known_names.add(frozenset(order.names))
            if not self._is_free(order):
                self._check_limit("duplicate", " ".join(sorted(order.names)), uses=True)
            order.csr = csr
            order.finalized += 1
            order.status = "processing"
            order.issue_at = self.clock.now() + self.processing_delay
            self._advance(order)
            return order

    def certificate(self, account: CaAccount, certificate_id: str) -> IssuedCertificate:
        """Return a certificate that was issued."""
        with self._lock:
            self.check_up()
            if (found := self.certificates.get(certificate_id)) is None:
                raise CaRefusal("malformed", "no such certificate", status=404)
            return found

    def renewal_window(self, identifier: str) -> tuple[datetime, datetime]:
        """Return when a certificate should be renewed."""
        with self._lock:
            self.check_up()
            found = self._by_ari.get(identifier)
            if found is None:
                raise CaRefusal("malformed", "no such certificate", status=404)
            return self.renewal_windows.get(identifier) or renewal_window(found)

    def _check_names(self, names: Sequence[str]) -> None:
        bad = [name for name in names if name in self.rejected or name.removeprefix("*.") in self.rejected]
        if len(bad) == 1:
            raise CaRefusal("rejectedIdentifier", f"policy forbids {bad[0]}")
        if bad:
            subproblems = [(name, "rejectedIdentifier", f"policy forbids {name}") for name in bad]
            raise CaRefusal("rejectedIdentifier", "some names are refused", subproblems=subproblems)
        if not 0 < len(names) <= 100:
            raise CaRefusal("malformed", "an order has 1 to 100 names")

    def _check_replaces(self, replaces: str, names: Sequence[str]) -> None:
        known = self._by_ari.get(replaces)
        if known is None or not set(known.names) & set(names):
            raise CaRefusal("malformed", "replaces names no certificate with a name of this order", status=404)
        other = self._orders.get(self.replaced.get(replaces, ""))
        if other is not None and other.status != "invalid":
            raise CaRefusal("alreadyReplaced", "that certificate is being replaced already", status=409)

    def _pending(self, account: CaAccount, names: Sequence[str], profile: str | None) -> CaOrder | None:
        for order in reversed(self._orders_of[account.id]):
            self._advance(order)
            if order.status in {"pending", "ready"} and set(order.names) == set(names) and order.profile == profile:
                return order
        return None

    def _authorize(self, account: CaAccount, name: str) -> CaAuthorization:
        domain, wildcard = name.removeprefix("*."), name.startswith("*.")
        now = self.clock.now()
        proved = self._proved.get((account.id, domain, wildcard))
        if proved is not None and proved.status == "valid" and proved.expires > now and self.reuses_authorizations:
            return proved
        made = CaAuthorization(
            id=_new_id(),
            account=account,
            domain=domain,
            wildcard=wildcard,
            token=secrets.token_urlsafe(32),
            expires=now + self.order_life,
        )
        self._authorizations[made.id] = made
        return made

    def _validate(self, authorization: CaAuthorization) -> None:
        now = self.clock.now()
        if authorization.status in {"pending", "valid"} and authorization.expires <= now:
            authorization.status = "expired"
        if authorization.status != "pending" or authorization.validate_at is None or authorization.validate_at > now:
            return
        authorization.problem = self._fault(authorization)
        if authorization.problem is not None:
            authorization.status = "invalid"
            self._use("failed_validation", f"{authorization.account.id} {authorization.domain}")
            return
        authorization.status = "valid"
        if self.reuses_authorizations:
            authorization.expires = now + self.reuses_authorizations
        key = (authorization.account.id, authorization.domain, authorization.wildcard)
        self._proved[key] = authorization

    def _fault(self, authorization: CaAuthorization) -> tuple[str, str] | None:
        domain = authorization.domain
        if (problem := self.failing.get(domain)) is not None:
            return problem, f"{domain}: the validation ended with {problem}"
        place = f"_acme-challenge.{domain}"
        try:
            found = self.lookup(place)
        except DnsDown:
            return "dns", f"DNS problem: SERVFAIL looking up TXT for {place}"
        if authorization.txt_value in found:
            return None
        if not found:
            return "unauthorized", f"No TXT record found at {place}"
        return "unauthorized", f'Incorrect TXT record "{found[0]}" found at {place}'

    def _advance(self, order: CaOrder) -> None:
        now = self.clock.now()
        if order.status in {"pending", "ready"}:
            for authorization in order.authorizations:
                self._validate(authorization)
            failed = next((item for item in order.authorizations if item.status not in {"pending", "valid"}), None)
            if order.expires <= now:
                order.status, order.problem = "invalid", ("malformed", "the order has lapsed")
            elif failed is not None:
                order.status = "invalid"
                order.problem = failed.problem or ("unauthorized", f"{failed.domain} is not authorized")
            elif all(item.status == "valid" for item in order.authorizations):
                order.status = "ready"
        if order.status == "processing" and order.issue_at is not None and order.issue_at <= now:
            assert order.csr is not None
            life = self.profile_lives.get(order.profile or "", self.life)
            order.certificate = self.issuer.sign(order.csr, order.names, now, life)
            order.status = "valid"
            self.certificates[order.certificate.id] = order.certificate
            self._by_ari[order.certificate.ari_id] = order.certificate

    def _read_csr(self, csr_der: bytes, order: CaOrder) -> x509.CertificateSigningRequest:
        try:
            csr = x509.load_der_x509_csr(csr_der)
            is_signed = csr.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as problem:
            raise CaRefusal("badCSR", "the CSR cannot be read") from problem
        if not is_signed:
            raise CaRefusal("badCSR", "the signature of the CSR is wrong")
        if names_of(csr) != set(order.names):
            raise CaRefusal("badCSR", "the CSR has other names than the order")
        key = csr.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
            raise CaRefusal("badCSR", "the key is too small")
        if thumbprint(key) == order.account.thumbprint:
            raise CaRefusal("badCSR", "the key is the account's")
        return csr

    def _is_free(self, order: CaOrder) -> bool:
        return order.replaces is not None and self.renewals_are_free

    def _count_order(self, account: CaAccount, names: Sequence[str], *, is_renewal: bool) -> None:
        if is_renewal and self.renewals_are_free:
            return
        if frozenset(names) not in self._known_names:
            for domain in {_registered(name) for name in names}:
                self._check_limit("certificate", domain, uses=False)
        self._check_limit("duplicate", " ".join(sorted(names)), uses=False)
        for name in names:
            self._check_limit("failed_validation", f"{account.id} {name.removeprefix('*.')}", uses=False)
        self._check_limit("new_order", account.id, uses=True)

    def _check_limit(self, kind: str, subject: str, *, uses: bool) -> None:
        limit = self.limits.get(kind)
        if limit is not None:
            now = self.clock.now()
            recent = self._uses[kind, subject]
            while recent and recent[0] <= now - limit.per:
                recent.popleft()
            if len(recent) >= limit.count:
                self.refusals.append((kind, subject, now))
                wait = recent[len(recent) - limit.count] + limit.per - now
                raise CaRefusal("rateLimited", f"too many: {kind} {subject}", status=429, retry_after=wait)
        if uses:
            self._use(kind, subject)

    def _use(self, kind: str, subject: str) -> None:
        self._uses[kind, subject].append(self.clock.now())

    def use_count(self, kind: str, subject: str) -> int:
        """Return how often something was used that a limit of that kind would count."""
        return len(self._uses[kind, subject])


def thumbprint(key: object) -> str:
    """Return the thumbprint of a public key, worked out apart from the product. Source: RFC 7638.

    Raises:
        TypeError: no such key can have an account.
    """
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        members: Mapping[str, str] = {"e": _uint(numbers.e), "kty": "RSA", "n": _uint(numbers.n)}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(key.curve.name, key.curve.name)
        half = len(point) // 2
        members = {"crv": curve, "kty": "EC", "x": b64(point[:half]), "y": b64(point[half:])}
    else:
        message = f"no account can have a key of type {type(key).__name__}"
        raise TypeError(message)
    text = ",".join(f'"{name}":"{value}"' for name, value in members.items())
    return b64(hashlib.sha256(f"{{{text}}}".encode()).digest())


def _uint(number: int) -> str:
    return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _registered(name: str) -> str:
    """Return the registered domain, for the names that tests use: their last two labels."""
    return ".".join(name.split(".")[-2:])


def _new_id() -> str:
    return secrets.token_hex(8)
