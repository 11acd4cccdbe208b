"""The world of the simulated year: CAs, their bad days, the DNS, and the moments at which servers die.

What is random comes from one seed.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.time import from_microseconds
from tests.factories.orders import FakeAcme, FakeDns, FakeDnsProviders
from tests.peers.acme_ca import LETS_ENCRYPT, AcmeCa, CaAccount, CaOrder, CaRefusal, Limit
from tests.peers.in_process import START_OF_TESTS, InProcess, in_process
from tests.peers.sinks import WebhookSink, running_webhook_sink

DAY = timedelta(days=1)
LOOK_EVERY = timedelta(minutes=1)
"""How often the server looks for due work."""
_COARSE = timedelta(seconds=10)
"""What is due within so short a time is done at once: fewer turns, the same work."""
_DOWN_FOR = timedelta(minutes=2)
"""Longer than the lease of a job."""
_HELD_AT_MOST = timedelta(hours=3)
"""A refusal counts for the whole account for so long at most."""

SHOPS = tuple(f"shop{number}.example" for number in range(25))
CROWDED = "crowded.example"
"""A registered domain with more certificates than a CA issues in a week."""

CAS = {
    "web-ca": timedelta(days=90),
    "plain-ca": timedelta(days=45),
    "short-ca": timedelta(days=6),
    "spare-ca": timedelta(days=6),
    "long-ca": timedelta(days=100),
}
"""How long what they issue lives. The first is of Let's Encrypt's type, the third falls back on the fourth."""


class Killed(BaseException):
    """The process is gone."""


class WatchedCa(AcmeCa):
    """A CA that notes who comes back too soon.

    Attributes:
        too_soon: orders that came although the CA had asked to be left alone.
        fullest: the most that was ever used of a limit, by its kind.
    """

    def __init__(self, clock: FrozenClock, dns: FakeDns) -> None:
        super().__init__(clock, dns.seen)
        self.too_soon: list[str] = []
        self.fullest: Counter[str] = Counter()
        self._quiet_until = clock.now()

    def new_order(
        self, account: CaAccount, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None
    ) -> CaOrder:
        now = self.clock.now()
        self.check_up()
        if now < self._quiet_until:
            self.too_soon.append(f"{names[0]} at {now}, not before {self._quiet_until}")
        try:
            return super().new_order(account, names, profile=profile, replaces=replaces)
        except CaRefusal as refusal:
            if refusal.type == "rateLimited" and refusal.retry_after is not None:
                self._quiet_until = now + min(refusal.retry_after, _HELD_AT_MOST)
            raise

    def _use(self, kind: str, subject: str) -> None:
        super()._use(kind, subject)
        if (limit := self.limits.get(kind)) is not None:
            since = self.clock.now() - limit.per
            self.fullest[kind] = max(self.fullest[kind], sum(at > since for at in self._uses[kind, subject]))


@dataclass
class Chance:
    """Lets every call to a peer take its time, and kills the server at one of them, once armed."""

    random: random.Random
    clock: FrozenClock
    left: int | None = None
    when: str = ""

    def arm(self) -> None:
        """Kill within the next calls."""
        self.left = self.random.randrange(1, 40)
        self.when = self.random.choice(["before", "after"])

    def __call__(self, when: str, call: str) -> None:
        self.clock.advance(timedelta(milliseconds=self.random.randrange(10, 500)))
        if self.left is None or when != self.when:
            return
        self.left -= 1
        if self.left == 0:
            self.left = None
            raise Killed


@dataclass
class World:
    """The server with what it talks to.

    Attributes:
        restarts: how often it was put together anew on what the last one left.
        killed: how often of these a call was cut off.
    """

    server: InProcess
    start: Callable[[], InProcess]
    clock: FrozenClock
    dns: FakeDns
    acme: FakeAcme
    cas: dict[str, WatchedCa]
    chance: Chance
    receiver: WebhookSink
    connection: sqlite3.Connection
    restarts: int = 0
    killed: int = 0
    steps: int = 0
    turns: int = 0
    _look_at: datetime = field(default=START_OF_TESTS)
    _purge_at: datetime = field(default=START_OF_TESTS)

    def configure(self) -> None:
        """Make the CAs, the DNS, and where notices go."""
        for name in reversed(CAS):
            body: dict[str, Any] = {"name": name, "config_type": "public_cert_configuration_ca_acme"}
            if name == "web-ca":
                body |= {
                    "config_type": "public_cert_configuration_ca_lets_encrypt",
                    "lets_encrypt_environment": "production",
                }
            else:
                body["acme_directory_url"] = _directory(name)
            if name == "short-ca":
                body["ca_fallback"] = "spare-ca"
            self.ask("POST", "/api/v2/configurations", body, 201)
        self.ask(
            "POST",
            "/api/v2/configurations",
            {
                "config_type": "public_cert_configuration_dns_rfc2136",
                "name": "my-dns",
                "rfc2136_server": "192.0.2.53",
                "rfc2136_tsig_key_name": "key.example.com",
                "rfc2136_tsig_secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
            },
            201,
        )
        self.ask(
            "POST",
            "/api/v2/notifications/destinations",
            {
                "name": "people",
                "type": "webhook",
                "url": self.receiver.url,
                "filters": {"event_types": ["secret_about_to_expire"]},
            },
            201,
        )

    def ask(self, method: str, path: str, body: Any, *allowed: int) -> Any:
        """Send a request; return its answer."""
        answer = self.server.request(method, path, body)
        assert answer.status in allowed, answer.raw
        return answer

    def work(self) -> None:
        """Let the server do what is due at this instant; it may die of it."""
        now = self.clock.now()
        self.turns += 1
        try:
            if now >= self._look_at:
                self._look_at = now + LOOK_EVERY
                self.server.container.worker.look_for_work()
            if now >= self._purge_at:
                self._purge_at = now + timedelta(hours=6)
                self.server.container.worker._timers[-1].task.run()
            while done := self.server.container.worker.run_pending():
                self.steps += done
        except Killed:
            self.killed += 1
            self.come_back()

    def come_back(self) -> None:
        """Start the server anew on what the last one left, once its leases have run out."""
        self.restarts += 1
        self.clock.advance(_DOWN_FOR)
        self.server = self.start()
        self._look_at = self.clock.now()

    def next_event(self) -> datetime:
        """Return when there is something to do next, by what the store says."""
        now = self.clock.now()
        (job_at,) = self.connection.execute(_NEXT_JOB).fetchone()
        due = [row[0] for row in self.connection.execute(_NEXT_DUE).fetchall() if row[0] is not None]
        times = [max(from_microseconds(min(due)), self._look_at)] if due else []
        if job_at is not None:
            times.append(from_microseconds(job_at))
        return max(min(times, default=now + DAY), now + _COARSE)

    def move_to(self, at: datetime) -> None:
        """Jump; tokens do not live that long."""
        self.clock.advance(at - self.clock.now())
        self.server.forget_tokens()

    def earliest_end(self) -> datetime | None:
        """Return when the first certificate ends of those that are in use."""
        (end,) = self.connection.execute(
            "SELECT min(expires_at) FROM secrets WHERE expires_at IS NOT NULL AND state = 1"
        ).fetchone()
        return None if end is None else from_microseconds(end)


_NEXT_JOB = """
SELECT min(CASE WHEN lease_until > run_at THEN lease_until ELSE run_at END) FROM jobs INDEXED BY ix_jobs_due
WHERE state IN ('queued', 'running', 'waiting')
"""
_NEXT_DUE = """
SELECT min(next_rotation_at) FROM secrets WHERE next_rotation_at IS NOT NULL AND state IN (1, 5)
UNION ALL SELECT min(notice_at) FROM secrets WHERE notice_at IS NOT NULL
UNION ALL SELECT min(expires_at) FROM secrets WHERE expires_at IS NOT NULL AND state = 1
UNION ALL SELECT min(check_at) FROM renewal_checks
"""


@dataclass(frozen=True, slots=True, order=True)
class Weather:
    """Something that happens to the world at an instant."""

    at: datetime
    what: str
    lasts: timedelta


def forecast(chance: random.Random, start: datetime, days: int) -> list[Weather]:
    """Plan what goes wrong.

    Every CA that people depend on alone is away for three days, again and again; those that issue for six days, and
    renew when half of them are over, need a second one for that, which then has its own, shorter trouble.
    """
    planned: list[Weather] = []

    def every(apart: tuple[float, float], what: str, shortest: timedelta, longest: timedelta) -> None:
        day = chance.uniform(apart[0] / 3, apart[0])
        while day < days - 4:
            lasts = shortest + (longest - shortest) * chance.random()
            planned.append(Weather(at=start + day * DAY, what=what, lasts=lasts))
            day += lasts / DAY + chance.uniform(*apart)

    every((25, 50), "web-ca", 3 * DAY, 3 * DAY)
    every((20, 40), "plain-ca", 3 * DAY, 3 * DAY)
    every((12, 20), "short-ca", 3 * DAY, 3 * DAY)
    every((10, 20), "provider", timedelta(hours=1), timedelta(hours=8))
    every((10, 20), "name servers", timedelta(hours=1), timedelta(hours=6))
    every((15, 25), "lag", timedelta(hours=1), timedelta(days=2))
    every((20, 40), "no renewal information", timedelta(days=5), timedelta(days=15))
    every((5, 10), "a name fails", timedelta(hours=2), timedelta(hours=30))
    every((4, 8), "receiver", timedelta(), timedelta())
    every((4, 7), "kill", timedelta(), timedelta())
    every((3, 6), "kill in a call", timedelta(), timedelta())
    # Just when the first fleet is due, and for longer than it is: then all of it comes at once, and nothing is free.
    planned += [
        Weather(at=start + 56.5 * DAY, what="web-ca", lasts=3 * DAY),
        Weather(at=start + 54 * DAY, what="no renewal information", lasts=12 * DAY),
    ]
    # Away when the other one is back.
    spare = [Weather(at=item.at + 5 * DAY, what="spare-ca", lasts=DAY) for item in planned if item.what == "short-ca"]
    return sorted([*planned, *spare])


def limits_for(certificates: int) -> tuple[dict[str, Limit], dict[str, int]]:
    """Return limits of the first CA that a fleet of this size runs into, and the settings that go with them."""
    limits = dict(LETS_ENCRYPT)
    if certificates < 500:
        limits |= {
            "new_order": Limit(count=max(5, certificates // 6), per=timedelta(hours=3)),
            "certificate": Limit(count=max(3, certificates // 15), per=timedelta(days=7)),
        }
    settings = {
        "ca_orders_per_account": limits["new_order"].count,
        "ca_certificates_per_domain": limits["certificate"].count,
        "ca_duplicates": limits["duplicate"].count,
        "ca_failed_validations": limits["failed_validation"].count,
    }
    return limits, settings


@contextmanager
def world(data_dir: Path, chance: random.Random, *, certificates: int, days: int) -> Iterator[World]:
    """Run the server and its world for the length of a block."""
    clock = FrozenClock(START_OF_TESTS)
    dns = FakeDns(clock, zones=(*SHOPS, CROWDED))
    limits, settings = limits_for(certificates)
    cas = {name: WatchedCa(clock, dns) for name in CAS}
    for name, life in CAS.items():
        cas[name].life = life
        cas[name].renewal_retry_after = min(DAY, life / 12)
    if days < 2 * CAS["long-ca"].days:
        # People who renew late see the whole ladder within the time.
        cas["long-ca"].life = days * DAY * 2 / 3
    cas["web-ca"].limits = limits
    # Nobody knows of these but the CA.
    cas["plain-ca"].limits = {"new_order": Limit(count=max(3, certificates // 40), per=timedelta(hours=3))}
    cas["plain-ca"].offers_renewal_info = False
    acme = FakeAcme({_directory(name): ca for name, ca in cas.items()})
    killer = Chance(random.Random(chance.random()), clock)
    acme.hooks.append(killer)
    dns.hooks.append(killer)
    with running_webhook_sink() as receiver, ExitStack() as running:

        def start() -> InProcess:
            running.close()
            return running.enter_context(
                in_process(
                    data_dir,
                    clock,
                    acme=acme,
                    dns=FakeDnsProviders(dns, [ConfigType.DNS_RFC2136]),
                    propagation=dns.propagation(),
                    acme_directory_production=_directory("web-ca"),
                    allow_private_addresses=True,
                    limits=settings,
                )
            )

        server = start()
        connection = sqlite3.connect(f"file:{server.directory.database}?mode=ro", uri=True, isolation_level=None)
        try:
            yield World(
                server=server,
                start=start,
                clock=clock,
                dns=dns,
                acme=acme,
                cas=cas,
                chance=killer,
                receiver=receiver,
                connection=connection,
            )
        finally:
            connection.close()


def _directory(name: str) -> str:
    return f"https://{name}.example.net/directory"
