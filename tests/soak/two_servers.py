"""Order certificates from two servers on one PostgreSQL, and kill one of them half-way.

The CA counts the orders that are placed, and looks for the proofs in a real DNS server. The kill comes while orders are
placed: the CA has noted them, and its answers never arrive. Run it with
``python -m tests.soak.two_servers --orders 200``.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from strongroom.kernel.clock import SystemClock
from tests.peers.acme_ca import AcmeCa, CaAccount, CaOrder
from tests.peers.bind import BindServer
from tests.peers.fake_acme import fake_acme
from tests.peers.needs import require
from tests.peers.postgres import PostgresServer
from tests.peers.server import LiveServer

CA_NAME = "my-ca"
DNS_NAME = "my-dns"
DOMAINS = ("example.com", "example.org", "example.net")
_CLIENTS = 4
_GATHER = timedelta(seconds=1)
_PREFIX = "two-servers-"
_KINDS = ("order", "cleanup")
_OPEN = frozenset({"queued", "running", "waiting"})


@dataclass
class Report:
    """What a run did and found.

    Attributes:
        wrong: what is not as it should be, in words.
        issued_at_kill: how many were when the server died.
        searches: for orders that somebody else may have placed, because their answer never came.
    """

    orders: int = 0
    issued: int = 0
    placed: int = 0
    issued_at_kill: int = 0
    searches: int = 0
    seconds: float = 0.0
    seconds_after_kill: float = 0.0
    wrong: list[str] = field(default_factory=list)


class HoldingCa(AcmeCa):
    """Notes orders, and holds the answers from the chosen one on until it is let go.

    Args:
        bind: where it looks for proofs.
        hold_from: number of the first order whose answer is held.
        chance: says how long checking a proof and signing take.
    """

    def __init__(self, bind: BindServer, hold_from: int, chance: random.Random) -> None:
        super().__init__(SystemClock(), bind.txt)
        self.holding = threading.Event()
        self.go = threading.Event()
        self._hold_from = hold_from
        self._chance = chance

    def new_order(
        self, account: CaAccount, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None
    ) -> CaOrder:
        """Place an order; its answer may have to wait."""
        with self._lock:
            placed = super().new_order(account, names, profile=profile, replaces=replaces)
            self.validation_delay = timedelta(seconds=self._chance.uniform(0, 2))
            self.processing_delay = timedelta(seconds=self._chance.uniform(0, 2))
            is_held = len(self.orders) >= self._hold_from and not self.go.is_set()
        if is_held:
            self.holding.set()
            self.go.wait()
        return placed


def run(folder: Path, database_url: str, bind: BindServer, *, orders: int, seed: int = 1) -> Report:
    """Order so many certificates and return what was found.

    Args:
        folder: for both data directories.
        database_url: of an empty database.
        bind: a DNS server.
        orders: how many.
        seed: of names and delays.
    """
    chance = random.Random(seed)
    report = Report(orders=orders)
    started = time.monotonic()
    with ExitStack() as running:
        ca = HoldingCa(bind, orders // 2, random.Random(seed))
        front = running.enter_context(fake_acme(ca))
        # A search is one request.
        front.page = 2 * orders
        running.callback(ca.go.set)
        first, second = _two_servers(folder, database_url, bind, front.directory_url, running)
        _configure(first, bind)
        names = {f"{_PREFIX}{number}": _names(number, chance) for number in range(orders)}
        with ThreadPoolExecutor(_CLIENTS) as clients:
            ids = dict(
                zip(names, clients.map(lambda name: _order(first, second, name, names[name]), names), strict=True)
            )
        if not ca.holding.wait(60 + orders):
            report.wrong.append(f"the CA saw {len(ca.orders)} orders only: {second.log[-2000:]}")
            return report
        # Whoever places orders at the moment gets stuck, too.
        time.sleep(_GATHER.total_seconds())
        report.issued_at_kill = _count(second, "state=done&kind=public_cert.order")
        first.kill()
        killed = time.monotonic()
        ca.go.set()
        _wait_until_ended(second, seconds=180 + 3 * orders)
        report.seconds_after_kill = time.monotonic() - killed
        for name, secret_id in ids.items():
            _check(second, name, secret_id, names[name], report)
        report.searches = front.posts["orders"]
        if not report.searches:
            report.wrong.append("the kill lost no answer of the CA")
        _check_ca(ca, orders, report)
        report.wrong += [f"a record is left: {name}" for name, _ in bind.all_challenge_records() if _PREFIX in name]
        report.wrong += _check_jobs(second)
    report.seconds = time.monotonic() - started
    return report


def _two_servers(
    folder: Path, database_url: str, bind: BindServer, directory: str, running: ExitStack
) -> tuple[LiveServer, LiveServer]:
    environment = {
        "STRONGROOM_DATABASE_URL": database_url,
        "STRONGROOM_SCHEDULER_INTERVAL": "1s",
        "STRONGROOM_ACME_DIRECTORY_STAGING": directory,
        "STRONGROOM_DNS_RESOLVERS": bind.resolver,
        "STRONGROOM_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    first, second = (LiveServer(folder / name, tls=False, environment=environment) for name in ("first", "second"))
    running.callback(first.close)
    running.callback(second.close)
    first.start()
    second.data_dir.mkdir(mode=0o700)
    for name in ("master.key", "admin-apikey"):
        shutil.copy2(first.data_dir / name, second.data_dir)
    return first, second.start()


def _configure(server: LiveServer, bind: BindServer) -> None:
    bodies: list[dict[str, Any]] = [
        {
            "config_type": "public_cert_configuration_ca_lets_encrypt",
            "name": CA_NAME,
            "lets_encrypt_environment": "staging",
        },
        {
            "config_type": "public_cert_configuration_dns_rfc2136",
            "name": DNS_NAME,
            "rfc2136_server": bind.address,
            "rfc2136_port": bind.port,
            "rfc2136_tsig_key_name": bind.key.name,
            "rfc2136_tsig_secret": bind.key.secret,
        },
    ]
    for body in bodies:
        answer = server.request("POST", "/api/v2/configurations", body)
        assert answer.status == 201, answer.raw


def _names(number: int, chance: random.Random) -> list[str]:
    domain = chance.choice(DOMAINS)
    names = [f"{_PREFIX}{number}.{domain}"]
    if chance.random() < 0.2:
        names.append(f"*.{_PREFIX}{number}.{domain}")
    if chance.random() < 0.2:
        names.append(f"{_PREFIX}{number}-www.{chance.choice(DOMAINS)}")
    return names


def _order(first: LiveServer, second: LiveServer, name: str, names: list[str]) -> str:
    server = first if len(names[0]) % 2 else second
    body = {
        "secret_type": "public_cert",
        "name": name,
        "common_name": names[0],
        "alt_names": names[1:],
        "ca": CA_NAME,
        "dns": DNS_NAME,
        "key_algorithm": "ECDSA256",
    }
    answer = server.request("POST", "/api/v2/secrets", body)
    assert answer.status == 201, answer.raw
    made: str = answer.json["id"]
    return made


def _count(server: LiveServer, query: str) -> int:
    total: int = server.request("GET", f"/api/v2/jobs?limit=1&{query}").json["total_count"]
    return total


def _wait_until_ended(server: LiveServer, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(_count(server, f"state={state}&kind=public_cert.{kind}") for state in _OPEN for kind in _KINDS):
            return
        time.sleep(0.5)


def _check(server: LiveServer, name: str, secret_id: str, names: list[str], report: Report) -> None:
    secret = server.request("GET", f"/api/v2/secrets/{secret_id}").json
    if secret["state"] != 1:
        report.wrong.append(f"{name} is in state {secret['state']}: {secret.get('issuance_info')}")
        return
    report.issued += 1
    leaf = x509.load_pem_x509_certificate(secret["certificate"].encode())
    if leaf.public_key() != load_pem_private_key(secret["private_key"].encode(), None).public_key():
        report.wrong.append(f"{name}: the key is not that of the certificate")
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(found.get_values_for_type(x509.DNSName)) != set(names):
        report.wrong.append(f"{name}: certificate for other names than {names}")
    if secret["versions_total"] != 1:
        report.wrong.append(f"{name}: {secret['versions_total']} versions")


def _check_ca(ca: AcmeCa, orders: int, report: Report) -> None:
    report.placed = sum(order.placed for order in ca.orders)
    if len(ca.accounts) != 1:
        report.wrong.append(f"the CA has {len(ca.accounts)} accounts")
    if report.placed != orders:
        report.wrong.append(f"{report.placed} orders were placed for {orders} certificates")
    seen: set[tuple[str, ...]] = set()
    for order in ca.orders:
        if order.names in seen:
            report.wrong.append(f"ordered again: {', '.join(order.names)}")
        seen.add(order.names)
        if order.status != "valid" or order.finalized != 1:
            report.wrong.append(f"{order.names[0]} is {order.status} at the CA, finalized {order.finalized} times")


def _check_jobs(server: LiveServer) -> list[str]:
    counts = {
        (kind, state): _count(server, f"state={state}&kind=public_cert.{kind}")
        for kind in _KINDS
        for state in (*sorted(_OPEN), "failed")
    }
    return [f"{count} jobs of kind public_cert.{kind} are {state}" for (kind, state), count in counts.items() if count]


def main() -> int:
    """Run from the command line, on a database and a DNS server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        database = PostgresServer(require("postgresql"))
        running.callback(database.close)
        bind = BindServer(require("bind9"))
        running.callback(bind.close)
        report = run(
            Path(folder), database.url(database.create_database()), bind, orders=options.orders, seed=options.seed
        )
    print(json.dumps(asdict(report), indent=1))  # noqa: T201  (its whole output)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
