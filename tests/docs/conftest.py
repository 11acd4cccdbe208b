"""A server that the pages talk to, and the shell of a reader who has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.needs import require
from tests.peers.server import BYTE_CODE, running

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
    """Give a reader with a server over HTTPS on a free port of the loopback address."""
    require("curl")
    require("openssl")
    data = tmp_path_factory.mktemp("docs") / "data"
    with running(data, environment={"STRONGROOM_SCHEDULER_INTERVAL": "1s"}) as server:
        environment = {
            "PATH": f"{BIN}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PYTHONPYCACHEPREFIX": str(BYTE_CODE),
            "STRONGROOM_URL": server.url,
        }
        yield Reader(data=data, environment=environment)
