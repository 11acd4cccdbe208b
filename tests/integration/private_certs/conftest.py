"""A server that relying parties reach over plain HTTP, and a Manager of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.private_certs.manager import Manager
from tests.peers.server import LiveServer, free_port, running


@pytest.fixture(scope="session")
def pki_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server whose CA files have an address without TLS; all tests of a worker share it."""
    address = f"127.0.0.1:{free_port()}"
    environment = {
        "STRONGROOM_CA_FILES_LISTEN": address,
        "STRONGROOM_CA_FILES_URL": f"http://{address}",
        "STRONGROOM_RSA_POOL_SIZE": "2",
    }
    with running(tmp_path_factory.mktemp("pki") / "data", environment=environment) as server:
        yield server


@pytest.fixture
def manager(pki_server: LiveServer) -> Iterator[Manager]:
    """Give a Manager who deletes what a test made: an instance holds only ten roots."""
    manager = Manager(pki_server)
    yield manager
    manager.tidy_up()
