"""A second ACME server, as private as they come: new accounts need an external one, and it asks a resolver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.bind import BindResolver, BindServer
from tests.peers.needs import require
from tests.peers.pebble import Pebble, PebbleOptions


@pytest.fixture(scope="session")
def private_ca(tmp_path_factory: pytest.TempPathFactory, orders_bind: BindServer) -> Iterator[Pebble]:
    """Give an ACME server that wants an external account and validates through a resolver."""
    resolver = BindResolver(require("bind9"), orders_bind)
    try:
        options = PebbleOptions(external_account=True, alternate_roots=0)
        address = f"{resolver.address}:{resolver.port}"
        server = Pebble(tmp_path_factory.mktemp("pebble-private"), address, options)
        try:
            yield server
        finally:
            server.stop()
    finally:
        resolver.close()
