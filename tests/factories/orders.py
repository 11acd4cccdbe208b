"""A CA and a DNS in the test's process, behind the product's ports, with the test's clock.

`FakeAcme` is the port over the pretended CA of ``tests/peers/acme_ca.py``; that CA looks into `FakeDns`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.domain.configurations.model import ConfigType
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
from strongroom.domain.orders.dns import (
    DnsProblem,
    DnsRefusal,
    PropagationTiming,
    ServerReport,
    TxtRecord,
)
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from tests.peers.acme_ca import AcmeCa, CaAccount, CaAuthorization, CaDown, CaOrder, CaRefusal, DnsDown, thumbprint
from tests.peers.acme_issuer import ari_id

Hook = Callable[[str, str], None]
"""Called as ``hook("before", "new_order")`` and ``hook("after", "new_order")``; what it raises, the call raises."""

DIRECTORY = "https://acme.example.com/directory"


class Hooks:
    """What a test wants to happen around calls; ``calls`` counts those that were begun."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.calls: dict[str, int] = defaultdict(int)

    @contextmanager
    def around(self, call: str) -> Iterator[None]:
        """Call the hooks before and after; not after a call that failed."""
        self.calls[call] += 1
        for hook in self.hooks:
            hook("before", call)
        yield
        for hook in self.hooks:
            hook("after", call)


class FakeAcme(Hooks):
    """The port `Acme`: CAs by the addresses of their directories.

    An address that nobody has cannot be reached.
    """

    def __init__(self, cas: Mapping[str, AcmeCa]) -> None:
        super().__init__()
        self.cas = dict(cas)
        self._thumbprints: dict[str, str] = {}

    def session(self, account: AcmeAccount) -> FakeAcmeSession:
        return FakeAcmeSession(self, account)

    def new_account_key(self) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def check_account_key(self, pem: str) -> str:
        try:
            load_pem_private_key(pem.encode(), password=None)
        except ValueError:
            raise Invalid(ErrorCode.KEY_UNREADABLE, "the account's key cannot be read as PEM") from None
        return pem

    def thumbprint(self, pem: str) -> str:
        """Return the thumbprint of a private key; reading keys is slow, so each is read once."""
        if pem not in self._thumbprints:
            self._thumbprints[pem] = thumbprint(load_pem_private_key(pem.encode(), password=None).public_key())
        return self._thumbprints[pem]


