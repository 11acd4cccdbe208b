"""A real server process on loopback, for tests that go through the front door."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(sys.executable).with_name("strongroom")
BYTE_CODE = Path(__file__).resolve().parents[2] / "build" / "pycache"
"""Compiled modules, as an installed program has them: a start that compiles everything takes three times as long."""
_START_LIMIT = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """Return the body as plain values."""
        return json.loads(self.raw)


def free_port() -> int:
    """Return a port of loopback that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def process_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a process of the product: ours, without settings but the given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STRONGROOM_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {"PYTHONPYCACHEPREFIX": str(BYTE_CODE), **kept, **(settings or {})}


class LiveServer:
    """One server on its own data directory; may be stopped, killed and started again."""

    def __init__(self, data_dir: Path, *, tls: bool = True, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.tls = tls
        self.environment = dict(environment or {})
        self.log_file = data_dir.with_name(data_dir.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None
        self._token: str | None = None

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """Return the CA certificate that clients must trust."""
        return self.data_dir / "tls" / "ca.pem"

    @property
    def api_key(self) -> str:
        """Return the first administrator's API key."""
        return (self.data_dir / "admin-apikey").read_text().strip()

    @property
    def log(self) -> str:
        """Return everything the process has printed."""
        return self.log_file.read_text()

    def spawn(self, *more: str) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it."""
        words = [str(PROGRAM), "server", "--data-dir", str(self.data_dir), "--listen", f"127.0.0.1:{self.port}"]
        words += [] if self.tls else ["--http"]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*words, *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=process_environment(self.environment),
            )
        return self.process

    def start(self, *more: str) -> LiveServer:
        """Start the process and wait until it answers."""
        process = self.spawn(*more)
        deadline = time.monotonic() + _START_LIMIT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                pytest.fail(f"the server ended with {process.returncode}:\n{self.log}")
            with contextlib.suppress(OSError, ssl.SSLError, http.client.HTTPException):
                if self.request("GET", "/readyz", token=None).status == 200:
                    return self
            time.sleep(0.05)
        pytest.fail(f"the server did not answer in time:\n{self.log}")

    def stop(self, timeout: float = 30) -> int:
        """Ask the process to stop and wait for it."""
        process = self.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout)

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        process = self.process
        assert process is not None
        process.kill()
        process.wait()

    def close(self) -> None:
        """End the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def token(self, api_key: str | None = None) -> str:
        """Return an access token; the administrator's is remembered."""
        if api_key is None and self._token is not None:
            return self._token
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": api_key or self.api_key}
        answer = self.request(
            "POST",
            "/identity/token",
            raw=urllib.parse.urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            token=None,
        )
        assert answer.status == 200, answer.raw
        token = str(answer.json["access_token"])
        if api_key is None:
            self._token = token
        return token

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "administrator",  # noqa: S107  (a word for whose token, not a token)
        timeout: float = 30,
    ) -> Answer:
        """Send one request on its own connection.

        Args:
            token: sent as it is; ``administrator`` stands for the first administrator's, ``None`` for none.
        """
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self.tls else None
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
            if context is not None
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        )
        sent = {"Accept": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {self.token() if token == 'administrator' else token}"
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            merge = method == "PATCH"
            sent.setdefault("Content-Type", "application/merge-patch+json" if merge else "application/json")
        try:
            connection.request(method, path, body=data, headers=sent)
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, dict(response.getheaders()), content)
        finally:
            connection.close()


@contextlib.contextmanager
def running(data_dir: Path, *, tls: bool = True, environment: Mapping[str, str] | None = None) -> Iterator[LiveServer]:
    """Run a server for the length of a block."""
    server = LiveServer(data_dir, tls=tls, environment=environment)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give one server over HTTPS that all tests of a worker share."""
    with running(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
