"""Pebble, Debian's ACME server for tests, strict and as unhelpful as it can be, with a DNS of its own.

Each server has ports, an HTTPS certificate and a folder of its own. The DNS is ``pebble-challtestsrv``, or whatever a
test names.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.peers.needs import leave_out, require
from tests.peers.server import free_port

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_TRIES = 5

EAB_KEYS = {
    "kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
    "kid-2": "b10lLJs8l1GPIzsLP0s6pMt8O0XVGnfTaCeROxQM0BIt2XrJMDHJZBM5NuQmQJQH",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PebbleOptions:
    """How a server behaves.

    Attributes:
        reject_nonces: percentage of good nonces that are refused.
        sleep: longest pause before a validation, in seconds; 0 for none.
        reuse_authorizations: percentage of valid authorizations that prove later orders.
        alternate_roots: how many roots besides the first.
        external_account: whether new accounts need one of `EAB_KEYS`.
    """

    reject_nonces: int = 50
    sleep: int = 0
    reuse_authorizations: int = 0
    alternate_roots: int = 2
    external_account: bool = False


class ChallengeDns:
    """``pebble-challtestsrv``: a DNS that says what it was told."""

    def __init__(self, folder: Path) -> None:
        program = require("pebble").with_name("pebble-challtestsrv")
        if not program.is_file():
            leave_out("the system package 'pebble' has no pebble-challtestsrv")
        self._program = program
        self._folder = folder
        self.port = self._management = 0
        self._process = _start(self._try_start)

    @property
    def server(self) -> str:
        """Return host and port of the DNS."""
        return f"127.0.0.1:{self.port}"

    def set_txt(self, name: str, value: str) -> None:
        """Add a value to a name's TXT records."""
        self._tell("/set-txt", {"host": f"{name}.", "value": value})

    def clear_txt(self, name: str) -> None:
        """Remove all TXT records of a name."""
        self._tell("/clear-txt", {"host": f"{name}."})

    def set_cname(self, name: str, target: str) -> None:
        """Make a name an alias."""
        self._tell("/set-cname", {"host": f"{name}.", "target": f"{target}."})

    def close(self) -> None:
        """End it."""
        _stop(self._process)

    def _try_start(self) -> subprocess.Popen[bytes] | None:
        self.port, self._management = free_port(), free_port()
        command = [str(self._program), "-dns01", self.server, "-management", f"127.0.0.1:{self._management}"]
        command += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
        process = _spawn(command, self._folder, {})
        return process if _wait(process, self._answers) else None

    def _answers(self) -> bool:
        self._tell("/clear-txt", {"host": "unused.example."})
        return True

    def _tell(self, path: str, body: Mapping[str, Any]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._management, timeout=5)
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)


class Pebble:
    """A running ACME server.

    Args:
        folder: for its files.
        dns_server: that it validates against, ``host:port``.
        options: how it behaves.
    """

    def __init__(self, folder: Path, dns_server: str, options: PebbleOptions | None = None) -> None:
        self._program = require("pebble")
        self._folder = folder
        self._dns_server = dns_server
        self.options = options or PebbleOptions()
        self.trust_pem = self._make_certificate()
        self.port = self._management = 0
        self._process = _start(self._try_start)

    @property
    def directory_url(self) -> str:
        """Return the address of its directory; its HTTPS certificate is trusted through ``trust_pem``."""
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def trust_file(self) -> Path:
        """Return a file with ``trust_pem``."""
        return self._folder / "https.pem"

    def roots(self) -> list[str]:
        """Return its roots as PEM, default first; they are made at its start."""
        return [self._manage(f"/roots/{number}") for number in range(self.options.alternate_roots + 1)]

    def stop(self) -> None:
        """End it; what it knows is lost."""
        _stop(self._process)

    def restart(self) -> None:
        """Start it again on the same ports, with new roots and without a memory."""
        _stop(self._process)
        started = self._spawn()
        assert started is not None, "Pebble did not start again"
        self._process = started

    def _try_start(self) -> subprocess.Popen[bytes] | None:
        self.port, self._management = free_port(), free_port()
        return self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        settings: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(self.trust_file),
            "privateKey": str(self._folder / "https.key"),
            "httpPort": 5002,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.options.external_account,
        }
        if self.options.external_account:
            settings["externalAccountMACKeys"] = EAB_KEYS
        config = self._folder / "config.json"
        config.write_text(json.dumps({"pebble": settings}), encoding="ascii")
        environment = {
            "PEBBLE_WFE_NONCEREJECT": str(self.options.reject_nonces),
            "PEBBLE_AUTHZREUSE": str(self.options.reuse_authorizations),
            "PEBBLE_ALTERNATE_ROOTS": str(self.options.alternate_roots),
            "PEBBLE_VA_NOSLEEP" if not self.options.sleep else "PEBBLE_VA_SLEEPTIME": str(self.options.sleep or 1),
        }
        command = [str(self._program), "-strict", "-config", str(config), "-dnsserver", self._dns_server]
        process = _spawn(command, self._folder, environment)
        return process if _wait(process, lambda: bool(self._manage("/roots/0"))) else None

    def _manage(self, path: str) -> str:
        context = ssl.create_default_context(cadata=self.trust_pem)
        connection = http.client.HTTPSConnection("127.0.0.1", self._management, timeout=5, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode("ascii")
            assert answer.status == 200, (path, answer.status)
        return text

    def _make_certificate(self) -> str:
        """Make the certificate of its HTTPS, which signs itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME server of the tests")])
        start = datetime.now(UTC) - timedelta(days=1)
        names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM).decode()
        self.trust_file.write_text(pem, encoding="ascii")
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / "https.key").write_bytes(key_pem)
        return pem


def _spawn(command: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        )


def _start(attempt: Any) -> subprocess.Popen[bytes]:
    for _ in range(_TRIES):
        # Somebody may take a port between looking and starting.
        process: subprocess.Popen[bytes] | None = attempt()
        if process is not None:
            return process
    message = "the peer did not start; its log is in its folder"
    raise RuntimeError(message)


def _wait(process: subprocess.Popen[bytes], answers: Any) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            return bool(answers())
        time.sleep(0.05)
    _stop(process)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def challenge_dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChallengeDns]:
    """Give a DNS that says what it was told, shared by the tests of a worker."""
    dns = ChallengeDns(tmp_path_factory.mktemp("challtestsrv"))
    try:
        yield dns
    finally:
        dns.close()


@pytest.fixture(scope="session")
def pebble(tmp_path_factory: pytest.TempPathFactory, challenge_dns: ChallengeDns) -> Iterator[Pebble]:
    """Give an ACME server, strict, that refuses every second nonce and has three roots."""
    server = Pebble(tmp_path_factory.mktemp("pebble"), challenge_dns.server)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def pebble_with_external_accounts(
    tmp_path_factory: pytest.TempPathFactory, challenge_dns: ChallengeDns
) -> Iterator[Pebble]:
    """Give an ACME server whose new accounts need one of `EAB_KEYS`."""
    options = PebbleOptions(external_account=True)
    server = Pebble(tmp_path_factory.mktemp("pebble-eab"), challenge_dns.server, options)
    try:
        yield server
    finally:
        server.stop()
