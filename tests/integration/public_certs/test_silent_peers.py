"""A CA that takes connections and does not answer: nobody but its own orders waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import SystemClock
from tests.integration.public_certs.orders import order
from tests.peers.acme_ca import AcmeCa
from tests.peers.bind import BindServer
from tests.peers.fake_acme import FakeAcmeServer, Raw
from tests.peers.public_peers import wait_for_order
from tests.peers.server import LiveServer, running

pytestmark = [pytest.mark.integration, pytest.mark.peers, pytest.mark.timeout(180)]

SILENT_ORDERS = 40
PROMPT = timedelta(seconds=20)


class MoodyServer(FakeAcmeServer):
    """Says nothing while it is told to."""

    def __init__(self, ca: AcmeCa) -> None:
        super().__init__(ca)
        self.speaks = threading.Event()
        self.speaks.set()
        self.asked = 0

    def answer(self, method: str, path: str, body: bytes) -> Raw:
        """Answer once it speaks again."""
        self.asked += not self.speaks.is_set()
        self.speaks.wait()
        return super().answer(method, path, body)


@pytest.fixture
def cas(bind: BindServer) -> Iterator[tuple[MoodyServer, MoodyServer]]:
    with ExitStack() as stack:
        first, second = (MoodyServer(AcmeCa(SystemClock(), bind.txt)) for _ in range(2))
        for server in (first, second):
            stack.callback(server.close)
            stack.callback(server.speaks.set)
        yield first, second


@pytest.fixture
def server(tmp_path: Path, bind: BindServer, cas: tuple[MoodyServer, MoodyServer]) -> Iterator[LiveServer]:
    """Give a server with two CAs."""
    silent, prompt = cas
    environment = {
        "STRONGROOM_ACME_DIRECTORY_STAGING": silent.directory_url,
        "STRONGROOM_ACME_DIRECTORY_PRODUCTION": prompt.directory_url,
        "STRONGROOM_DNS_RESOLVERS": bind.resolver,
        "STRONGROOM_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    dns = {
        "config_type": "public_cert_configuration_dns_rfc2136",
        "rfc2136_server": bind.address,
        "rfc2136_port": bind.port,
        "rfc2136_tsig_key_name": bind.key.name,
        "rfc2136_tsig_secret": bind.key.secret,
    }
    ca = {"config_type": "public_cert_configuration_ca_lets_encrypt"}
    with running(tmp_path / "data", tls=False, environment=environment) as server:
        for body in (
            {**ca, "name": "silent", "lets_encrypt_environment": "staging"},
            {**ca, "name": "prompt", "lets_encrypt_environment": "production"},
            {**dns, "name": "zones"},
        ):
            answer = server.request("POST", "/api/v2/configurations", body)
            assert answer.status == 201, answer.raw
        yield server


def test_orders_at_a_silent_ca_hold_up_no_other_order(server: LiveServer, cas: tuple[MoodyServer, MoodyServer]) -> None:
    silent, _ = cas
    silent.speaks.clear()
    stuck = [order(server, ca="silent", dns="zones")["id"] for _ in range(SILENT_ORDERS)]
    # The oldest are taken first: those that come now stand behind them all.
    time.sleep(1)
    began = time.monotonic()
    quick = [order(server, ca="prompt", dns="zones")["id"] for _ in range(3)]
    for secret_id in quick:
        assert wait_for_order(server, secret_id)["state"] == 1
    took = time.monotonic() - began
    assert took < PROMPT.total_seconds()
    silent.speaks.set()
    for secret_id in stuck:
        assert wait_for_order(server, secret_id, seconds=120)["state"] == 1
