"""A server in the test's process with a pretended CA and DNS, ready to order public certificates."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.clock import FrozenClock
from tests.factories.orders import DIRECTORY, FakeAcme, FakeDns, FakeDnsProviders, make_ca
from tests.peers.acme_ca import AcmeCa
from tests.peers.fake_acme import FakeAcmeServer, fake_acme
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

SECOND_DIRECTORY = "https://second.example.org/directory"
_CONFIGURATIONS = "/api/v2/configurations"


@dataclass
class OrderingWorld:
    """The server with the DNS and a CA; the server may die, the others stay."""

    server: InProcess
    start: Callable[[], InProcess]
    clock: FrozenClock
    dns: FakeDns
    ca: AcmeCa

    def create_dns(self) -> Answer:
        """Make the DNS configuration ``my-dns``."""
        return self.server.request(
            "POST",
            _CONFIGURATIONS,
            {
                "config_type": "public_cert_configuration_dns_rfc2136",
                "name": "my-dns",
                "rfc2136_server": "192.0.2.53",
                "rfc2136_tsig_key_name": "key.example.com",
                "rfc2136_tsig_secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
            },
        )

    def create(self, name: str, directory: str, **more: Any) -> Answer:
        """Make a CA configuration."""
        body = {"config_type": "public_cert_configuration_ca_acme", "name": name, "acme_directory_url": directory}
        return self.server.request("POST", _CONFIGURATIONS, {**body, **more})

    def order(self, name: str = "web", **changes: Any) -> Answer:
        """Ask for a certificate."""
        body: Mapping[str, Any] = {
            "secret_type": "public_cert",
            "name": name,
            "ca": "my-ca",
            "dns": "my-dns",
            "common_name": "www.example.com",
            "key_algorithm": "ECDSA256",
            "rotation": {"auto_rotate": True, "rotate_keys": False},
        }
        sent = {key: value for key, value in {**body, **changes}.items() if value is not ...}
        return self.server.request("POST", "/api/v2/secrets", sent)

    def try_dns(self) -> Answer:
        """Ask for a test of the DNS configuration."""
        action = {"action_type": "public_cert_configuration_action_test"}
        return self.server.request("POST", f"{_CONFIGURATIONS}/my-dns/actions", action)

    def damage(self, configuration: str) -> None:
        """Change what is stored of the credentials of a configuration."""
        with closing(self._database()) as connection, connection:
            done = connection.execute("UPDATE configurations SET sealed = x'00' WHERE name = ?", [configuration])
            assert done.rowcount == 1

    def metadata(self, secret_id: str) -> dict[str, Any]:
        """Return a secret's metadata."""
        answer = self.server.request("GET", f"/api/v2/secrets/{secret_id}/metadata")
        assert answer.status == 200, answer.raw
        found: dict[str, Any] = answer.json
        return found

    def run(self, length: timedelta = timedelta(minutes=2), step: timedelta = timedelta(seconds=5)) -> None:
        """Let time pass, and the server work all the while."""
        end = self.clock.now() + length
        while True:
            self.server.work()
            if self.clock.now() >= end:
                return
            self.pass_time(step)

    def pass_time(self, length: timedelta) -> None:
        """Move the clock; tokens do not live that long."""
        self.clock.advance(length)
        self.server.forget_tokens()

    def run_to(self, step: str) -> None:
        """Let the server work until an order would do this step next."""
        for _ in range(200):
            with closing(self._database()) as connection:
                row = connection.execute(
                    "SELECT 1 FROM jobs WHERE kind = 'public_cert.order' AND step = ?", [step]
                ).fetchone()
            if row is not None:
                return
            if self.server.container.worker.run_pending(limit=1) == 0:
                self.pass_time(timedelta(seconds=1))
        pytest.fail(f"no order came to the step {step}")

    def come_back(self) -> None:
        """Start the server anew on what the last one left, once its leases have run out."""
        self.pass_time(timedelta(minutes=2))
        self.server = self.start()

    def require_matching_key(self, secret_id: str) -> None:
        """Fail unless the secret holds a certificate with its own key."""
        payload = self.server.request("GET", f"/api/v2/secrets/{secret_id}").json
        leaf = x509.load_pem_x509_certificate(payload["certificate"].encode())
        key = load_pem_private_key(payload["private_key"].encode(), None)
        assert leaf.public_key() == key.public_key()

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.server.directory.path / "strongroom.db")

    def events(self) -> list[str]:
        """Return the types of all events so far, without the prefix."""
        with closing(self._database()) as connection:
            rows = connection.execute("SELECT event_type FROM events ORDER BY pk").fetchall()
        return [row[0].rpartition(".")[2] for row in rows]


@dataclass
class PublicWorld(OrderingWorld):
    """With two CAs in the process of the test."""

    second_ca: AcmeCa
    acme: FakeAcme

    def configure(self, *, fallback: bool = False) -> None:
        """Make the CA ``my-ca`` and the DNS ``my-dns``; ``second-ca`` as its fallback if wanted."""
        made = []
        if fallback:
            made.append(self.create("second-ca", SECOND_DIRECTORY))
        made.append(self.create("my-ca", DIRECTORY, **({"ca_fallback": "second-ca"} if fallback else {})))
        made.append(self.create_dns())
        for answer in made:
            assert answer.status == 201, answer.raw


@dataclass
class HttpWorld(OrderingWorld):
    """With a CA behind HTTP on loopback and the real client; all on one clock."""

    http: FakeAcmeServer

    def configure(self, **members: Any) -> None:
        """Make the CA ``my-ca`` and the DNS ``my-dns``."""
        for answer in (self.create("my-ca", self.http.directory_url, **members), self.create_dns()):
            assert answer.status == 201, answer.raw


@contextmanager
def http_world(prepared: Path, data_dir: Path, clock: FrozenClock, **settings: object) -> Iterator[HttpWorld]:
    """Run the server with the real ACME client, and a CA that the operator's settings name, for a block."""
    if not data_dir.exists():
        shutil.copytree(prepared, data_dir)
    dns = FakeDns(clock)
    ca = make_ca(clock, dns)
    providers = FakeDnsProviders(dns, [ConfigType.DNS_RFC2136])
    with fake_acme(ca) as http, ExitStack() as running:
        named = {"acme_directory_production": http.directory_url, **settings}

        def start() -> InProcess:
            running.close()
            return running.enter_context(
                in_process(data_dir, clock, dns=providers, propagation=dns.propagation(), **named)
            )

        yield HttpWorld(server=start(), start=start, clock=clock, dns=dns, ca=ca, http=http)


@contextmanager
def public_world(prepared: Path, data_dir: Path, clock: FrozenClock, **settings: object) -> Iterator[PublicWorld]:
    """Run the server and its world for the length of a block."""
    if not data_dir.exists():
        shutil.copytree(prepared, data_dir)
    dns = FakeDns(clock)
    ca, second = make_ca(clock, dns), make_ca(clock, dns)
    acme = FakeAcme({DIRECTORY: ca, SECOND_DIRECTORY: second})
    providers = FakeDnsProviders(dns, [ConfigType.DNS_RFC2136])
    propagation = dns.propagation()
    with ExitStack() as running:

        def start() -> InProcess:
            running.close()
            return running.enter_context(
                in_process(data_dir, clock, acme=acme, dns=providers, propagation=propagation, **settings)
            )

        yield PublicWorld(server=start(), start=start, clock=clock, dns=dns, ca=ca, second_ca=second, acme=acme)