class FakeAcmeSession:
    """The port `AcmeSession` over a pretended CA."""

    def __init__(self, acme: FakeAcme, account: AcmeAccount) -> None:
        self._acme = acme
        self._who = account
        self._base = account.directory_url.rsplit("/", 1)[0]

    def directory(self) -> AcmeDirectory:
        with self._call("directory") as ca:
            ca.check_up()
            return AcmeDirectory(
                profiles=tuple(ca.profiles),
                has_renewal_info=ca.offers_renewal_info,
                needs_external_account=bool(ca.eab_keys),
            )

    def find_account(self) -> str | None:
        with self._call("find_account") as ca:
            try:
                account, _ = ca.register(self._thumbprint, only_existing=True)
            except CaRefusal as refusal:
                if refusal.type == "accountDoesNotExist":
                    return None
                raise
            return self._url("account", account.id)

    def register(self) -> str:
        with self._call("register") as ca:
            key_id = self._who.eab_key_id
            if key_id is not None and ca.eab_keys.get(key_id) != self._who.eab_hmac_key:
                raise CaRefusal("unauthorized", "the external account is not known", status=403)
            account, _ = ca.register(self._thumbprint, contact=self._who.contact, eab_key_id=key_id)
            return self._url("account", account.id)

    def new_order(self, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None) -> AcmeOrder:
        with self._call("new_order") as ca:
            account = self._account(ca)
            offered = profile if profile in ca.profiles else None
            try:
                known = replaces if ca.offers_renewal_info else None
                return self._order(ca.new_order(account, names, profile=offered, replaces=known))
            except CaRefusal as refusal:
                if refusal.type != "alreadyReplaced":
                    raise
            return self._order(ca.new_order(account, names, profile=offered))

    def find_order(self, names: Sequence[str]) -> AcmeOrder | None:
        with self._call("find_order") as ca:
            if not ca.lists_orders:
                return None
            wanted = {name.lower() for name in names}
            recent = ca.clock.now() - timedelta(hours=1)
            found = [
                order
                for order in reversed(ca.orders_of(self._account(ca)))
                if set(order.names) == wanted
                and (order.certificate is None or order.certificate.certificate.not_valid_before_utc > recent)
            ]
            waiting = [order for order in found if order.status in {"pending", "ready"}]
            chosen = waiting or sorted(found, key=lambda order: order.status)
            return self._order(chosen[0]) if chosen else None

    def order(self, url: str) -> AcmeOrder:
        with self._call("order") as ca:
            return self._order(ca.order(self._account(ca), _id(url)))

    def authorization(self, url: str) -> AcmeAuthorization:
        with self._call("authorization") as ca:
            return self._authorization(ca.authorization(self._account(ca), _id(url)))

    def answer(self, challenge_url: str) -> None:
        with self._call("answer") as ca:
            ca.answer(self._account(ca), _id(challenge_url))

    def finalize(self, order: AcmeOrder, csr_der: bytes) -> AcmeOrder:
        with self._call("finalize") as ca:
            account = self._account(ca)
            known = ca.order(account, _id(order.url))
            if known.status in {"processing", "valid"}:
                return self._order(known)
            return self._order(ca.finalize(account, known.id, csr_der))

    def certificate(self, url: str) -> Sequence[AcmeChain]:
        with self._call("certificate") as ca:
            issued = ca.certificate(self._account(ca), _id(url))
            return [chain_of(text) for text in issued.chains]

    def deactivate(self, authorization_url: str) -> None:
        with self._call("deactivate") as ca:
            ca.deactivate(self._account(ca), _id(authorization_url))

    def renewal_window(self, certificate_pem: str) -> RenewalWindow | None:
        with self._call("renewal_window") as ca:
            ca.check_up()
            if not ca.offers_renewal_info:
                return None
            leaf = x509.load_pem_x509_certificate(certificate_pem.encode())
            start, end = ca.renewal_window(ari_id(leaf))
            return RenewalWindow(start=start, end=end, explanation_url=None, check_again=ca.renewal_retry_after)

    @property
    def _thumbprint(self) -> str:
        return self._acme.thumbprint(self._who.private_key)

    @contextmanager
    def _call(self, name: str) -> Iterator[AcmeCa]:
        with self._acme.around(name):
            ca = self._acme.cas.get(self._who.directory_url)
            if ca is None:
                raise Unavailable(ErrorCode.UNAVAILABLE, "the ACME server cannot be reached")
            try:
                yield ca
            except CaDown:
                raise Unavailable(ErrorCode.UNAVAILABLE, "the ACME server answers 503") from None
            except CaRefusal as refusal:
                lines = [refusal.detail, *(f"{name}: {detail}" for name, _, detail in refusal.subproblems)]
                raise AcmeProblem(
                    "; ".join(lines),
                    problem_type=refusal.type,
                    identifiers=[name for name, _, _ in refusal.subproblems],
                    status=refusal.status,
                    retry_after=refusal.retry_after,
                ) from None

    def _account(self, ca: AcmeCa) -> CaAccount:
        return ca.register(self._thumbprint, only_existing=True)[0]

    def _url(self, kind: str, id: str) -> str:
        return f"{self._base}/{kind}/{id}"

    def _order(self, order: CaOrder) -> AcmeOrder:
        problem_type, problem = order.problem or (None, None)
        return AcmeOrder(
            url=self._url("order", order.id),
            status=AcmeStatus(order.status),
            identifiers=order.names,
            authorizations=tuple(self._url("authorization", item.id) for item in order.authorizations),
            finalize_url=self._url("finalize", order.id),
            certificate_url=self._url("certificate", order.certificate.id) if order.certificate else None,
            expires=order.expires,
            problem_type=problem_type,
            problem=problem,
        )

    def _authorization(self, authorization: CaAuthorization) -> AcmeAuthorization:
        problem_type, problem = authorization.problem or (None, None)
        return AcmeAuthorization(
            url=self._url("authorization", authorization.id),
            domain=authorization.domain,
            is_wildcard=authorization.wildcard,
            status=AcmeStatus(authorization.status),
            challenge_url=self._url("challenge", authorization.id),
            challenge_status=AcmeStatus(authorization.challenge_status),
            txt_value=authorization.txt_value,
            expires=authorization.expires,
            problem_type=problem_type,
            problem=problem,
        )


