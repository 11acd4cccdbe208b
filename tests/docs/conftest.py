"""A server that the pages talk to, and the shell of a reader who has it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.needs import require
from tests.peers.pebble import EAB_KEYS, Pebble
from tests.peers.public_peers import PublicPeers
from tests.peers.server import BYTE_CODE, free_port, running

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who follows a page.

    Attributes:
        data: the data directory of the running server.
        environment: what the shell has.
    """

    data: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Give a reader with a server that other pages were tried on, too."""
    with _reading(tmp_path_factory.mktemp("docs") / "data") as found:
        yield found


@pytest.fixture
def first_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Give a reader with a server of its own: names of authorities are taken once."""
    with _reading(tmp_path_factory.mktemp("docs") / "data") as found:
        yield found


@pytest.fixture
def ordering_reader(
    tmp_path_factory: pytest.TempPathFactory, public_peers: PublicPeers, pebble_with_external_accounts: Pebble
) -> Iterator[Reader]:
    """Give a reader with a server of its own that orders from one CA, and knows of another with external accounts."""
    require("bind9-dnsutils")
    other = pebble_with_external_accounts
    key_id, key = next(iter(EAB_KEYS.items()))
    shell = {
        "ACME_DIRECTORY": other.directory_url,
        "ACME_EAB_KEY_ID": key_id,
        "ACME_EAB_KEY": key,
        "ACME_ROOT": str(other.trust_file),
        "RFC2136_SERVER": public_peers.bind.address,
        "RFC2136_PORT": str(public_peers.bind.port),
        "RFC2136_KEY": public_peers.bind.key.name,
        "RFC2136_SECRET": public_peers.bind.key.secret,
    }
    with _reading(tmp_path_factory.mktemp("docs") / "data", settings=public_peers.environment, shell=shell) as found:
        yield found


@pytest.fixture
def receiving_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Give a reader with a server of its own that may send to receivers on loopback."""
    settings = {"STRONGROOM_ALLOW_PRIVATE_ADDRESSES": "true"}
    with _reading(tmp_path_factory.mktemp("docs") / "data", settings=settings) as found:
        yield found


@contextlib.contextmanager
def _reading(
    data: Path, *, settings: Mapping[str, str] | None = None, shell: Mapping[str, str] | None = None
) -> Iterator[Reader]:
    """Run a server over HTTPS on a free port of loopback; another port has the files of authorities without TLS."""
    require("curl")
    require("openssl")
    files = f"127.0.0.1:{free_port()}"
    with running(
        data,
        environment={
            "STRONGROOM_SCHEDULER_INTERVAL": "1s",
            "STRONGROOM_CA_FILES_LISTEN": files,
            "STRONGROOM_CA_FILES_URL": f"http://{files}",
            **(settings or {}),
        },
    ) as server:
        environment = {
            **(shell or {}),
            "PATH": f"{BIN}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PYTHONPYCACHEPREFIX": str(BYTE_CODE),
            "STRONGROOM_URL": server.url,
        }
        yield Reader(data=data, environment=environment)
