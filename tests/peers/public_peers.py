"""A real ACME server that looks into a real DNS server, and how a server of ours is told of both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.peers.bind import BindServer
from tests.peers.needs import require
from tests.peers.pebble import Pebble, PebbleOptions
from tests.peers.server import LiveServer, running

CA_NAME = "my-ca-configuration-name"
DNS_NAME = "my-dns-configuration-name"
_CONFIGURATIONS = "/api/v2/configurations"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPeers:
    """Pebble and BIND."""

    pebble: Pebble
    bind: BindServer

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the settings of a server that orders here; both stand for the operator's own."""
        return {
            "STRONGROOM_ACME_DIRECTORY_PRODUCTION": self.pebble.directory_url,
            "STRONGROOM_ACME_DIRECTORY_STAGING": self.pebble.directory_url,
            "STRONGROOM_ACME_CA_BUNDLE": str(self.pebble.trust_file),
            "STRONGROOM_DNS_RESOLVERS": self.bind.resolver,
            "STRONGROOM_ALLOW_PRIVATE_ADDRESSES": "true",
        }

    def ca(self, name: str = CA_NAME, **more: Any) -> dict[str, Any]:
        """Return the body of a CA configuration."""
        return {
            "config_type": "public_cert_configuration_ca_lets_encrypt",
            "name": name,
            "lets_encrypt_environment": "production",
            **more,
        }

    def dns(self, name: str = DNS_NAME, **more: Any) -> dict[str, Any]:
        """Return the body of a DNS configuration."""
        return {
            "config_type": "public_cert_configuration_dns_rfc2136",
            "name": name,
            "rfc2136_server": self.bind.address,
            "rfc2136_port": self.bind.port,
            "rfc2136_tsig_key_name": self.bind.key.name,
            "rfc2136_tsig_secret": self.bind.key.secret,
            **more,
        }

    def configure(self, server: LiveServer) -> None:
        """Make both configurations on a server."""
        for body in (self.ca(), self.dns()):
            answer = server.request("POST", _CONFIGURATIONS, body)
            assert answer.status == 201, answer.raw


def wait_for_order(server: LiveServer, secret_id: str, *, seconds: float = 90) -> dict[str, Any]:
    """Return the metadata of a secret once its order has ended."""
    deadline = time.monotonic() + seconds
    while True:
        answer = server.request("GET", f"/api/v2/secrets/{secret_id}/metadata")
        assert answer.status == 200, answer.raw
        metadata: dict[str, Any] = answer.json
        if metadata["issuance_info"]["state"] != 0:
            return metadata
        if time.monotonic() > deadline:
            pytest.fail(f"the order did not end in time: {server.request('GET', '/api/v2/orders').raw!r}")
        time.sleep(0.2)


@pytest.fixture(scope="session")
def orders_bind() -> Iterator[BindServer]:
    """Give a DNS server for orders alone: what they leave behind shows."""
    server = BindServer(require("bind9"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def public_peers(tmp_path_factory: pytest.TempPathFactory, orders_bind: BindServer) -> Iterator[PublicPeers]:
    """Give an ACME server that validates against BIND, pausing and refusing every second nonce."""
    options = PebbleOptions(sleep=2)
    server = Pebble(tmp_path_factory.mktemp("pebble-bind"), f"{orders_bind.address}:{orders_bind.port}", options)
    try:
        yield PublicPeers(pebble=server, bind=orders_bind)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def ordering_server(tmp_path_factory: pytest.TempPathFactory, public_peers: PublicPeers) -> Iterator[LiveServer]:
    """Give a server with both configurations that all tests of a worker share; names are to be a test's own."""
    folder: Path = tmp_path_factory.mktemp("ordering")
    with running(
        folder / "data", environment={**public_peers.environment, "STRONGROOM_SCHEDULER_INTERVAL": "1s"}
    ) as server:
        public_peers.configure(server)
        yield server