class FakeDns(Hooks):
    """Zones as a dict; what is written becomes visible after ``lag``.

    Attributes:
        zones: that the provider can write.
        records: by name and value, when each was written.
        cnames: from name to name.
        outage_until: until then the provider's API does not answer.
        silent_until: until then the authoritative servers do not answer, neither us nor the CA.
        refusal: what the provider refuses every write with.
        presented: every record ever written; removed: every one ever removed.
    """

    def __init__(self, clock: Clock, zones: Sequence[str] = ("example.com", "example.org")) -> None:
        super().__init__()
        self.clock = clock
        self.zones = tuple(zones)
        self.records: dict[str, dict[str, datetime]] = defaultdict(dict)
        self.cnames: dict[str, str] = {}
        self.lag = timedelta()
        self.outage_until: datetime | None = None
        self.silent_until: datetime | None = None
        self.refusal: DnsRefusal | None = None
        self.presented: list[TxtRecord] = []
        self.removed: list[TxtRecord] = []
        self.timing = PropagationTiming(limit=timedelta(minutes=10), poll=timedelta(seconds=10))
        self.servers: Mapping[str, int] = {}
        self.serial = 1
        self._lock = threading.RLock()

    @property
    def left(self) -> list[TxtRecord]:
        """Return every record that stands in a zone."""
        with self._lock:
            return [TxtRecord(name=name, value=value) for name, values in self.records.items() for value in values]

    def publish(self, name: str, *values: str) -> None:
        """Write records by hand, seen at once."""
        with self._lock:
            self.records[name].update(dict.fromkeys(values, self.clock.now() - self.lag))

    def seen(self, name: str) -> list[str]:
        """Return the values that the world sees at a name, for the CA.

        Raises:
            DnsDown: the servers are silent.
        """
        if self.silent_until is not None and self.clock.now() < self.silent_until:
            raise DnsDown
        with self._lock:
            found = self.records.get(self._follow(name), {})
            return [value for value, at in found.items() if at + self.lag <= self.clock.now()]

    def provider(self) -> FakeDnsProvider:
        """Return a provider that writes here."""
        return FakeDnsProvider(self)

    def propagation(self) -> FakePropagation:
        """Return what looks at this DNS."""
        return FakePropagation(self)

    def _follow(self, name: str) -> str:
        for _ in range(16):
            if name not in self.cnames:
                return name
            name = self.cnames[name]
        raise DnsProblem(f"{name} is an alias of itself", refusal=DnsRefusal.ERROR, step="target")

    def _check(self, record: TxtRecord, step: str) -> None:
        self._check_up()
        if self.refusal is not None:
            raise DnsProblem(f"the provider refuses: {self.refusal}", refusal=self.refusal, step=step)
        if not any(record.name == zone or record.name.endswith(f".{zone}") for zone in self.zones):
            raise DnsProblem(f"no zone holds {record.name}", refusal=DnsRefusal.NO_ZONE, step=step)

    def _check_up(self) -> None:
        if self.outage_until is not None and self.clock.now() < self.outage_until:
            raise Unavailable(ErrorCode.UNAVAILABLE, "the DNS provider cannot be reached")


