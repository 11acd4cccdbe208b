"""A server that the pages talk to, started as the README says."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.needs import require
from tests.peers.server import BYTE_CODE

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
_START_S = 60
_STOP_S = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A running server.

    Attributes:
        url: where it answers.
        data: its data directory.
        environment: what a shell of a reader has.
    """

    url: str
    data: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server over HTTPS on a free port of the loopback address."""
    require("curl")
    require("openssl")
    home = tmp_path_factory.mktemp("docs")
    data = home / "data"
    environment = {
        "PATH": f"{BIN}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONPYCACHEPREFIX": str(BYTE_CODE),
    }
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [str(BIN / "strongroom"), "server", "--data-dir", str(data), "--listen", "127.0.0.1:0"],
        cwd=home,
        env={**environment, "STRONGROOM_SCHEDULER_INTERVAL": "1s"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
    )
    try:
        url = _announced(process, home / "server.log")
        yield LiveServer(url=url, data=data, environment={**environment, "STRONGROOM_URL": url})
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()
        assert process.stdout is not None
        process.stdout.close()


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address that the server prints."""
    assert process.stdout is not None
    deadline = time.monotonic() + _START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not selector.select(timeout=deadline - time.monotonic()):
                break
            line = process.stdout.readline().decode()
            if not line:
                break
            if line.startswith("Strongroom serves at "):
                return line.split()[-1]
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}", pytrace=False)