class FakeDnsProvider:
    """The port `DnsProvider`; handles are the words ``id-<value>``."""

    def __init__(self, dns: FakeDns) -> None:
        self._dns = dns

    @property
    def timing(self) -> PropagationTiming:
        return self._dns.timing

    @property
    def servers(self) -> Mapping[str, int]:
        return self._dns.servers

    def zones(self) -> Sequence[str]:
        with self._dns.around("zones"):
            self._dns._check_up()
            return sorted(self._dns.zones)

    def present(self, record: TxtRecord) -> str | None:
        with self._dns.around("present"), self._dns._lock:
            self._dns._check(record, "present")
            if record.value not in self._dns.records[record.name]:
                self._dns.records[record.name][record.value] = self._dns.clock.now()
                self._dns.presented.append(record)
                self._dns.serial += 1
            return f"id-{record.value}"

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        with self._dns.around("cleanup"), self._dns._lock:
            self._dns._check(record, "cleanup")
            if self._dns.records[record.name].pop(record.value, None) is not None:
                self._dns.removed.append(record)
                self._dns.serial += 1
            if not self._dns.records[record.name]:
                del self._dns.records[record.name]


class FakeDnsProviders:
    """The port `DnsProviders`: configurations of every type write to the same fake."""

    def __init__(self, dns: FakeDns, config_types: Sequence[ConfigType]) -> None:
        self._dns = dns
        self._types = frozenset(config_types)

    @property
    def config_types(self) -> frozenset[ConfigType]:
        return self._types

    def check(self, config_type: ConfigType, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(values)

    def secret_members(self, config_type: ConfigType) -> frozenset[str]:
        return frozenset()

    def provider(self, config_type: ConfigType, values: Mapping[str, Any]) -> FakeDnsProvider:
        return self._dns.provider()


class FakePropagation:
    """The port `Propagation`: two servers that see the same."""

    def __init__(self, dns: FakeDns) -> None:
        self._dns = dns

    def target(self, name: str) -> str:
        with self._dns.around("target"):
            self._check_silent()
            return self._dns._follow(name)

    def look(self, name: str, values: Sequence[str], servers: Mapping[str, int]) -> Sequence[ServerReport]:
        with self._dns.around("look"):
            self._check_silent()
            found = self._dns.seen(name)
            return [
                ServerReport(
                    name=f"ns{number}.example.net",
                    address=f"192.0.2.{number}",
                    seen=set(values) <= set(found),
                    soa_serial=self._dns.serial,
                    checked_at=self._dns.clock.now(),
                    found=() if set(values) <= set(found) else tuple(found)[:3],
                )
                for number in (1, 2)
            ]

    def _check_silent(self) -> None:
        if self._dns.silent_until is not None and self._dns.clock.now() < self._dns.silent_until:
            raise Unavailable(ErrorCode.UNAVAILABLE, "no authoritative server answers")


def make_ca(clock: Clock, dns: FakeDns) -> AcmeCa:
    """Return a CA that looks into a fake DNS."""
    return AcmeCa(clock, dns.seen)


def chain_of(pem: str) -> AcmeChain:
    """Return a chain as the port gives it, from PEM, leaf first."""
    blocks = x509.load_pem_x509_certificates(pem.encode())
    texts = [block.public_bytes(Encoding.PEM).decode() for block in blocks]
    names = [block.issuer.rdns[-1].rfc4514_string().removeprefix("CN=") for block in blocks]
    return AcmeChain(leaf=texts[0], intermediates=tuple(texts[1:]), issuer_names=tuple(names))


def _id(url: str) -> str:
    return url.rsplit("/", 1)[1]
